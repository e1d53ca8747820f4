//! A record as one line of text. Runs on the log's thread.

use std::fmt;
use std::time::Duration;

use super::record::AccessRecord;
use crate::date::rfc3339;
use crate::escape::{put, text};
use crate::json::JsonObject;
use crate::output::LineFormat;

/// Appends `record` as one line.
pub(super) fn append(out: &mut Vec<u8>, record: &AccessRecord<'_>, format: LineFormat) {
    match format {
        LineFormat::Json => append_json(out, record),
        LineFormat::Text => append_text(out, record),
    }
    out.push(b'\n');
}

fn append_json(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    let mut object = JsonObject::begin(out);
    object.string("time", &rfc3339(record.begun));
    if let Some(client) = record.client {
        object.string("client", client.to_string().as_bytes());
    }
    for (name, value) in [("method", record.method), ("host", record.host), ("path", record.path)] {
        if !value.is_empty() {
            object.string(name, value);
        }
    }
    if !record.protocol.is_empty() {
        object.string("protocol", record.protocol.as_bytes());
    }
    if let Some(status) = record.status {
        object.literal("status", status);
    }
    object.literal("duration_ms", Millis(record.duration));
    object.literal("bytes_in", record.bytes_in);
    object.literal("bytes_out", record.bytes_out);
    object.literal("attempts", record.attempts);
    if let Some(upstream) = record.upstream {
        object.literal("upstream_ms", Millis(upstream));
    }
    each_name(record, |name, value| object.string(name, value.as_bytes()));
    object.end();
}

/// Time, client, method, host and path, status, duration; then `name=value`.
fn append_text(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    out.extend_from_slice(&rfc3339(record.begun));
    match record.client {
        Some(client) => put(out, format_args!(" {client} ")),
        None => out.extend_from_slice(b" - "),
    }
    for value in [record.method, record.host, record.path] {
        text(out, if value.is_empty() { b"-" } else { value });
        out.push(b' ');
    }
    match record.status {
        Some(status) => put(out, format_args!("{status}")),
        None => out.push(b'-'),
    }
    put(out, format_args!(" {}ms", Millis(record.duration)));
    put(out, format_args!(" in={} out={} attempts={}", record.bytes_in, record.bytes_out, record.attempts));
    if let Some(upstream) = record.upstream {
        put(out, format_args!(" upstream={}ms", Millis(upstream)));
    }
    each_name(record, |name, value| {
        out.push(b' ');
        text(out, name.as_bytes());
        out.push(b'=');
        text(out, value.as_bytes());
    });
}

/// The named texts that both formats write alike, where there are any.
fn each_name(record: &AccessRecord<'_>, mut write: impl FnMut(&str, &str)) {
    for (name, value) in [("route", record.route), ("service", record.service), ("endpoint", record.endpoint)]
    {
        if !value.is_empty() {
            write(name, value);
        }
    }
    if record.trace_id != 0 {
        write("trace_id", &format!("{:032x}", record.trace_id));
    }
    if let Some(failure) = record.failure {
        write("failed_side", failure.side.as_str());
        write("failure", failure.reason);
    }
    record.extra.as_slice().iter().for_each(|(name, value)| write(name, value));
}

/// Milliseconds to the microsecond, rounded down.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Extra, Failure, Side};
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use std::time::UNIX_EPOCH;

    fn check(record: &AccessRecord<'_>, json: &str, text: &str) {
        let line = |format: LineFormat| {
            let mut out = Vec::new();
            append(&mut out, record, format);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line(LineFormat::Json), format!("{json}\n"));
        assert_eq!(line(LineFormat::Text), format!("{text}\n"));
    }

    #[test]
    fn a_full_record_shows_every_field() {
        let mut extra = Extra::new();
        extra.push("cache", "stale; ttl=-3");
        let record = AccessRecord {
            begun: UNIX_EPOCH + Duration::from_millis(1_795_409_132_007),
            duration: Duration::from_nanos(1_234_999),
            client: Some(Ipv4Addr::new(192, 0, 2, 7).into()),
            method: b"GET",
            host: b"shop.example",
            path: b"/api/orders/7\x1b\xff",
            protocol: "HTTP/1.1",
            status: Some(502),
            bytes_in: 0,
            bytes_out: 131,
            route: "orders",
            service: "orders",
            endpoint: "127.0.0.1:9001",
            attempts: 2,
            upstream: Some(Duration::from_micros(900)),
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            failure: Some(Failure { side: Side::Upstream, reason: "closed-before-head" }),
            extra,
        };
        check(
            &record,
            concat!(
                r#"{"time":"2026-11-23T04:45:32.007Z","client":"192.0.2.7","method":"GET","#,
                r#""host":"shop.example","path":"/api/orders/7\u001b"#,
                "\u{fffd}",
                r#"","protocol":"HTTP/1.1","status":502,"duration_ms":1.234,"bytes_in":0,"bytes_out":131,"#,
                r#""attempts":2,"upstream_ms":0.900,"route":"orders","service":"orders","#,
                r#""endpoint":"127.0.0.1:9001","trace_id":"0af7651916cd43dd8448eb211c80319c","#,
                r#""failed_side":"upstream","failure":"closed-before-head","cache":"stale; ttl=-3"}"#,
            ),
            concat!(
                r"2026-11-23T04:45:32.007Z 192.0.2.7 GET shop.example /api/orders/7\u{1b}\xff 502 1.234ms ",
                r"in=0 out=131 attempts=2 upstream=0.900ms route=orders service=orders ",
                r"endpoint=127.0.0.1:9001 ",
                r"trace_id=0af7651916cd43dd8448eb211c80319c failed_side=upstream failure=closed-before-head ",
                r#"cache="stale; ttl=-3""#,
            ),
        );
    }

    #[test]
    fn an_empty_record_is_still_a_line() {
        check(
            &AccessRecord::begun(UNIX_EPOCH),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","duration_ms":0.000,"bytes_in":0,"bytes_out":0,"#,
                r#""attempts":0}"#,
            ),
            "1970-01-01T00:00:00.000Z - - - - - 0.000ms in=0 out=0 attempts=0",
        );
    }

    proptest! {
        #[test]
        fn any_request_is_one_line_of_json(method: Vec<u8>, host: Vec<u8>, path: Vec<u8>, route in ".*") {
            let record = AccessRecord {
                method: &method,
                host: &host,
                path: &path,
                route: &route,
                ..AccessRecord::begun(UNIX_EPOCH)
            };
            let mut line = Vec::new();
            append(&mut line, &record, LineFormat::Json);
            prop_assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok());
        }
    }
}
