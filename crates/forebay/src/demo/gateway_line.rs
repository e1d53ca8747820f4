//! What a line that the gateway wrote means to the demo. Lines it cannot place stay as they are.

use forebay_supervise::Stream;
use serde_json::Value;

/// One line of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It accepts connections.
    Serving,
    /// A changed configuration is in force.
    Reloaded { generation: u64 },
    /// A changed configuration is not in force; why, stands in the lines before.
    Rejected,
    /// One request of the access log.
    Answered { attempts: u64 },
    /// Something that people should see.
    Warning(String),
    /// A line for people, of a message that may have several.
    Text,
    /// Nothing worth a line.
    Nothing,
}

/// Reads a line: the access log is on standard output, messages are on standard error, both as JSON. What is not JSON
/// is a diagnostic.
pub(crate) fn read(stream: Stream, line: &str) -> Said {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(line) else { return Said::Text };
    if stream == Stream::Out {
        let attempts = object.get("attempts").and_then(Value::as_u64);
        return attempts.map_or(Said::Nothing, |attempts| Said::Answered { attempts });
    }
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let field = |name| object.get("fields").and_then(|fields| fields.get(name));
    let message = text("message");
    match (text("level"), message) {
        (_, "serving") => Said::Serving,
        (_, "reloaded") => {
            let generation = field("generation").and_then(Value::as_u64).unwrap_or_default();
            Said::Reloaded { generation }
        }
        (_, rejected) if rejected.starts_with("reload rejected") => Said::Rejected,
        ("warn" | "error", _) => {
            let fields = object.get("fields").and_then(Value::as_object).into_iter().flatten();
            let said =
                fields.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let said: Vec<String> = said.collect();
            let colon = if said.is_empty() { "" } else { ": " };
            Said::Warning(format!("{message}{colon}{}", said.join(", ")))
        }
        _ => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_the_gateway_means_by_them() {
        let check = |stream, line: &str, said| assert_eq!(read(stream, line), said, "{line}");
        check(Stream::Out, r#"{"status":200,"attempts":2}"#, Said::Answered { attempts: 2 });
        check(Stream::Err, r#"{"level":"info","message":"serving","fields":{"workers":2}}"#, Said::Serving);
        check(
            Stream::Err,
            r#"{"level":"info","message":"reloaded","fields":{"why":"a file changed","generation":3}}"#,
            Said::Reloaded { generation: 3 },
        );
        check(
            Stream::Err,
            r#"{"level":"error","message":"reload rejected; the running configuration stays"}"#,
            Said::Rejected,
        );
        check(
            Stream::Err,
            r#"{"level":"warn","message":"these wait for a restart","fields":{"settings":"gateway.listen","n":1}}"#,
            Said::Warning("these wait for a restart: 1, gateway.listen".to_owned()),
        );
        check(Stream::Err, r#"{"level":"info","message":"something"}"#, Said::Nothing);
        check(Stream::Err, "error: unknown key `timout` in [gateway]", Said::Text);
    }
}
