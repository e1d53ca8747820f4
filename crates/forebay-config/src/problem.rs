//! [`Problem`]: why one value is not what its setting wants, before anybody knows which setting it is.

/// A clause that ends the sentence "`timeout` is a duration, and "15 parsecs" …", with optional advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(crate) clause: String,
    pub(crate) note: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) hidden: bool,
}

impl Problem {
    /// `clause` follows the written value: "has the unknown unit `parsecs`".
    pub fn new(clause: impl Into<String>) -> Problem {
        Problem { clause: clause.into(), note: None, help: None, hidden: false }
    }

    /// Why it matters.
    pub fn note(mut self, note: impl Into<String>) -> Problem {
        self.note = Some(note.into());
        self
    }

    /// What to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The value holds a secret that does not belong there: no message repeats it.
    pub fn hidden(mut self) -> Problem {
        self.hidden = true;
        self
    }
}

impl<E: std::error::Error> From<E> for Problem {
    /// "is not valid: …", from an error of a parser that knows nothing of settings.
    fn from(error: E) -> Problem {
        Problem::new(format!("is not valid: {error}"))
    }
}
