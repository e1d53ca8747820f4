//! The API keys there are, as a file holds them: hashes, whose they are, and until when. Writes the file's text, and
//! reads it. Holds no key.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

use forebay_config::{
    Diagnostics, Inputs, Name, Node, Place, Problem, Reader, Settings, Shape, Spanned, Value, load,
};

use crate::api_key::ApiKey;
use crate::material::MaterialError;
use crate::timestamp::Timestamp;

/// Keys of one file; ten thousand consumers with a key that is being replaced.
pub(crate) const RING_KEYS_MAX: usize = 20_000;

const HEADING: &str =
    "# Written by `forebay keys`. Holds hashes alone: a key that is lost has to be replaced by a new one.\n";

/// The keys of a file.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    entries: Vec<KeyEntry>,
    by_hash: HashMap<[u8; 32], usize>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Settings)]
pub struct KeyEntry {
    /// The part of the key's text that is no secret.
    #[setting(min_length = 1, max_length = 32)]
    pub id: String,
    /// Whose key it is. Several keys may have one consumer, so that a new one is in use before the old one ends.
    pub consumer: Name,
    /// SHA-256 of the whole key, in hexadecimal digits.
    pub sha256: KeyHash,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it counts no more; never, when not given.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// A digest, as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(pub [u8; 32]);

/// What a key is good for at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It opens.
    Valid,
    /// Its time is over.
    Expired,
    /// Somebody has taken it back.
    Revoked,
}

/// The whole file.
#[derive(Clone, Debug, Settings)]
struct KeysFile {
    /// The keys.
    key: Vec<Spanned<KeyEntry>>,
}

impl Value for KeyHash {
    const SHAPE: Shape = Shape::text("a SHA-256 in hexadecimal digits", "\"9f86d081…\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<KeyHash> {
        reader.text(node, &Self::SHAPE, |text| {
            let mut hash = [0; 32];
            let is_hex = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
            if !is_hex {
                return Err(Problem::new("has not 64 hexadecimal digits"));
            }
            for (at, byte) in hash.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16)?;
            }
            Ok(KeyHash(hash))
        })
    }
}

impl KeyEntry {
    /// What it is good for now.
    pub fn standing(&self, now: SystemTime) -> Standing {
        if self.revoked.is_some() {
            Standing::Revoked
        } else if self.expires.is_some_and(|expires| expires.time() <= now) {
            Standing::Expired
        } else {
            Standing::Valid
        }
    }
}

impl Standing {
    /// As lists show it.
    pub const fn text(self) -> &'static str {
        match self {
            Standing::Valid => "valid",
            Standing::Expired => "expired",
            Standing::Revoked => "revoked",
        }
    }
}

impl KeyRing {
    /// Reads a file's text. What is wrong is told in one line, which names the line of the file and not the file.
    pub fn parse(name: &Path, text: &[u8]) -> Result<KeyRing, MaterialError> {
        let read = |_: &Path| Ok(text.to_vec());
        let inputs = Inputs { file: Some(name.to_owned()), files: &read, ..Inputs::default() };
        let loaded = load::<KeysFile>(inputs).map_err(|wrong| MaterialError::new(first_of(&wrong)))?;
        let mut ring = KeyRing::default();
        for entry in loaded.value.key {
            if ring.entries.iter().any(|known| known.id == entry.value.id) {
                return Err(MaterialError::new(format!("two keys have the id {}", entry.value.id)));
            }
            ring.add(entry.value)?;
        }
        Ok(ring)
    }

