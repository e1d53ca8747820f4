//! What a child is, as its owner describes it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::machine::Terms;
use crate::restart::Restart;

/// One child process.
#[derive(Clone, Debug)]
pub struct Child {
    /// Tells it from its siblings, for people.
    pub name: String,
    /// What is executed. Looked up in the supervisor's `PATH` when it has no slash.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// Its whole environment. Nothing is inherited: a variable that happens to be set here must not decide there.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it works; where the supervisor does when not given.
    pub directory: Option<PathBuf>,
    /// Children of a stage are stopped once all those of higher stages are gone: who is called outlives its callers.
    pub stage: u8,
    /// When it is started again after it ended.
    pub restart: Restart,
    /// How long it may take to end after SIGTERM; then it is killed.
    pub patience: Duration,
}

impl Child {
    pub(crate) fn terms(&self) -> Terms {
        Terms { stage: self.stage, restart: self.restart, patience: self.patience }
    }
}
