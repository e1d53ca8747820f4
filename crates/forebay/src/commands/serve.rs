//! `forebay serve`: the gateway, alone in the foreground.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use forebay_clock::Clock;
use forebay_config::Loaded;
use forebay_discovery::Discovery;
use forebay_gateway::listener::{ListenError, listen};
use forebay_gateway::plan::Plan;
use forebay_gateway::probe::ProbeTls;
use forebay_gateway::settings::AccessLogFormat;
use forebay_gateway::sources::Sources;
use forebay_gateway::{Gateway, GatewayError, Keyring, Surroundings};
use forebay_shutdown::Shutdown;
use forebay_store::{StateDirectory, StateError};
use forebay_telemetry::access::{AccessLog, AccessSettings};
use forebay_telemetry::events::{self, LogSettings};
use forebay_telemetry::metrics::Registry;
use forebay_telemetry::{LineFormat, Output};

use crate::cli::{Configured, exit};
use crate::configuration;
use crate::control::{self, Control, Ended};
use crate::listeners;
use crate::message::{Message, whole};
use crate::registry::Registrar;
use crate::root::{LogFormat, LogLevel, Root};
use crate::storage::Storage;
use crate::watch::Reading;

/// How long the access log may take to write its last lines.
const LOG_CLOSE_TIME: Duration = Duration::from_secs(1);

pub(crate) fn run(configured: &Configured) -> ExitCode {
    let reading = Reading::default();
    let Some((loaded, plan)) = configuration::read_or_complain(configured, &reading) else {
        return exit::bad_configuration();
    };
    reading.leave_out_material(&plan);
    match serve(configured, loaded, plan, reading) {
        Ok(code) => code,
        Err(message) => {
            message.print();
            exit::failed()
        }
    }
}

fn serve(
    configured: &Configured,
    loaded: Loaded<Root>,
    plan: Plan,
    reading: Reading,
) -> Result<ExitCode, Message> {
    let root = loaded.value.clone();
    let state = StateDirectory::open(&root.state.directory).map_err(|error| state_message(&error))?;
    let listeners = bind(&loaded, &root.gateway.listen)?;
    let admin = bind(&loaded, &[root.admin.listen])?.remove(0);
    let log = events::init(log_settings(&root)).map_err(|error| Message::new(whole(&error)))?;
    let clock = Clock::system();
    let workers = workers(&root);
    let registry = Registry::new(workers);
    let access = start_access_log(&root, &registry, &clock)?;
    let surroundings = Surroundings {
        clock: clock.clone(),
        registry,
        discovery: Discovery::new(clock, fastrand::Rng::new()),
        probe_tls: ProbeTls::default(),
        shutdown: Shutdown::new(),
        keyring: Keyring::default(),
        sources: Sources::default(),
    };
    let mut storage = Storage::new(root.store.clone(), state.path(), surroundings.keyring.clone());
    storage.open_for(&plan)?;
    let registrar = Registrar::start(&loaded, &plan, &mut storage, &surroundings)?;
    let gateway = Gateway::start(plan, &listeners, workers, access.clone(), surroundings.clone())
        .map_err(|error| gateway_message(&loaded, &error))?;
    // As bound: where 0 is configured, the kernel has chosen.
    let addresses: Vec<String> =
        listeners.iter().filter_map(|listener| Some(listener.local_addr().ok()?.to_string())).collect();
    // The cores have sockets of their own; these would keep the ports open after them.
    drop(listeners);
    tracing::info!(listen = addresses.join(", "), workers, "serving");
    let control = Control {
        configured: configured.clone(),
        started: loaded.clone(),
        loaded,
        reading,
        gateway,
        surroundings,
        storage,
        log: &log,
        admin,
        hand_over: registrar.as_ref().map(|registrar| registrar.hand_over.clone()),
        registrar,
    };
    let Ended { summary, failed } = control::run(control).map_err(|error| Message::new(whole(&error)))?;
    if let Some(access) = access {
        // What nobody reads must not hold the process.
        let _ = access.close(LOG_CLOSE_TIME);
    }
    drop(log);
    eprintln!("{summary}");
    Ok(if failed { exit::failed() } else { ExitCode::from(summary.exit_code()) })
}

pub(crate) fn bind(loaded: &Loaded<Root>, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Message> {
    let bound = addresses.iter().map(|&address| listen(address)).collect::<Result<_, ListenError>>();
    bound.map_err(|error| listen_message(loaded, &error))
}

/// Why a port cannot be had, which setting asks for it, and what to do.
pub(crate) fn listen_message(loaded: &Loaded<Root>, error: &ListenError) -> Message {
    let key = listeners::at(&loaded.value, error.address()).map(|listener| listener.key());
    let setting = key.as_ref().map_or_else(|| "the port".to_owned(), |key| format!("`{key}`"));
    let told = key.and_then(|key| loaded.explain(&key).ok()?.into_iter().next()?.winner);
    let message =
        Message::new(whole(error)).at(told.map(|told| told.place.to_string())).help(error.help(&setting));
    match error {
        ListenError::InUse(_) => message
            .note("a listener needs its port to itself: shared with another process, requests would be lost"),
        _ => message,
    }
}

/// Why the gateway did not start, or did not take a configuration.
pub(crate) fn gateway_message(loaded: &Loaded<Root>, error: &GatewayError) -> Message {
    match error {
        GatewayError::ServicePort(error) => listen_message(loaded, error),
        _ => Message::new(whole(error)),
    }
}

/// What is said when a listener that worked fails for good.
pub(crate) fn listener_failed(which: &str, error: &dyn std::error::Error) -> Message {
    Message::new(format!("{which} has failed: {}", whole(error)))
        .note("a process that goes on without it would look well and be deaf; what is in flight finishes, then it ends")
        .help("start it again, best by what watches over it (systemd: Restart=on-failure)")
}

fn state_message(error: &StateError) -> Message {
    Message::new(whole(error))
        .note("two processes that write the same state would destroy it")
        .help(error.help())
}

fn workers(root: &Root) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    root.gateway.workers.map_or_else(available, |workers| workers as usize)
}

fn log_settings(root: &Root) -> LogSettings {
    let format = root.log.format.map(|format| match format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text => LineFormat::Text,
    });
    LogSettings { level: level(root.log.level), format, no_color: configuration::no_color() }
}

/// The tracing level of a setting.
pub(crate) fn level(level: LogLevel) -> tracing::level_filters::LevelFilter {
    use tracing::level_filters::LevelFilter;
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn start_access_log(
    root: &Root,
    registry: &Registry,
    clock: &Clock,
) -> Result<Option<Arc<AccessLog>>, Message> {
    use std::io::IsTerminal;
    let format = match root.gateway.access_log {
        AccessLogFormat::Off => return Ok(None),
        AccessLogFormat::Json => LineFormat::Json,
        AccessLogFormat::Text => LineFormat::Text,
        AccessLogFormat::Auto if std::io::stdout().is_terminal() => LineFormat::Text,
        AccessLogFormat::Auto => LineFormat::Json,
    };
    let settings = AccessSettings { format, output: Output::Stdout };
    let log =
        AccessLog::start(settings, registry, clock.clone()).map_err(|error| Message::new(whole(&error)))?;
    Ok(Some(Arc::new(log)))
}
