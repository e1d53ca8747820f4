//! Notices that files of the configuration have changed.

use std::path::PathBuf;
use std::time::SystemTime;

use forebay_config::Loaded;

use crate::root::Root;

/// A file, with its date and size if it is there.
type Seen = (PathBuf, Option<(SystemTime, u64)>);

/// The files of a configuration as they were when last looked at: its own, and the certificates it names.
pub(crate) struct Watch {
    seen: Vec<Seen>,
}

impl Watch {
    /// As they are now. To be asked before they are read, so that a change in between is seen later.
    pub(crate) fn new(loaded: &Loaded<Root>) -> Watch {
        Watch { seen: dates(loaded) }
    }

    /// Whether any has changed since the last look.
    pub(crate) fn look(&mut self, loaded: &Loaded<Root>) -> bool {
        let now = dates(loaded);
        // A reload may have brought other files; they were read just then.
        let same_files = now.iter().map(|(file, _)| file).eq(self.seen.iter().map(|(file, _)| file));
        let changed = same_files && now != self.seen;
        self.seen = now;
        changed
    }
}

/// Looking at dates needs no watches, which some file systems do not have, and sees files that are replaced whole.
fn dates(loaded: &Loaded<Root>) -> Vec<Seen> {
    let tls = loaded.value.gateway.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    let roots = loaded.value.service.values().filter_map(|service| service.tls.roots.as_ref());
    let named = tls.chain(roots).map(|path| path.value.to_path_buf());
    let date = |file: PathBuf| {
        let found = std::fs::metadata(&file).ok();
        let date = found.and_then(|found| Some((found.modified().ok()?, found.len())));
        (file, date)
    };
    loaded.files().iter().cloned().chain(named).map(date).collect()
}
