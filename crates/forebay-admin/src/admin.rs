//! The exchange of the admin listener: guard, route, answer. Requests have no say beyond their head; bodies are left to
//! the server loop, which reads a little of them and else closes.

use std::time::Duration;

use forebay_http::RequestHead;
use forebay_http::guard::guard;
use forebay_http::problem::Problem;
use forebay_http::server::{Exchange, Peer, Request};

use crate::asked::Asked;
use crate::reply::Reply;
use crate::routes::{self, Route};
use crate::state::AdminState;
use crate::telemetry::Telemetry;

/// How long a client may take to receive an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Answers the admin listener's requests.
pub struct Admin {
    state: AdminState,
    telemetry: Telemetry,
}

impl Admin {
    /// Answers from `state`, and counts in its registry.
    pub fn new(state: AdminState) -> Admin {
        Admin { telemetry: Telemetry::new(&state.registry), state }
    }

    /// What it answers from.
    pub fn state(&self) -> &AdminState {
        &self.state
    }

    fn answer(&self, head: &RequestHead, peer: &Peer) -> (Option<&'static Route>, Result<Reply, Problem>) {
        let route =
            guard(head, peer.local, "admin listener").and_then(|()| routes::find(head.method(), head.path()));
        match route {
            Ok(route) => (Some(route), (route.answer)(&self.state, Asked(head))),
            Err(problem) => (None, Err(problem)),
        }
    }
}

impl Exchange for Admin {
    async fn exchange(&self, mut request: Request<'_>) {
        let (route, answer) = self.answer(&request.head, request.peer);
        let (mut head, body) = answer.map_or_else(|problem| problem.response(), Reply::response);
        // A page that includes an answer as a script must not get a browser to guess that it is one.
        head.fields_mut().append("x-content-type-options", b"nosniff");
        self.telemetry.answered(route.map(|route| route.path), head.status());
        let until = request.timer.now() + ANSWER_TIME;
        // A client that does not take it is gone, and its connection ends unfinished.
        let _ = request.timer.within(until, request.responder.send(head, &body)).await;
    }

    fn refused(&self, _peer: &Peer, problem: &Problem) {
        self.telemetry.answered(None, problem.status);
    }
}
