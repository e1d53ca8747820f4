//! A reload: builds, checks, swaps. Whatever is wrong leaves everything as it was.

use std::cell::RefCell;

use forebay_config::{Diagnostics, Loaded};
use forebay_gateway::GatewayError;
use forebay_gateway::listener::ListenError;
use forebay_shutdown::Machine;

use crate::commands::serve::{gateway_message, level};
use crate::configuration;
use crate::control::Control;
use crate::listeners;
use crate::message::Message;
use crate::registry;
use crate::root::Root;
use crate::told::Told;
use crate::watch::Reading;

/// What is wrong, as it is printed and as programs are told.
struct Rejected {
    drawn: String,
    plain: String,
}

impl From<String> for Rejected {
    fn from(text: String) -> Rejected {
        Rejected { drawn: text.clone(), plain: text }
    }
}

impl From<Diagnostics> for Rejected {
    fn from(diagnostics: Diagnostics) -> Rejected {
        Rejected { drawn: configuration::drawn(&diagnostics), plain: diagnostics.to_string() }
    }
}

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
    let reading = Reading::default();
    let outcome = put_in_force(control, &reading).await;
    // Rejected too: it is tried again when what was read for it has changed, not before.
    control.reading = reading;
    match outcome {
        Ok(generation) => {
            *machine = Machine::new(control.loaded.value.shutdown.settings());
            told.borrow_mut().accepted(&control.loaded, generation);
            tracing::info!(why, generation, "reloaded");
        }
        Err(Rejected { drawn, plain }) => {
            eprintln!("{drawn}");
            told.borrow_mut().rejected(plain);
            tracing::error!(why, "reload rejected; the running configuration stays");
        }
    }
}

/// Reads, checks, swaps; gives the number of the new generation.
async fn put_in_force(control: &mut Control<'_>, reading: &Reading) -> Result<u64, Rejected> {
    let loaded = configuration::read_through(&control.configured, reading)?;
    let plan = configuration::gateway_plan(&loaded, reading)?;
    reading.leave_out_material(&plan);
    match (registry::wanted(&plan).next(), &control.hand_over) {
        (Some(service), None) => return Err(registry::late(&service).text().into()),
        (_, Some(hand_over)) => hand_over.push_wanted(&plan),
        (None, None) => {}
    }
    control.storage.open_for(&plan).map_err(|message| message.text())?;
    control.storage.begin();
    let reloaded = control.gateway.reload(plan).await;
    let generation = reloaded.map_err(|error| refusal(control, &loaded, &error).text())?;
    let restart = control.started.restart_needed(&loaded);
    if !restart.is_empty() {
        tracing::warn!(settings = restart.join(", "), "these settings change with the next restart");
    }
    control.log.set_level(level(loaded.value.log.level));
    control.loaded = loaded;
    Ok(generation)
}

/// Why the gateway does not take it.
fn refusal(control: &Control<'_>, loaded: &Loaded<Root>, error: &GatewayError) -> Message {
    let message = gateway_message(loaded, error);
    let GatewayError::ServicePort(ListenError::InUse(address)) = error else { return message };
    let Some(own) = listeners::in_the_way(&control.started.value, *address) else { return message };
    let own = own.key();
    Message {
        what: format!("{address} is in use by this process: its `{own}` has it since the start"),
        note: Some(format!("a reload changes ports of services; `{own}` changes with the next restart")),
        help: Some("restart, or choose another port".into()),
        ..message
    }
}
