//! Endpoints from files that somebody else writes: reads one when it has changed, and says what is wrong with it. How
//! long the last good answer holds is not decided here.

mod eds;
mod target_groups;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::answer::{Answer, Part, ResolveFailure};
use crate::endpoint::Target;

/// How often a file is looked at; what it costs while nothing has changed is one system call.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Ten thousand endpoints with all that is usually said of them are a third of that.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What the coarsest of file systems counts time in (FAT), in seconds.
const COARSEST_S: i64 = 2;
/// Weights beyond this are a mistake; Envoy's own bound is the sum of all.
const WEIGHT_MAX: u64 = 1_000_000;

/// Reads files of endpoints.
#[derive(Debug, Default)]
pub struct FileReader {
    read: Mutex<HashMap<PathBuf, Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    /// `None` where the file had just been changed: who changes it again may leave no other stamp.
    stamp: Option<Stamp>,
    result: Result<Vec<Target>, Box<str>>,
}

/// By which a file is taken for the same. Whoever replaces one as a whole gives it another inode, and whoever writes into it
/// another time of its last change, whatever he says that its date is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileReader {
    /// The endpoints in a file: in Envoy's form (a `ClusterLoadAssignment`, or a `DiscoveryResponse` of such) or in that
    /// of Prometheus (`file_sd`, as JSON).
    pub fn read(&self, path: &Path) -> Result<Answer, ResolveFailure> {
        let failure = |problem: Box<str>| ResolveFailure::File { path: path.into(), problem };
        let stamp = stamp(path).map_err(|error| failure(error.to_string().into()))?;
        let mut seen = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(path).is_none_or(|seen| seen.stamp.as_ref() != Some(&stamp)) {
            let stamp = stamp.is_settled(SystemTime::now()).then_some(stamp);
            let result = read_bounded(path).map_err(|error| error.to_string().into());
            let result = result.and_then(|bytes| targets(&bytes).map_err(String::into_boxed_str));
            seen.insert(path.into(), Seen { stamp, result });
        }
        let Some(seen) = seen.get(path) else { return Err(failure("was not read".into())) };
        let targets = seen.result.clone().map_err(failure)?;
        if targets.is_empty() {
            return Err(ResolveFailure::NoRecords { name: path.to_string_lossy().into(), kind: "endpoint" });
        }
        let part = Part { name: "file".into(), targets: Some(targets) };
        Ok(Answer { parts: vec![part], ttl: LOOK_EVERY })
    }
}

impl Stamp {
    /// Whether a later change has another time for certain.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now_s = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        i64::try_from(now_s).is_ok_and(|now_s| now_s - self.changed.0 > COARSEST_S)
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("is no file"));
    }
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Ok(Stamp { inode: metadata.ino(), bytes: metadata.len(), changed })
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

/// The endpoints that a file's bytes say; what is wrong names the place within them.
pub fn targets(bytes: &[u8]) -> Result<Vec<Target>, String> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("is not valid JSON: {error}"))?;
    match &document {
        Value::Array(groups) => target_groups::targets(groups),
        Value::Object(_) => eds::targets(&document),
        _ => Err("is neither an object (Envoy's form) nor a list (that of Prometheus)".into()),
    }
}

/// An address that needs no lookup.
fn address(host: &str, port: u16, place: &str) -> Result<SocketAddr, String> {
    match host.parse() {
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => Err(format!(
            "{place}: {host:?} is no IP address; names are found by a source \"dns:{host}:{port}\""
        )),
    }
}

/// A weight as a number or as digits; at least 1.
fn weight(value: &Value, place: &str) -> Result<u32, String> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let weight = number
        .filter(|weight| (1..=WEIGHT_MAX).contains(weight))
        .and_then(|weight| u32::try_from(weight).ok());
    weight.ok_or_else(|| format!("{place}: {value} is no weight from 1 to {WEIGHT_MAX}"))
}

/// A priority as a number or as digits; 0 is the first.
fn priority(value: &Value, place: &str) -> Result<u16, String> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let priority = number.and_then(|number| u16::try_from(number).ok());
    priority.ok_or_else(|| format!("{place}: {value} is no priority from 0 to 65535"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;

    #[test]
    fn an_edit_is_seen_that_leaves_the_size_and_the_date_as_they_were() {
        let path = std::env::temp_dir().join(format!("forebay-endpoints-{}", std::process::id()));
        let reader = FileReader::default();
        let read = |port: u16| {
            fs::write(&path, format!("[{{\"targets\":[\"10.0.0.1:{port}\"]}}]")).unwrap();
            File::options().append(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            let answer = reader.read(&path).unwrap();
            answer.parts[0].targets.as_ref().unwrap()[0].address.port()
        };
        assert_eq!([9001, 9002, 9003].map(read), [9001, 9002, 9003]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_stamp_is_believed_when_the_next_change_must_have_another() {
        let changed_at = |changed_s| Stamp { inode: 1, bytes: 1, changed: (changed_s, 999_999_999) };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let settled = [97, 98, 100, 101].map(|changed_s| changed_at(changed_s).is_settled(now));
        assert_eq!(settled, [true, false, false, false]);
    }

    #[test]
    fn the_corpus_of_the_fuzzer_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/endpoints");
        let mut count = 0;
        for entry in fs::read_dir(corpus).unwrap() {
            match targets(&fs::read(entry.unwrap().path()).unwrap()) {
                Ok(targets) => assert!(targets.iter().all(|target| target.weight >= 1)),
                Err(problem) => assert!(!problem.is_empty()),
            }
            count += 1;
        }
        assert!(count >= 10, "the corpus has only {count} inputs");
    }
}
