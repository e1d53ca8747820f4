//! Explains what a browser makes of a call: whether it asks for permission, which check fails and by what name, what a
//! script may read, and what to change. Sends nothing: whoever asks brings the answers.
//!
//! Three sources of answers: a policy ([`Configured`]), a server that is asked ([`Inquiry`]), a recording ([`har`]).
//!
//! ```
//! use forebay_cors::explain::{Answer, Call, Inquiry, Next};
//!
//! let call = Call::new("https://shop.example", "https://api.example/orders/7").expect("a call");
//! let mut inquiry = Inquiry::new(call.method("PUT").expect("a method"));
//! let report = loop {
//!     match inquiry.next() {
//!         // Here a server that does not know CORS.
//!         Next::Send(sent) => inquiry.answer(sent, Answer { status: 204, headers: Vec::new() }),
//!         Next::Done(report) => break report,
//!     }
//! };
//! assert_eq!(report.to_string(), "\
//! blocked: PreflightMissingAllowOriginHeader
//!   preflight needed   PUT is not a simple method
//!   1 origin           FAIL   the answer has no Access-Control-Allow-Origin
//! fix: answer OPTIONS with Access-Control-Allow-Origin: https://shop.example
//! ");
//! assert_eq!(report.exit_code(), 1);
//! ```

mod advice;
mod browser;
mod call;
mod checks;
mod departure;
pub mod har;
mod offline;
mod report;
mod safelist;
mod url;
mod verdict;

pub use browser::{Walk, walk};
pub use call::{Answer, Call, CallError, Credentials, Mode, Sent};
pub use checks::Block;
pub use departure::{Departure, Rules};
pub use offline::Configured;
pub(crate) use offline::list;
pub use report::Report;
pub use safelist::Cause;
pub use verdict::{Aspect, Reads, Step, Verdict};

/// A call, and the answers that somebody brought so far.
#[derive(Clone, Debug)]
pub struct Inquiry {
    call: Call,
    answers: Vec<(Sent, Answer)>,
}

/// What is needed next.
#[derive(Clone, Debug)]
pub enum Next {
    /// The answer to this.
    Send(Sent),
    /// Nothing.
    Done(Box<Report>),
}

impl Inquiry {
    /// Nothing is answered yet.
    pub fn new(call: Call) -> Inquiry {
        Inquiry { call, answers: Vec::new() }
    }

    /// What the browser would send, by Chromium's rules or by the standard's, that nobody has answered. Ends: a browser
    /// follows twenty redirects.
    pub fn next(&self) -> Next {
        let verdicts = [Rules::Chromium, Rules::Standard].map(|rules| walk(rules, &self.call, &self.answers));
        match verdicts {
            [Walk::Ask(sent), _] | [_, Walk::Ask(sent)] => Next::Send(sent),
            [Walk::Done(chromium), Walk::Done(standard)] => {
                Next::Done(Box::new(Report::new(self.call.clone(), chromium, standard)))
            }
        }
    }

    /// What came back.
    pub fn answer(&mut self, sent: Sent, answer: Answer) {
        self.answers.push((sent, answer));
    }

    /// Asks until it is done.
    pub(crate) fn run(mut self, answer: impl Fn(&Sent) -> Option<Answer>) -> Result<Report, Sent> {
        loop {
            match self.next() {
                Next::Done(report) => return Ok(*report),
                Next::Send(sent) => match answer(&sent) {
                    Some(answered) => self.answer(sent, answered),
                    None => return Err(sent),
                },
            }
        }
    }
}
