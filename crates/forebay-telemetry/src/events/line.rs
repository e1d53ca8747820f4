//! An event as one line of text.

use std::time::SystemTime;

use tracing::Level;

use crate::date::rfc3339;
use crate::escape::{message, put, text};
use crate::json::JsonObject;

/// How lines are written; decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One JSON object per line, the event's fields in an object `fields`.
    Json,
    /// Time, level, target and message; then `name=value`.
    Text { color: bool },
}

/// An event with everything that a line shows.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) text: &'a str,
    pub(super) fields: &'a [(&'static str, Value)],
}

/// The value of one field.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// Any text.
    Text(String),
    /// A number, `true` or `false`: the same in JSON and for people.
    Literal(String),
}

impl Message<'_> {
    pub(super) fn to_line(&self, style: Style) -> Vec<u8> {
        let mut line = Vec::new();
        match style {
            Style::Json => self.append_json(&mut line),
            Style::Text { color } => self.append_text(&mut line, color),
        }
        line.push(b'\n');
        line
    }

    fn append_json(&self, line: &mut Vec<u8>) {
        let mut object = JsonObject::begin(line);
        object.string("time", &rfc3339(self.time));
        object.string("level", self.level.as_str().to_ascii_lowercase().as_bytes());
        object.string("target", self.target.as_bytes());
        object.string("message", self.text.as_bytes());
        if !self.fields.is_empty() {
            let mut fields = object.object("fields");
            for (name, value) in self.fields {
                match value {
                    Value::Text(text) => fields.string(name, text.as_bytes()),
                    Value::Literal(literal) => fields.literal(name, literal),
                }
            }
            fields.end();
        }
        object.end();
    }

    fn append_text(&self, line: &mut Vec<u8>, color: bool) {
        let (dim, level_color, plain) =
            if color { ("\x1b[2m", level_color(self.level), "\x1b[0m") } else { ("", "", "") };
        line.extend_from_slice(dim.as_bytes());
        line.extend_from_slice(&rfc3339(self.time));
        put(line, format_args!("{plain} {level_color}{:5}{plain} ", self.level.as_str()));
        put(line, format_args!("{dim}{}:{plain} ", self.target));
        message(line, self.text.as_bytes());
        for (name, value) in self.fields {
            put(line, format_args!(" {dim}{name}={plain}"));
            match value {
                Value::Text(value) => text(line, value.as_bytes()),
                Value::Literal(literal) => line.extend_from_slice(literal.as_bytes()),
            }
        }
    }
}

fn level_color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    fn check(style: Style, message: &Message<'_>, expected: &str) {
        assert_eq!(String::from_utf8(message.to_line(style)).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn an_event_is_one_line_in_every_style() {
        let fields =
            [("endpoint", Value::Text("127.0.0.1:9001".into())), ("attempt", Value::Literal("2".into()))];
        let (time, text, target) = (UNIX_EPOCH, "connection \"refused\"", "forebay_gateway::pool");
        let message = Message { time, level: Level::WARN, target, text, fields: &fields };
        check(
            Style::Json,
            &message,
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","level":"warn","target":"forebay_gateway::pool","#,
                r#""message":"connection \"refused\"","fields":{"endpoint":"127.0.0.1:9001","attempt":2}}"#,
            ),
        );
        check(
            Style::Text { color: false },
            &message,
            concat!(
                r#"1970-01-01T00:00:00.000Z WARN  forebay_gateway::pool: connection \"refused\" "#,
                "endpoint=127.0.0.1:9001 attempt=2",
            ),
        );
        let colored = concat!(
            "\x1b[2m1970-01-01T00:00:00.000Z\x1b[0m \x1b[33mWARN \x1b[0m ",
            "\x1b[2mforebay_gateway::pool:\x1b[0m connection \\\"refused\\\" ",
            "\x1b[2mendpoint=\x1b[0m127.0.0.1:9001 \x1b[2mattempt=\x1b[0m2",
        );
        check(Style::Text { color: true }, &message, colored);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line(text: String, value: String) {
            let fields = [("field", Value::Text(value))];
            let (time, level, target) = (UNIX_EPOCH, Level::INFO, "t");
            let message = Message { time, level, target, text: &text, fields: &fields };
            let json = message.to_line(Style::Json);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
            for line in [json, message.to_line(Style::Text { color: false })] {
                prop_assert_eq!(line.iter().filter(|&&byte| byte.is_ascii_control()).count(), 1);
            }
        }
    }
}
