//! What a route answers, whole and in memory.

use forebay_http::ResponseHead;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Reply {
    /// Plain text, which ends with a line's end.
    pub(crate) fn text(body: impl Into<String>) -> Reply {
        Reply::of_type(TEXT, body)
    }

    /// A JSON document on one line.
    pub(crate) fn json(document: &serde_json::Value) -> Reply {
        Reply::of_type(JSON, format!("{document}\n"))
    }

    pub(crate) fn of_type(content_type: &'static str, body: impl Into<String>) -> Reply {
        Reply { status: 200, content_type, body: body.into() }
    }

    /// The same with another status than 200.
    pub(crate) fn with_status(self, status: u16) -> Reply {
        Reply { status, ..self }
    }

    /// Head and body.
    pub(crate) fn response(self) -> (ResponseHead, Vec<u8>) {
        let mut head = ResponseHead::new(self.status);
        head.fields_mut().append("content-type", self.content_type.as_bytes());
        // True only at this moment.
        head.fields_mut().append("cache-control", b"no-store");
        (head, self.body.into_bytes())
    }
}
