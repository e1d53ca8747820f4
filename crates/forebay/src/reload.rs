//! A reload: builds, checks, swaps. Whatever is wrong leaves everything as it was.

use std::cell::RefCell;

use forebay_shutdown::Machine;

use crate::commands::serve::{gateway_message, level};
use crate::configuration;
use crate::control::Control;
use crate::message::Message;
use crate::registry;
use crate::told::Told;

/// Puts the files as they are now in force, if they are right. A process that stops reloads nothing more.
pub(crate) async fn reload(
    control: &mut Control<'_>,
    machine: &mut Machine,
    told: &RefCell<Told>,
    why: &'static str,
) {
    if !control.surroundings.shutdown.is_ready() {
        return;
    }
    let loaded = match configuration::read(&control.configured) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            return reject(told, why, configuration::drawn(&diagnostics), diagnostics.to_string());
        }
    };
    let plan = match configuration::gateway_plan(&loaded) {
        Ok(plan) => plan,
        Err(messages) => {
            let text = messages.iter().map(Message::text).collect::<Vec<_>>().join("\n");
            return reject(told, why, text.clone(), text);
        }
    };
    match (registry::wanted(&plan).next(), &control.hand_over) {
        (Some(service), None) => {
            let text = registry::late(&service).text();
            return reject(told, why, text.clone(), text);
        }
        (_, Some(hand_over)) => hand_over.push_wanted(&plan),
        (None, None) => {}
    }
    if let Err(message) = control.storage.open_for(&plan) {
        return reject(told, why, message.text(), message.text());
    }
    control.storage.begin();
    let generation = match control.gateway.reload(plan).await {
        Ok(generation) => generation,
        Err(error) => {
            let text = gateway_message(&error).text();
            return reject(told, why, text.clone(), text);
        }
    };
    let restart = control.started.restart_needed(&loaded);
    if !restart.is_empty() {
        tracing::warn!(settings = restart.join(", "), "these settings change with the next restart");
    }
    *machine = Machine::new(loaded.value.shutdown.settings());
    control.log.set_level(level(loaded.value.log.level));
    told.borrow_mut().accepted(&loaded, generation);
    control.loaded = loaded;
    tracing::info!(why, generation, "reloaded");
}

fn reject(told: &RefCell<Told>, why: &'static str, drawn: String, plain: String) {
    eprintln!("{drawn}");
    told.borrow_mut().rejected(plain);
    tracing::error!(why, "reload rejected; the running configuration stays");
}
