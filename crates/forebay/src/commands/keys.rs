//! `forebay keys`: API keys are made, listed and taken back here. A key is shown once, when it is made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use forebay_auth::{ApiKey, KeyEntry, KeyHash, KeyRing, KeyText, Timestamp};
use forebay_config::{Name, Problem};
use serde_json::{Value, json};

use crate::cli::{Configured, exit};
use crate::commands::retry::duration;
use crate::configuration;
use crate::message::{Message, say, whole};

/// Its owner alone reads and writes the file: hashes are no secrets, but whoever can write it can let himself in.
const FILE_MODE: u32 = 0o600;

#[derive(Args, Debug)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key and print it. It cannot be shown again.
    New(NewArguments),
    /// List keys: whose they are, and until when they count.
    List(ListArguments),
    /// Take a key back. Gateways that run notice within seconds.
    Revoke(RevokeArguments),
}

/// Which file.
#[derive(Args, Debug)]
struct Ring {
    /// The file, instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The `[auth.NAME]` whose file it is, where several have one.
    #[arg(long, value_name = "NAME", value_parser = name, conflicts_with = "file")]
    policy: Option<Name>,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Args, Debug)]
struct NewArguments {
    /// Whose key it is: the application that will send it.
    #[arg(value_parser = name)]
    consumer: Name,
    /// After which time it counts no more, for example 90d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    ring: Ring,
}

#[derive(Args, Debug)]
struct ListArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    ring: Ring,
}

#[derive(Args, Debug)]
struct RevokeArguments {
    /// The key's id: what stands behind `fbk_`.
    id: String,
    #[command(flatten)]
    ring: Ring,
}

pub(crate) fn run(arguments: &KeysArguments) -> ExitCode {
    let done = match &arguments.what {
        What::New(arguments) => new(arguments),
        What::List(arguments) => list(arguments),
        What::Revoke(arguments) => revoke(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Wrong::Configuration(text)) => {
            eprintln!("{text}");
            exit::bad_configuration()
        }
        Err(Wrong::Message(message)) => {
            message.print();
            exit::failed()
        }
    }
}

enum Wrong {
    Configuration(String),
    Message(Message),
}

impl From<Message> for Wrong {
    fn from(message: Message) -> Wrong {
        Wrong::Message(message)
    }
}

fn new(arguments: &NewArguments) -> Result<(), Wrong> {
    let path = arguments.ring.path()?;
    let _lock = lock(&path)?;
    let mut ring = read_or_empty(&path)?;
    let key = KeyText::new().map_err(|error| Message::new(whole(&error)))?;
    let Some(ApiKey { id, hash }) = ApiKey::parse(key.reveal().as_bytes()) else {
        return Err(Message::new("the key that was made is none").into());
    };
    let now = SystemTime::now();
    let expires = arguments.expires.and_then(|time| now.checked_add(time)).map(Timestamp::of);
    let entry = KeyEntry {
        id: id.to_owned(),
        consumer: arguments.consumer.clone(),
        sha256: KeyHash(hash),
        created: Timestamp::of(now),
        expires,
        revoked: None,
    };
    ring.add(entry).map_err(|error| Message::new(error.to_string()))?;
    write(&path, &ring)?;
    let until = expires.map_or_else(|| "without end".to_owned(), |expires| format!("until {expires}"));
    eprintln!("{}: key {id} of {}, {until}; it is shown this once", path.display(), arguments.consumer);
    say!("{}", key.reveal());
    Ok(())
}

fn list(arguments: &ListArguments) -> Result<(), Wrong> {
    let path = arguments.ring.path()?;
    let ring = read(&path)?;
    let now = SystemTime::now();
    if arguments.json {
        let keys: Vec<Value> = ring.entries().iter().map(|entry| as_json(entry, now)).collect();
        say!("{}", json!({ "file": path, "keys": keys }));
        return Ok(());
    }
    say!("{:<14} {:<20} {:<8} {:<21} EXPIRES", "ID", "CONSUMER", "STATE", "CREATED");
    for entry in ring.entries() {
        let KeyEntry { id, consumer, created, expires, .. } = entry;
        let expires = expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string());
        say!(
            "{id:<14} {consumer:<20} {:<8} {:<21} {expires}",
            entry.standing(now).text(),
            created.to_string()
        );
    }
    Ok(())
}

