//! Receives events from the `tracing` facade. Decides which are shown; ignores spans.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::line::{Message, Style, Value};

/// What our own crates' targets begin with.
const OUR_TARGETS: &str = "forebay";

/// Every filter, from showing nothing to showing everything.
const FILTERS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// A level filter that can change while others read it.
#[derive(Debug)]
pub(super) struct Level(AtomicU8);

impl Level {
    pub(super) fn new(level: LevelFilter) -> Level {
        Level(AtomicU8::new(index(level)))
    }

    pub(super) fn set(&self, level: LevelFilter) {
        self.0.store(index(level), Relaxed);
    }

    fn get(&self) -> LevelFilter {
        FILTERS[usize::from(self.0.load(Relaxed))]
    }

    /// The filter for one target. Libraries explain themselves at length to those who develop them; the
    /// people who run Forebay asked Forebay.
    fn for_target(&self, target: &str) -> LevelFilter {
        match self.get() {
            LevelFilter::TRACE => LevelFilter::TRACE,
            level if target.starts_with(OUR_TARGETS) => level,
            level => level.min(LevelFilter::WARN),
        }
    }
}

fn index(level: LevelFilter) -> u8 {
    FILTERS.iter().position(|&filter| filter == level).unwrap_or(0) as u8
}

/// Turns events into lines and hands each to `send`.
pub(super) struct EventSubscriber<F> {
    level: Arc<Level>,
    style: Style,
    now: fn() -> SystemTime,
    send: F,
}

impl<F: Fn(Vec<u8>) + 'static> EventSubscriber<F> {
    pub(super) fn new(
        level: Arc<Level>,
        style: Style,
        now: fn() -> SystemTime,
        send: F,
    ) -> EventSubscriber<F> {
        EventSubscriber { level, style, now, send }
    }
}

impl<F: Fn(Vec<u8>) + 'static> Subscriber for EventSubscriber<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level.for_target(metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.get())
    }

    fn event(&self, event: &Event<'_>) {
        let mut seen = Fields::default();
        event.record(&mut seen);
        let metadata = event.metadata();
        let message = Message {
            time: (self.now)(),
            level: *metadata.level(),
            target: metadata.target(),
            text: &seen.message,
            fields: &seen.fields,
        };
        (self.send)(message.to_line(self.style));
    }

    // Spans are never enabled, so nobody calls what follows.

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Collects an event's fields.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Fields {
    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            _ => self.push(field, Value::Text(text)),
        }
    }

    fn literal(&mut self, field: &Field, literal: impl fmt::Display) {
        self.push(field, Value::Literal(literal.to_string()));
    }

    fn push(&mut self, field: &Field, value: Value) {
        // `r#type` is how Rust spells a field called `type`.
        let name = field.name();
        self.fields.push((name.strip_prefix("r#").unwrap_or(name), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, with_causes(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.literal(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.literal(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for NaN and infinities.
        if value.is_finite() {
            self.literal(field, value);
        } else {
            self.text(field, value.to_string());
        }
    }
}

/// Our errors print only their own level, so the causes are walked: `a: b: c`.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TelemetryError;
    use std::sync::Mutex;
    use std::time::UNIX_EPOCH;

    fn lines_of(level: LevelFilter, log: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let send = {
            let lines = Arc::clone(&lines);
            move |line| lines.lock().unwrap().push(String::from_utf8(line).unwrap())
        };
        let (level, style) = (Arc::new(Level::new(level)), Style::Text { color: false });
        tracing::subscriber::with_default(EventSubscriber::new(level, style, || UNIX_EPOCH, send), log);
        lines.lock().unwrap().clone()
    }

    #[test]
    fn fields_keep_their_type_and_order() {
        let log = || {
            tracing::info!(
                target: "forebay",
                a = 1, b = "two words", c = ?Some(3), d = %4.5, e = true, f = f64::NAN, r#type = "x", "done"
            );
        };
        let expected = r#"INFO  forebay: done a=1 b="two words" c=Some(3) d=4.5 e=true f=NaN type=x"#;
        assert_eq!(lines_of(LevelFilter::INFO, log), [format!("1970-01-01T00:00:00.000Z {expected}\n")]);
    }

    #[test]
    fn an_error_shows_its_causes() {
        let source = std::io::Error::other("disk on fire");
        let error = TelemetryError::OpenFile { path: "/var/log/x".into(), source };
        let log = || tracing::error!(target: "forebay", error = &error as &dyn Error, "failed");
        let lines = lines_of(LevelFilter::INFO, log);
        assert!(
            lines[0].ends_with("error=\"log file /var/log/x cannot be opened: disk on fire\"\n"),
            "{lines:?}"
        );
    }

    #[test]
    fn others_are_quieter_than_we_are() {
        let log = || {
            tracing::debug!(target: "forebay_gateway", "ours");
            tracing::trace!(target: "forebay_gateway", "too much of ours");
            tracing::info!(target: "h2::codec", "theirs");
            tracing::warn!(target: "h2::codec", "theirs, and it matters");
        };
        let shown = |level| lines_of(level, log).len();
        assert_eq!(shown(LevelFilter::OFF), 0);
        assert_eq!(shown(LevelFilter::ERROR), 0);
        assert_eq!(shown(LevelFilter::DEBUG), 2);
        assert_eq!(shown(LevelFilter::TRACE), 4);
    }

    #[test]
    fn spans_are_ignored() {
        let log = || tracing::info_span!(target: "forebay", "request").in_scope(|| ());
        assert!(lines_of(LevelFilter::TRACE, log).is_empty());
    }
}