    /// Adds a key.
    pub fn add(&mut self, entry: KeyEntry) -> Result<(), MaterialError> {
        if self.entries.len() >= RING_KEYS_MAX {
            return Err(MaterialError::new(format!("a file holds at most {RING_KEYS_MAX} keys")));
        }
        self.by_hash.insert(entry.sha256.0, self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    /// Takes a key back; false when there is none of this id, or it was taken back before.
    pub fn revoke(&mut self, id: &str, now: SystemTime) -> bool {
        let found = self.entries.iter_mut().find(|entry| entry.id == id && entry.revoked.is_none());
        found.map(|entry| entry.revoked = Some(Timestamp::of(now))).is_some()
    }

    /// All of them, in the file's order.
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// The entry of a key. Found by its digest: what a stranger can learn from the time it takes is nothing about any key,
    /// because he cannot choose digests.
    pub fn find(&self, key: &ApiKey<'_>) -> Option<&KeyEntry> {
        self.by_hash.get(&key.hash).map(|&at| &self.entries[at])
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = HEADING.to_owned();
        for KeyEntry { id, consumer, sha256, created, expires, revoked } in &self.entries {
            let hash: String = sha256.0.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = write!(
                text,
                "\n[[key]]\nid = \"{id}\"\nconsumer = \"{consumer}\"\nsha256 = \"{hash}\"\ncreated = \"{created}\"\n"
            );
            for (name, moment) in [("expires", expires), ("revoked", revoked)] {
                if let Some(moment) = moment {
                    let _ = writeln!(text, "{name} = \"{moment}\"");
                }
            }
        }
        text
    }
}

/// The first thing that is wrong, where, and how much else is.
fn first_of(wrong: &Diagnostics) -> String {
    let Some(first) = wrong.iter().next() else { return "it is no file of keys".to_owned() };
    let place = match wrong.place(first) {
        Some(Place::File { line, .. }) => format!("line {line}: "),
        _ => String::new(),
    };
    let more = match wrong.len() - 1 {
        0 => String::new(),
        1 => ", and 1 more problem".to_owned(),
        more => format!(", and {more} more problems"),
    };
    format!("{place}{}{more}", first.message())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::api_key::KeyText;

    fn moment(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn entry(key: &KeyText, consumer: &str, expires: Option<u64>) -> KeyEntry {
        let ApiKey { id, hash } = ApiKey::parse(key.reveal().as_bytes()).unwrap();
        KeyEntry {
            id: id.to_owned(),
            consumer: consumer.parse().unwrap(),
            sha256: KeyHash(hash),
            created: Timestamp::of(moment(1)),
            expires: expires.map(|seconds| Timestamp::of(moment(seconds))),
            revoked: None,
        }
    }

    #[test]
    fn a_ring_reads_back_as_it_was_written_and_holds_no_key() {
        let (old, new) = (KeyText::new().unwrap(), KeyText::new().unwrap());
        let mut ring = KeyRing::default();
        ring.add(entry(&old, "web", Some(100))).unwrap();
        ring.add(entry(&new, "web", None)).unwrap();
        let text = ring.text();
        assert!(!text.contains(&old.reveal()[17..]), "the secret is not written");
        let mut read = KeyRing::parse(Path::new("keys.toml"), text.as_bytes()).unwrap();
        assert_eq!(read.entries(), ring.entries());
        let find = |ring: &KeyRing, key: &KeyText, now| {
            ring.find(&ApiKey::parse(key.reveal().as_bytes()).unwrap()).unwrap().standing(now)
        };
        assert_eq!(find(&read, &old, moment(99)), Standing::Valid, "both open while one replaces the other");
        assert_eq!(find(&read, &new, moment(99)), Standing::Valid);
        assert_eq!(find(&read, &old, moment(100)), Standing::Expired);
        let id = read.entries()[1].id.clone();
        assert!(
            read.revoke(&id, moment(50)) && !read.revoke(&id, moment(51)) && !read.revoke("none", moment(51))
        );
        assert_eq!(find(&read, &new, moment(99)), Standing::Revoked);
        let again = KeyRing::parse(Path::new("keys.toml"), read.text().as_bytes()).unwrap();
        assert_eq!(again.entries(), read.entries());
    }

    #[test]
    fn a_damaged_file_says_where() {
        let wrong =
            |text: &str| KeyRing::parse(Path::new("keys.toml"), text.as_bytes()).unwrap_err().to_string();
        let missing = "line 1: `consumer` is missing in [[key]], and 2 more problems";
        assert_eq!(wrong("[[key]]\nid = \"a\"\n"), missing);
        let entry =
            "[[key]]\nid = \"a\"\nconsumer = \"b\"\nsha256 = \"XX\"\ncreated = \"2026-01-01T00:00:00Z\"\n";
        assert!(wrong(entry).starts_with("line 4: ") && !wrong(entry).contains("error:"), "{}", wrong(entry));
        assert!(wrong(entry).contains("has not 64 hexadecimal digits"), "{}", wrong(entry));
        let valid = entry.replace("XX", &"0".repeat(64));
        assert!(wrong(&format!("{valid}{valid}")).contains("two keys have the id a"));
        assert!(KeyRing::parse(Path::new("keys.toml"), b"").unwrap().entries().is_empty());
    }
}
