//! Errors of Forebay's own as `application/problem+json` (RFC 9457): they say which side failed and what may help.

use serde_json::json;

use crate::head::ResponseHead;
use crate::parse::Malformed;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request, or the client's connection.
    Client,
    /// Forebay itself: configuration, limits, shutdown.
    Forebay,
    /// The service behind it.
    Upstream,
}

impl Fault {
    /// The member's value in the problem document.
    pub const fn text(self) -> &'static str {
        match self {
            Fault::Client => "client",
            Fault::Forebay => "forebay",
            Fault::Upstream => "upstream",
        }
    }
}

/// One error as a client sees it. `detail` is public: it names no address, no path on disk, no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// Stable word for the kind, the last part of its `type` URI.
    pub kind: &'static str,
    /// What happened, for a person.
    pub detail: String,
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Methods the resource has, for 405.
    pub allow: Option<String>,
    /// Seconds for `Retry-After`, for 429 and 503. Also in the document: scripts of other origins do not see the field
    /// unless a CORS policy exposes it.
    pub retry_after_s: Option<u32>,
    /// What `WWW-Authenticate` asks for, for 401; visible ASCII and spaces.
    pub challenge: Option<String>,
}

impl Problem {
    /// A problem that may pass by itself when its status is one of those that say so.
    pub fn new(status: u16, kind: &'static str, fault: Fault, detail: impl Into<String>) -> Problem {
        let retryable = matches!(status, 408 | 429 | 502 | 503 | 504);
        let detail = detail.into();
        Problem { status, kind, detail, fault, retryable, allow: None, retry_after_s: None, challenge: None }
    }

    /// For a request that is not valid HTTP.
    pub fn malformed(malformed: Malformed) -> Problem {
        let kind = match malformed.status() {
            414 => "target-too-long",
            417 => "expectation-failed",
            431 => "head-too-large",
            505 => "version-not-supported",
            _ => "malformed-request",
        };
        Problem::new(malformed.status(), kind, Fault::Client, malformed.to_string())
    }

    /// For a client that did not finish its head in time.
    pub fn head_timeout() -> Problem {
        Problem::new(408, "request-timeout", Fault::Client, "the request head did not arrive in time")
    }

    /// For a client that did not send the rest of its body in time.
    pub fn body_timeout() -> Problem {
        Problem::new(408, "request-timeout", Fault::Client, "the request body did not arrive in time")
    }

    /// Head and body.
    pub fn response(&self) -> (ResponseHead, Vec<u8>) {
        let mut head = ResponseHead::new(self.status);
        let fields = head.fields_mut();
        fields.append("content-type", b"application/problem+json");
        fields.append("cache-control", b"no-store");
        if let Some(allow) = &self.allow {
            fields.append("allow", allow.as_bytes());
        }
        if let Some(challenge) = &self.challenge {
            fields.append("www-authenticate", challenge.as_bytes());
        }
        if let Some(seconds) = self.retry_after_s {
            fields.append("retry-after", seconds.to_string().as_bytes());
        }
        let mut body = json!({
            "type": format!("urn:forebay:problem:{}", self.kind),
            "title": crate::head::reason_phrase(self.status),
            "status": self.status,
            "detail": self.detail,
            "fault": self.fault.text(),
            "retryable": self.retryable,
        });
        if let Some(seconds) = self.retry_after_s {
            body["retry_after"] = seconds.into();
        }
        let mut body = body.to_string().into_bytes();
        body.push(b'\n');
        (head, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_whose_fault_it_is() {
        let (head, body) = Problem::malformed(Malformed::Host).response();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(head.status(), 400);
        assert_eq!(body["fault"], "client");
        assert_eq!(body["type"], "urn:forebay:problem:malformed-request");
        assert_eq!((&body["status"], &body["retry_after"]), (&400.into(), &serde_json::Value::Null));
    }

    #[test]
    fn when_to_come_back_stands_in_the_field_and_in_the_document() {
        let problem = Problem::new(503, "busy", Fault::Forebay, "too much to do");
        let (head, body) = Problem { retry_after_s: Some(7), ..problem }.response();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(head.fields().get(crate::Name::RetryAfter), Some(&b"7"[..]));
        assert_eq!(body["retry_after"], 7);
    }
}
