//! Consul's HTTP API, as much of it as finding services takes. Decides the answer; what is registered, and when something
//! changes, it is told. `docs/registry.md` says where this differs from Consul.

mod agent;
mod catalog;
mod change;
mod check_definition;
mod checks;
mod echo;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod health;
mod options;
mod refused;
mod registration;
mod routes;
mod views;

use std::time::Duration;

use forebay_clock::Moment;

pub(crate) use self::echo::Echo;
use self::echo::Said;
use self::options::{Consistency, Options, refuse_places_of_head};
use self::refused::Refused;
use self::routes::{Act, Call, View};
use crate::asked::Asked;
use crate::handle::Handle;
use crate::registry::Registry;
use crate::reply::Reply;
use crate::sharing::NODE_LEASE;
use crate::topic::Topic;
use crate::waiter::Waiter;

/// What requests are answered from.
pub(crate) struct Place<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) datacenter: &'a str,
    /// Where this listener is, as `host:port`.
    pub(crate) here: &'a str,
    pub(crate) echo: &'a Echo,
}

/// Whether the path is one of Consul's.
pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// The path that metrics count a request under.
pub(crate) fn route_of(asked: &Asked) -> Option<&'static str> {
    routes::find(asked.method, &asked.path).ok().map(|(route, _)| route.path)
}

/// Answers one request; one that waits is answered when something changed, when it has waited long enough, or when
/// `waiter` says that waiting is over. `None` when the client did not wait for the answer.
pub(crate) async fn answer(place: &Place<'_>, asked: &Asked, waiter: &Waiter<'_>) -> Option<Reply> {
    match Box::pin(attend(place, asked, waiter)).await {
        Ok(reply) => reply,
        Err(refused) => Some(refused.into()),
    }
}

async fn attend(place: &Place<'_>, asked: &Asked, waiter: &Waiter<'_>) -> Result<Option<Reply>, Refused> {
    let (route, name) = routes::find(asked.method, &asked.path)?;
    refuse_places_of_head(&asked.places)?;
    let options = Options::read(&asked.query, place.datacenter)?;
    let call = Call { asked, name, options };
    match &route.act {
        Act::Tell(tell) => place.look(|view| tell(view, &call)).map(Some),
        Act::Change(read) => {
            change::carry_out(place.handle, read(&call)?).await?;
            Ok(Some(Reply::empty(200)))
        }
        Act::Query { topic, view } => {
            let topic = topic(&call.name);
            let Some(has_waited) = wait(place, &call, &topic, waiter).await else { return Ok(None) };
            let now = place.handle.clock().now();
            let echo = || place.echo.of(asked, place.here, place.handle.read(Registry::count), now);
            if let Some(said) = has_waited.then(echo).flatten() {
                return queried(&call.options, said).map(Some);
            }
            // Index and answer are of one moment: a client that has the one has the other.
            let (count, index, last_contact, document) = place.look(|shown| {
                let registry = shown.registry;
                (registry.count(), registry.index(&topic), last_contact(registry, now), view(shown, &call))
            });
            let said = Said { index, last_contact, text: Reply::written(&document?, call.options.pretty) };
            if has_waited {
                place.echo.keep(asked, place.here, count, now, said.clone());
            }
            queried(&call.options, said).map(Some)
        }
    }
}

/// Waits while the client has seen what there is. One that has seen more has it from another registry, and is answered at
/// once so that it begins anew. Whether it had to wait; `None` when the client is gone.
async fn wait(place: &Place<'_>, call: &Call<'_>, topic: &Topic, waiter: &Waiter<'_>) -> Option<bool> {
    let seen = call.options.index;
    if seen == 0 || place.handle.read(|registry| registry.index(topic)) != seen {
        return Some(false);
    }
    let changed = place.handle.changed(topic, seen, Moment::NEVER);
    waiter.wait(|rng| call.options.patience(rng), changed).await.then_some(true)
}

/// How long ago the shared store last told how another node stands. No time for a node that shares with nobody.
fn last_contact(registry: &Registry, now: Moment) -> Duration {
    let told = registry.nodes().filter_map(|node| node.confirmed).max();
    told.map_or(Duration::ZERO, |told| now.since(told))
}

fn queried(options: &Options, said: Said) -> Result<Reply, Refused> {
    let Said { index, last_contact, text } = said;
    // Beyond that, other nodes may have changed and lapsed unseen.
    let is_in_contact = last_contact <= NODE_LEASE;
    if options.consistency == Consistency::Consistent && !is_in_contact {
        // Clients look for the first words.
        let text = format!(
            "No cluster leader: the shared store was last reached {} s ago; leave out ?consistent for what is known here",
            last_contact.as_secs()
        );
        return Err(Refused::new(500, text));
    }
    let reply = Reply::json_text(200, text)
        .with("X-Consul-Index", &index.to_string())
        .with("X-Consul-Knownleader", if is_in_contact { "true" } else { "false" })
        .with("X-Consul-Lastcontact", &last_contact.as_millis().to_string())
        .with("X-Consul-Effective-Consistency", options.consistency.text())
        .with("X-Consul-Query-Backend", "blocking-query")
        .with("X-Consul-Default-Acl-Policy", "allow");
    Ok(if options.cached { reply.with("X-Cache", "HIT").with("Age", "0") } else { reply })
}

impl Place<'_> {
    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        self.handle.read(|registry| look(&View { registry, datacenter: self.datacenter, here: self.here }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn only_consistent_readers_are_refused_when_the_store_is_out_of_reach() {
        let status = |query: &str, contact: Duration| {
            let options = Options::read(&Query::parse(query).unwrap(), "dc1").unwrap();
            let said = Said { index: 1, last_contact: contact, text: "null".into() };
            queried(&options, said).map_err(|refused| refused.status)
        };
        let field = |reply: Reply, name: &str| {
            let (head, _) = reply.response();
            forebay_http::Fields::value(head.fields(), name)
                .map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let late = NODE_LEASE + Duration::from_millis(1);
        assert_eq!(status("consistent", late).err(), Some(500));
        assert!(status("consistent", NODE_LEASE).is_ok());
        for (contact, known) in [(Duration::ZERO, "true"), (NODE_LEASE, "true"), (late, "false")] {
            let reply = status("stale", contact).unwrap();
            assert_eq!(field(reply, "x-consul-knownleader").as_deref(), Some(known));
        }
    }
}
