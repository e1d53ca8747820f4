//! The demo's service: answers for orders it makes up, in the time that a small database would take. Keeps nothing, so
//! that every instance knows every order.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use forebay_http::problem::{Fault, Problem};
use forebay_http::server::{Exchange, Peer, Request};
use forebay_http::{Method, ResponseHead};
use serde_json::{Value, json};

/// Names the instance in every answer.
pub(crate) const INSTANCE_FIELD: &str = "x-instance";

/// The shortest time an answer takes.
const WORK_MIN: Duration = Duration::from_millis(2);
/// What it takes longer, on average; most answers take less, a few much more.
const WORK_MEAN: Duration = Duration::from_millis(4);
/// No answer takes longer.
const WORK_MAX: Duration = Duration::from_millis(40);

const ITEMS: [&str; 5] = ["turbine blade", "penstock", "trash rack", "wicket gate", "spillway gate"];
const STATES: [&str; 4] = ["received", "paid", "packed", "shipped"];
/// Orders of a listing.
const LISTED: u64 = 5;

/// One instance's answers.
pub(crate) struct Orders {
    name: String,
    ready: Cell<bool>,
    rng: RefCell<fastrand::Rng>,
}

/// What is asked for.
enum Asked {
    Health,
    Readiness,
    List,
    Order(u64),
    NewOrder,
    NoSuchPath,
    NotWithThisMethod(&'static str),
}

impl Orders {
    pub(crate) fn new(name: String, rng: fastrand::Rng) -> Orders {
        Orders { name, ready: Cell::new(true), rng: RefCell::new(rng) }
    }

    /// Readiness fails from now on.
    pub(crate) fn drain(&self) {
        self.ready.set(false);
    }

    fn answer(&self, asked: &Asked) -> Result<(u16, Value), Problem> {
        let ready = self.ready.get();
        let own = |kind, status, detail: &str| Problem::new(status, kind, Fault::Client, detail);
        match asked {
            Asked::Health => Ok((200, json!({ "status": "ok" }))),
            Asked::Readiness if ready => Ok((200, json!({ "status": "ready" }))),
            Asked::Readiness => Ok((503, json!({ "status": "draining" }))),
            Asked::List => Ok((200, json!({ "orders": (1..=LISTED).map(order).collect::<Vec<_>>() }))),
            Asked::Order(id) => Ok((200, order(*id))),
            Asked::NewOrder => Ok((201, order(self.rng.borrow_mut().u64(1000..10_000)))),
            Asked::NoSuchPath => {
                Err(own("not-found", 404, "orders are at /api/orders and /api/orders/{number}"))
            }
            Asked::NotWithThisMethod(allow) => {
                let problem = own("method-not-allowed", 405, "this path does not take this method");
                Err(Problem { allow: Some((*allow).to_owned()), ..problem })
            }
        }
    }

    /// Exponential, as service times often are.
    fn work(&self) -> Duration {
        let uniform = 1.0 - self.rng.borrow_mut().f64();
        (WORK_MIN + WORK_MEAN.mul_f64(-uniform.ln())).min(WORK_MAX)
    }
}

impl Exchange for Orders {
    async fn exchange(&self, mut request: Request<'_>) {
        let asked = asked(request.head.method(), request.head.path());
        if matches!(asked, Asked::List | Asked::Order(_) | Asked::NewOrder) {
            tokio::time::sleep(self.work()).await;
        }
        let (mut head, body) = match self.answer(&asked) {
            Ok((status, value)) => {
                let mut head = ResponseHead::new(status);
                head.fields_mut().append("content-type", b"application/json");
                if status == 201 {
                    head.fields_mut().append("location", format!("/api/orders/{}", value["id"]).as_bytes());
                }
                (head, format!("{value}\n").into_bytes())
            }
            Err(problem) => problem.response(),
        };
        head.fields_mut().append(INSTANCE_FIELD, self.name.as_bytes());
        // A client that has gone needs no answer.
        let _ = request.responder.send(head, &body).await;
    }

    fn refused(&self, _peer: &Peer, _problem: &Problem) {}
}

fn asked(method: Method, path: &str) -> Asked {
    let reads = matches!(method, Method::Get | Method::Head);
    match (path, method) {
        ("/healthz", _) if reads => Asked::Health,
        ("/readyz", _) if reads => Asked::Readiness,
        ("/api/orders", _) if reads => Asked::List,
        ("/api/orders", Method::Post) => Asked::NewOrder,
        ("/api/orders", _) => Asked::NotWithThisMethod("GET, HEAD, POST"),
        ("/healthz" | "/readyz", _) => Asked::NotWithThisMethod("GET, HEAD"),
        _ => match path.strip_prefix("/api/orders/").and_then(|id| id.parse().ok()) {
            Some(id) if reads => Asked::Order(id),
            Some(_) => Asked::NotWithThisMethod("GET, HEAD"),
            None => Asked::NoSuchPath,
        },
    }
}

/// The order with this number: always the same.
fn order(id: u64) -> Value {
    let mut rng = fastrand::Rng::with_seed(id);
    let (item, state) = (ITEMS[rng.usize(..ITEMS.len())], STATES[rng.usize(..STATES.len())]);
    json!({ "id": id, "item": item, "quantity": rng.u32(1..=4), "state": state })
}
