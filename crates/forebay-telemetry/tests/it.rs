//! What users of the crate see: the two expositions whole, the access log in a file, the life of the event
//! log.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use forebay_clock::Clock;
use forebay_telemetry::access::{AccessLog, AccessRecord, AccessSettings};
use forebay_telemetry::events::{self, LevelFilter, LogSettings};
use forebay_telemetry::metrics::{
    Buckets, Desc, Exposition, Gauge, MethodLabel, Registry, StatusClass, Unit,
};
use forebay_telemetry::{LineFormat, Output, TelemetryError};

/// More than a loaded machine needs; nothing waits for it unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

const DURATION: Desc<3> = Desc::new(
    "http_server_request_duration_seconds",
    "From the first byte of a request to the last byte of its response.",
    ["route", "method", "status_class"],
)
.unit(Unit::Seconds);
const ATTEMPTS: Desc<2> =
    Desc::new("http_upstream_attempts", "Requests sent to an endpoint.", ["service", "endpoint"]);
const IN_FLIGHT: Desc<0> = Desc::new("http_server_active_requests", "Requests now in flight.", []);
const ENDPOINTS: Desc<2> =
    Desc::new("forebay_endpoints", "Endpoints by \"health\" \\ state.", ["service", "health"]);
const MEMORY: Desc<0> = Desc::new("forebay_buffer_bytes", "Bytes in pooled buffers.", []).unit(Unit::Bytes);

/// A registry with one family of every kind, and the gauge that must be held to be shown.
fn small_shop() -> (Registry, Gauge) {
    let registry = Registry::new(1);
    let core = registry.claim_core().expect("nobody else claims");
    let duration =
        registry.histograms(DURATION, Buckets::HTTP).grid::<(MethodLabel, StatusClass), 1>(["orders"]);
    let ok = duration.at((MethodLabel::of(b"GET"), StatusClass::of(Some(200))));
    for micros in [300, 500, 700, 4_000, 60_000, 12_000_000] {
        ok.record(core, micros * 1_000);
    }
    registry.counters(ATTEMPTS).series(["orders", "127.0.0.1:9001"]).add(core, 7);
    registry.counters(ATTEMPTS).series(["odd\\name", "say \"hi\"\nthere"]).add_shared(1);
    let in_flight = registry.gauges(IN_FLIGHT).series([]);
    in_flight.inc(core);
    registry.observe_gauges(ENDPOINTS, |seen| {
        seen.set(["orders", "up"], 2.0);
        seen.set(["orders", "down"], 1.0);
    });
    registry.observe_gauges(MEMORY, |seen| seen.set([], 65_536.0));
    (registry, in_flight)
}

#[test]
fn metrics_are_exposed_as_in_the_golden_files() {
    let check = |exposition, golden: &str| {
        let (registry, _in_flight) = small_shop();
        assert_eq!(registry.expose(exposition), golden);
    };
    check(Exposition::PrometheusText, include_str!("golden/metrics.prometheus.txt"));
    check(Exposition::OpenMetrics, include_str!("golden/metrics.openmetrics.txt"));
}

/// A file of this test's own, not there yet.
fn fresh_file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn start(path: PathBuf, registry: &Registry) -> AccessLog {
    let settings = AccessSettings { format: LineFormat::Json, output: Output::File(path) };
    AccessLog::start(settings, registry, Clock::manual()).expect("the file is writable")
}

#[test]
fn every_record_of_every_core_is_written_or_counted() {
    const CORES: usize = 2;
    const RECORDS: usize = 20_000;
    let path = fresh_file("access");
    let registry = Registry::new(CORES);
    let log = start(path.clone(), &registry);
    thread::scope(|scope| {
        for _ in 0..CORES {
            scope.spawn(|| {
                let mut access = log.writer(registry.claim_core().unwrap());
                for _ in 0..RECORDS {
                    access.write(&AccessRecord { path: b"/orders", ..AccessRecord::begun(UNIX_EPOCH) });
                }
            });
        }
    });
    log.close(PATIENCE).unwrap();
    let written = fs::read_to_string(&path).unwrap();
    let is_whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert!(written.lines().all(is_whole));
    let dropped = registry.counters(Desc::new(
        "forebay_access_log_dropped",
        "Access log records that were dropped because the log could not keep up or could not be written.",
        [],
    ));
    assert_eq!(written.lines().count() + dropped.series([]).total() as usize, CORES * RECORDS);
    fs::remove_file(path).unwrap();
}

#[test]
fn rotation_loses_no_record() {
    const RECORDS: usize = 1_000;
    let (path, rotated) = (fresh_file("rotated"), fresh_file("rotated.1"));
    let registry = Registry::new(1);
    let log = start(path.clone(), &registry);
    let mut access = log.writer(registry.claim_core().unwrap());
    for number in 0..RECORDS {
        if number == RECORDS / 2 {
            fs::rename(&path, &rotated).unwrap();
            log.reopen();
        }
        access.write(&AccessRecord::begun(UNIX_EPOCH));
    }
    log.close(PATIENCE).unwrap();
    let lines = |path| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(lines(&path) + lines(&rotated), RECORDS);
    fs::remove_file(path).unwrap();
    fs::remove_file(rotated).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let settings =
        AccessSettings { format: LineFormat::Text, output: Output::File("/nonexistent/access.log".into()) };
    let error = AccessLog::start(settings, &Registry::new(1), Clock::manual()).unwrap_err();
    assert_eq!(error.to_string(), "log file /nonexistent/access.log cannot be opened");
}

#[test]
fn a_process_has_one_event_log_whose_level_can_change() {
    let settings = LogSettings { level: LevelFilter::WARN, format: Some(LineFormat::Text), no_color: true };
    let log = events::init(settings).unwrap();
    assert!(matches!(events::init(settings), Err(TelemetryError::AlreadyStarted)));
    assert_eq!(LevelFilter::current(), LevelFilter::WARN);
    log.set_level(LevelFilter::DEBUG);
    assert_eq!(LevelFilter::current(), LevelFilter::DEBUG);
    log.set_level(LevelFilter::OFF);
}
