//! Consul's HTTP API, as much of it as finding services takes. Decides the answer; what is registered, and when something
//! changes, it is told. `docs/registry.md` says where this differs from Consul.

mod agent;
mod catalog;
mod change;
mod check_definition;
mod checks;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod health;
mod options;
mod refused;
mod registration;
mod routes;
mod views;

use forebay_clock::Moment;
use serde_json::Value;

use self::options::Options;
use self::refused::Refused;
use self::routes::{Act, Call, View};
use crate::asked::Asked;
use crate::handle::Handle;
use crate::reply::Reply;
use crate::topic::Topic;
use crate::waiter::Waiter;

/// What requests are answered from.
pub(crate) struct Place<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) datacenter: &'a str,
    /// Where this listener is, as `host:port`.
    pub(crate) here: &'a str,
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
            if !wait(place, &call, &topic, waiter).await {
                return Ok(None);
            }
            // Index and answer are of one moment: a client that has the one has the other.
            let (index, document) = place.look(|shown| (shown.registry.index(&topic), view(shown, &call)));
            Ok(Some(queried(&call.options, index, &document?)))
        }
    }
}

/// Waits while the client has seen what there is. One that has seen more has it from another registry, and is answered at
/// once so that it begins anew. False when the client is gone.
async fn wait(place: &Place<'_>, call: &Call<'_>, topic: &Topic, waiter: &Waiter<'_>) -> bool {
    let seen = call.options.index;
    if seen == 0 || place.handle.read(|registry| registry.index(topic)) != seen {
        return true;
    }
    waiter.wait(|rng| call.options.patience(rng), place.handle.changed(topic, seen, Moment::NEVER)).await
}

fn queried(options: &Options, index: u64, document: &Value) -> Reply {
    let reply = Reply::json(200, document, options.pretty)
        .with("X-Consul-Index", &index.to_string())
        .with("X-Consul-Knownleader", "true")
        .with("X-Consul-Lastcontact", "0")
        .with("X-Consul-Effective-Consistency", options.consistency.text())
        .with("X-Consul-Query-Backend", "blocking-query")
        .with("X-Consul-Default-Acl-Policy", "allow");
    if options.cached { reply.with("X-Cache", "HIT").with("Age", "0") } else { reply }
}

impl Place<'_> {
    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        self.handle.read(|registry| look(&View { registry, datacenter: self.datacenter, here: self.here }))
    }
}
