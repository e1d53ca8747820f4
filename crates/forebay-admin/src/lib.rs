//! The admin listener's role: probes, metrics, and what the process knows about itself, for people and programs.
//!
//! The routes are one list in `routes.rs`, which `GET /` prints. Each only reads, and answers from memory:
//! [`AdminState`] holds handles of what is shared, and closures for what the binary alone knows. Requests are served by
//! `forebay-http`'s server loop; [`guard`](forebay_http::guard::guard) refuses those that a foreign web page made a browser send.
//!
//! The binary wires it on the control runtime:
//!
//! ```
//! use std::rc::Rc;
//! use std::time::SystemTime;
//!
//! use forebay_admin::{Admin, AdminState, GenerationStatus, Verdict, serve_admin};
//! use forebay_clock::Clock;
//! use forebay_config::Effective;
//! use forebay_discovery::Discovery;
//! use forebay_http::{date::DateCache, server::ServerCore, timer::Sweeper};
//! use forebay_shutdown::{Phase, Shutdown};
//! use forebay_telemetry::metrics::Registry;
//!
//! let (clock, shutdown) = (Clock::system(), Shutdown::new());
//! let since = SystemTime::now();
//! let state = AdminState {
//!     clock: clock.clone(),
//!     registry: Registry::new(1),
//!     shutdown: shutdown.clone(),
//!     discovery: Discovery::new(clock.clone(), fastrand::Rng::new()),
//!     configuration: Box::new(|| Effective(Vec::new())), // `Loaded::effective_redacted` of the one in force
//!     generation: Box::new(move || GenerationStatus { number: 1, since, last_reload: None }),
//!     denied: Box::new(Vec::new),
//!     sparings: Box::new(Vec::new),
//!     auth: Box::new(Vec::new),
//!     checks: vec![("state directory", Box::new(|| Verdict::Ok("held".to_owned())))],
//! };
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
//! runtime.block_on(async {
//!     let core = ServerCore {
//!         sweeper: Sweeper::new(clock.clone()),
//!         dates: Rc::new(DateCache::new(clock)),
//!     };
//!     let listener = std::net::TcpListener::bind("127.0.0.1:0")?; // `listen` of `AdminSettings`
//!     let sweeping = core.sweeper.clone().run();
//!     let serving = serve_admin(listener, Rc::new(Admin::new(state)), core);
//!     shutdown.enter(Phase::Stopped); // or the example would go on for ever
//!     tokio::select! {
//!         served = serving => served,
//!         () = sweeping => Ok(()),
//!     }
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Absent here: a server of its own, authentication (so [`AdminSettings`] allows loopback only), and secrets: the
//! configuration arrives redacted.

mod admin;
mod asked;
mod config;
mod cors;
mod generation;
mod metrics;
mod plain;
mod probes;
mod reply;
mod routes;
mod serve;
mod services;
mod settings;
mod sparing;
mod state;
mod table;
mod telemetry;

pub use admin::Admin;
pub use serve::{CONNECTIONS_MAX, serve_admin};
pub use settings::AdminSettings;
pub use state::{
    AdminState, AuthMaterial, Denied, GenerationStatus, ReadinessCheck, Reload, Sparing, Verdict,
};
