//! What an API answers, whole and in memory.

use forebay_http::ResponseHead;
use forebay_http::problem::Problem;
use serde_json::Value;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    head: ResponseHead,
    body: Vec<u8>,
}

impl Reply {
    /// No body.
    pub(crate) fn empty(status: u16) -> Reply {
        Reply { head: ResponseHead::new(status), body: Vec::new() }
    }

    /// Plain text.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Reply {
        Reply::empty(status).with("Content-Type", TEXT).with_body(text.into().into_bytes())
    }

    /// A JSON document, on one line unless a person is to read it.
    pub(crate) fn json(status: u16, document: &Value, pretty: bool) -> Reply {
        Reply::json_text(status, Reply::written(document, pretty))
    }

    /// A JSON document that is written out already.
    pub(crate) fn json_text(status: u16, text: String) -> Reply {
        Reply::empty(status).with("Content-Type", JSON).with_body(text.into_bytes())
    }

    /// A JSON document, on one line unless a person is to read it.
    pub(crate) fn written(document: &Value, pretty: bool) -> String {
        if pretty { format!("{document:#}\n") } else { document.to_string() }
    }

    /// The same with one more field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Reply {
        self.head.fields_mut().append(name, value.as_bytes());
        self
    }

    fn with_body(self, body: Vec<u8>) -> Reply {
        Reply { body, ..self }
    }

    /// Head and body.
    pub(crate) fn response(mut self) -> (ResponseHead, Vec<u8>) {
        // A page that includes an answer as a script must not get a browser to guess that it is one.
        self.head.fields_mut().append("X-Content-Type-Options", b"nosniff");
        (self.head, self.body)
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Reply {
        let (head, body) = problem.response();
        Reply { head, body }
    }
}