fn as_json(entry: &KeyEntry, now: SystemTime) -> Value {
    json!({
        "id": entry.id,
        "consumer": entry.consumer.as_str(),
        "state": entry.standing(now).text(),
        "created": entry.created.to_string(),
        "expires": entry.expires.map(|moment| moment.to_string()),
        "revoked": entry.revoked.map(|moment| moment.to_string()),
    })
}

fn revoke(arguments: &RevokeArguments) -> Result<(), Wrong> {
    let path = arguments.ring.path()?;
    let _lock = lock(&path)?;
    let mut ring = read(&path)?;
    // Whoever pastes the whole key has shown it to his shell's history, and means its id.
    let id = ApiKey::parse(arguments.id.as_bytes()).map_or(&*arguments.id, |key| key.id);
    if !ring.revoke(id, SystemTime::now()) {
        let message = Message::new(format!("{} has no key {id:?} that still counts", path.display()));
        return Err(message.help("`forebay keys list` shows what there is").into());
    }
    write(&path, &ring)?;
    eprintln!("{}: key {id} is revoked; gateways that run notice within seconds", path.display());
    Ok(())
}

impl Ring {
    /// The file: given, or of the one policy that has one.
    fn path(&self) -> Result<PathBuf, Wrong> {
        if let Some(path) = &self.file {
            return Ok(path.clone());
        }
        let loaded = configuration::read(&self.configured)
            .map_err(|wrong| Wrong::Configuration(configuration::drawn(&wrong)))?;
        let policies = loaded.value.auth.iter().filter_map(|(name, settings)| {
            let keys = settings.api_keys.as_ref()?;
            self.policy.as_ref().is_none_or(|wanted| wanted == name).then(|| (name, keys.file.to_path_buf()))
        });
        let mut files: Vec<_> = policies.collect();
        files.dedup_by(|(_, one), (_, other)| one == other);
        match files.as_slice() {
            [(_, path)] => Ok(path.clone()),
            [] => {
                let message = Message::new("the configuration has no `api_keys`");
                Err(message
                    .help("add `[auth.NAME]` with `api_keys = \"keys.toml\"`, or name a file with --file")
                    .into())
            }
            several => {
                let names: Vec<String> = several.iter().map(|(name, _)| name.to_string()).collect();
                let message = Message::new(format!("several policies have keys: {}", names.join(", ")));
                Err(message.help("choose one with --policy").into())
            }
        }
    }
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_: Problem| "write lower-case letters, digits, `-` and `_`, at most 63".to_owned())
}

fn read_or_empty(path: &Path) -> Result<KeyRing, Message> {
    if path.exists() { read(path) } else { Ok(KeyRing::default()) }
}

fn read(path: &Path) -> Result<KeyRing, Message> {
    let text = std::fs::read(path).map_err(|error| {
        Message::new(format!("{} cannot be read: {error}", path.display()))
            .help("make the first key with `forebay keys new CONSUMER`")
    })?;
    KeyRing::parse(path, &text).map_err(|error| Message::new(error.to_string()))
}

/// Keeps others from writing meanwhile: two that write at once would lose a key. Held by the folder, because the file
/// itself is replaced.
fn lock(path: &Path) -> Result<File, Message> {
    let locked = File::open(folder(path)).and_then(|folder| folder.lock().map(|()| folder));
    locked.map_err(|error| {
        Message::new(format!("{} cannot be locked: {error}", folder(path).display()))
            .help("name a file in a directory that is there")
    })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the whole file, or leaves it as it was.
fn write(path: &Path, ring: &KeyRing) -> Result<(), Message> {
    // A link is to be followed, not replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".next");
    let next = path.with_file_name(name);
    let written = write_next(&next, ring.text().as_bytes()).and_then(|()| std::fs::rename(&next, &path));
    written.and_then(|()| File::open(folder(&path))?.sync_all()).map_err(|error| {
        // It may be there or not; either way it is not the file.
        let _ = std::fs::remove_file(&next);
        Message::new(format!("{} cannot be written: {error}", path.display()))
            .note("the file is as it was")
            .help("check the directory's rights and free space")
    })
}

fn write_next(next: &Path, text: &[u8]) -> io::Result<()> {
    // Left behind by somebody who was killed; the lock says that nobody else is at it.
    let _ = std::fs::remove_file(next);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(next)?;
    file.write_all(text)?;
    file.sync_all()
}
