//! The latest answer to somebody who waited. A change wakes all who wait for it, and most of them asked the same: it is
//! written out once. Never speaks for another question, another state of the registry, or a later time.

use std::cell::RefCell;
use std::time::Duration;

use forebay_clock::Moment;

use crate::asked::Asked;
use crate::query::Query;

/// How long an answer stands for others. What moves no index, the words of a check, may change meanwhile.
const ECHO_TIME: Duration = Duration::from_millis(100);

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) index: u64,
    pub(crate) last_contact: Duration,
    /// The document.
    pub(crate) text: String,
}

/// The latest, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Echo(RefCell<Option<(Question, Said)>>);

#[derive(Debug, PartialEq, Eq)]
struct Question {
    path: String,
    query: Query,
    here: String,
    /// The registry's count of changes.
    count: u64,
    at: Moment,
}

impl Echo {
    /// The latest answer, if it is one to this question.
    pub(crate) fn of(&self, asked: &Asked, here: &str, count: u64, now: Moment) -> Option<Said> {
        let latest = self.0.borrow();
        let (question, said) = latest.as_ref()?;
        let is_same = question.count == count
            && now.since(question.at) <= ECHO_TIME
            && question.path == asked.path
            && question.query == asked.query
            && question.here == here;
        is_same.then(|| said.clone())
    }

    /// Keeps an answer in place of the one before.
    pub(crate) fn keep(&self, asked: &Asked, here: &str, count: u64, now: Moment, said: Said) {
        let (path, query, here) = (asked.path.clone(), asked.query.clone(), here.to_owned());
        *self.0.borrow_mut() = Some((Question { path, query, here, count, at: now }, said));
    }
}

#[cfg(test)]
mod tests {
    use forebay_http::Method;

    use super::*;

    fn asked(path: &str, query: &str) -> Asked {
        let query = Query::parse(query).expect("a query");
        Asked {
            method: Method::Get,
            path: path.into(),
            query,
            wants_text: false,
            places: Default::default(),
            body: Vec::new(),
        }
    }

    #[test]
    fn only_the_same_question_at_the_same_time_has_the_same_answer() {
        let (echo, now) = (Echo::default(), Moment::START + Duration::from_secs(1));
        let question = asked("/v1/health/service/a", "index=7&passing");
        let said = Said { index: 8, last_contact: Duration::ZERO, text: "[]".into() };
        assert_eq!(echo.of(&question, "here", 9, now), None);
        echo.keep(&question, "here", 9, now, said.clone());
        assert_eq!(echo.of(&question, "here", 9, now + ECHO_TIME), Some(said));
        assert_eq!(echo.of(&question, "here", 9, now + ECHO_TIME + Duration::from_nanos(1)), None);
        assert_eq!(echo.of(&question, "here", 10, now), None);
        assert_eq!(echo.of(&question, "there", 9, now), None);
        assert_eq!(echo.of(&asked("/v1/health/service/a", "index=7"), "here", 9, now), None);
        assert_eq!(echo.of(&asked("/v1/health/service/b", "index=7&passing"), "here", 9, now), None);
    }
}
