//! What one core owns, and the exchange it serves every request of a listener with.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use forebay_auth::{Identity, Remembered};
use forebay_clock::Moment;
use forebay_http::pool::Pool;
use forebay_http::problem::Problem;
use forebay_http::server::{Exchange, Peer, Request, ServerCore};
use forebay_idempotency::Keys;
use forebay_shutdown::Tally;
use forebay_telemetry::access::AccessWriter;
use forebay_telemetry::metrics::{self, Gauge};

use crate::gateway::{Keyring, Surroundings};
use crate::generation::{CoreGeneration, Generation};
use crate::passwords::Passwords;
use crate::stage::Role;
use crate::{pipeline, visit};

/// One core of the gateway. Lives on its thread and is shared by that thread's connections.
pub(crate) struct Core {
    pub(crate) server: ServerCore,
    pub(crate) rng: RefCell<fastrand::Rng>,
    pub(crate) pool: Pool,
    pub(crate) metrics: metrics::Core,
    pub(crate) access: RefCell<Option<AccessWriter>>,
    pub(crate) tally: Tally,
    /// Callers that need not be asked about again yet.
    pub(crate) remembered: RefCell<Remembered<Identity>>,
    pub(crate) passwords: Passwords,
    keyring: Keyring,
    generation: RefCell<Rc<CoreGeneration>>,
    idle: Gauge,
    idle_told: std::cell::Cell<i64>,
}

impl Core {
    pub(crate) fn new(
        server: ServerCore,
        generation: Arc<Generation>,
        metrics: metrics::Core,
        access: Option<AccessWriter>,
        surroundings: &Surroundings,
        passwords: Passwords,
        mut rng: fastrand::Rng,
    ) -> Core {
        let pool = Pool::new(generation.plan.limits.upstream_idle_timeout);
        let idle = generation.families.idle();
        let generation = Rc::new(CoreGeneration::new(generation, &mut rng));
        Core {
            server,
            rng: RefCell::new(rng),
            pool,
            metrics,
            access: RefCell::new(access),
            tally: surroundings.shutdown.tally(),
            remembered: RefCell::default(),
            passwords,
            keyring: surroundings.keyring.clone(),
            generation: RefCell::new(generation),
            idle,
            idle_told: std::cell::Cell::new(0),
        }
    }

    /// The configuration in force. A request keeps the one it began with.
    pub(crate) fn generation(&self) -> Rc<CoreGeneration> {
        self.generation.borrow().clone()
    }

    /// Puts another configuration in force for the requests to come.
    pub(crate) fn adopt(&self, generation: Arc<Generation>) {
        self.pool.set_idle_timeout(generation.plan.limits.upstream_idle_timeout);
        let next = Rc::new(CoreGeneration::new(generation, &mut self.rng.borrow_mut()));
        *self.generation.borrow_mut() = next;
    }

    /// The way to the store of idempotency keys, if there is one.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keyring.get()
    }

    pub(crate) fn now(&self) -> Moment {
        self.server.sweeper.now()
    }

    /// What is to be done now and then, without a request: about once a second.
    pub(crate) fn tick(&self) {
        self.pool.expire(self.now());
        let idle = self.pool.len() as i64;
        self.idle.add(self.metrics, idle - self.idle_told.replace(idle));
    }
}

/// What the requests of one listener are served with.
pub(crate) struct Entry<'c> {
    pub(crate) core: &'c Core,
    pub(crate) role: Role,
}

impl Exchange for Entry<'_> {
    #[expect(clippy::manual_async_fn, reason = "it would keep the request twice: as argument and as local")]
    fn exchange(&self, mut request: Request<'_>) -> impl Future<Output = ()> {
        async move { pipeline::serve(self.core, &self.role, &mut request).await }
    }

    fn refused(&self, peer: &Peer, problem: &Problem) {
        let core = self.core;
        core.generation.borrow().shared.families.refused(problem.kind).inc(core.metrics);
        if let Some(access) = core.access.borrow_mut().as_mut() {
            access.write(&visit::refusal(peer, problem));
        }
    }
}
