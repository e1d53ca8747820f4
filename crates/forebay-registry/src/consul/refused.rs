//! Refusals as Consul's clients read them: a status and one line of text.

use crate::fields::BadBody;
use crate::reply::Reply;

/// Why a request gets no other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// One line for a person: what is wrong and what to do.
    pub(crate) text: String,
    /// The methods that the path has, for 405.
    pub(crate) allow: Option<&'static str>,
}

impl Refused {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Refused {
        Refused { status, text: text.into(), allow: None }
    }

    /// The request makes no sense.
    pub(crate) fn bad(text: impl Into<String>) -> Refused {
        Refused::new(400, text)
    }
}

impl From<BadBody> for Refused {
    fn from(error: BadBody) -> Refused {
        Refused::bad(format!("cannot decode the request's body: {error}"))
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Reply {
        let reply = Reply::text(refused.status, refused.text);
        match refused.allow {
            Some(methods) => reply.with("Allow", methods),
            None => reply,
        }
    }
}
