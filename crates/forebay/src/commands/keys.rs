//! `forebay keys`: API keys are made, listed and taken back here. A key is shown once, when it is made.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use forebay_auth::{ApiKey, KeyEntry, KeyHash, KeyRing, KeyText, Timestamp};
use forebay_config::{Name, Problem};
use serde_json::{Value, json};

use crate::cli::{Configured, exit};
use crate::configuration;
use crate::message::{Message, say, whole};

/// Its owner alone reads and writes the file: hashes are no secrets, but whoever can write it can let himself in.
const FILE_MODE: u32 = 0o600;
/// A key that ends sooner would be over before it is installed; a longer life is none that anybody plans, and years
/// beyond four digits cannot be written down.
const LIFE_MIN: Duration = Duration::from_secs(60);
const LIFE_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

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
    /// How long it counts, from now on: 30m, 12h, 90d. Without end when not given.
    #[arg(long, value_name = "TIME", value_parser = life, allow_hyphen_values = true)]
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
    /// The key's id: the twelve characters behind `fbk_`.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
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
    let expires = arguments.expires.map(|time| Timestamp::of(now + time));
    let entry = KeyEntry {
        id: id.to_owned(),
        consumer: arguments.consumer.clone(),
        sha256: KeyHash(hash),
        created: Timestamp::of(now),
        expires,
        revoked: None,
    };
    ring.add(entry).map_err(|error| {
        Message::new(format!("{}: {error}", path.display()))
            .note("gateways hold all keys in memory and look at the file every two seconds")
            .help("make a second `[auth.NAME]` with a file of its own")
    })?;
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
    // Whoever pastes the whole key has shown it to his shell's history, and means its id. No message repeats the rest.
    let given = arguments.id.strip_prefix("fbk_").unwrap_or(&arguments.id);
    let id = given.split('_').next().unwrap_or(given);
    if !ring.revoke(id, SystemTime::now()) {
        return Err(not_revoked(&path, &ring, id).into());
    }
    write(&path, &ring)?;
    eprintln!("{}: key {id} is revoked; gateways that run notice within seconds", path.display());
    Ok(())
}

/// Why there was nothing to revoke.
fn not_revoked(path: &Path, ring: &KeyRing, id: &str) -> Message {
    let known = ring.entries().iter().find(|entry| entry.id == id);
    match known.and_then(|entry| Some((entry, entry.revoked?))) {
        Some((entry, revoked)) => Message::new(format!("key {id} of {} is revoked already", entry.consumer))
            .at(Some(path.display().to_string()))
            .note(format!("it has not counted since {revoked}"))
            .help("`forebay keys list` shows those that do"),
        None => Message::new(format!("there is no key with the id {id:?}"))
            .at(Some(path.display().to_string()))
            .note("the id is the twelve characters behind `fbk_`; names of consumers are none")
            .help("`forebay keys list` shows all of them"),
    }
}

impl Ring {
    /// The file: given, or of the one policy that has one.
    fn path(&self) -> Result<PathBuf, Wrong> {
        if let Some(path) = &self.file {
            return Ok(path.clone());
        }
        let loaded = configuration::read(&self.configured)
            .map_err(|wrong| Wrong::Configuration(configuration::drawn(&wrong)))?;
        let place = Some(self.configured.config.display().to_string());
        let with_keys = loaded
            .value
            .auth
            .iter()
            .filter_map(|(name, settings)| Some((name, settings.api_keys.as_ref()?.file.to_path_buf())));
        let with_keys: Vec<(&Name, PathBuf)> = with_keys.collect();
        if let Some(wanted) = &self.policy {
            let found = with_keys.iter().find(|(name, _)| *name == wanted);
            let is_there = loaded.value.auth.contains_key(wanted);
            return found
                .map(|(_, path)| path.clone())
                .ok_or_else(|| no_such_policy(wanted, is_there, &with_keys).at(place).into());
        }
        let mut files: Vec<&PathBuf> = with_keys.iter().map(|(_, path)| path).collect();
        files.sort();
        files.dedup();
        match files.as_slice() {
            [path] => Ok((*path).clone()),
            [] => Err(without_keys("the configuration has no `api_keys`").at(place).into()),
            _ => {
                let message = Message::new(format!("several policies have keys: {}", names(&with_keys)));
                Err(message
                    .at(place)
                    .note("each has a file of its own, and a key opens for the policy in whose file it is")
                    .help("choose one with --policy")
                    .into())
            }
        }
    }
}

/// Why the policy that was named has no file of keys.
fn no_such_policy(wanted: &Name, is_there: bool, with_keys: &[(&Name, PathBuf)]) -> Message {
    let what = match is_there {
        true => format!("[auth.{wanted}] has no `api_keys`"),
        false => format!("there is no [auth.{wanted}]"),
    };
    if with_keys.is_empty() {
        return without_keys(what);
    }
    let known = names(with_keys);
    Message::new(what)
        .note(format!("policies with keys are: {known}"))
        .help("name one of them, or a file with --file")
}

fn without_keys(what: impl Into<String>) -> Message {
    Message::new(what)
        .note("keys belong to a policy that knows callers by them, and no policy does")
        .help("add `[auth.NAME]` with `api_keys = \"keys.toml\"`, or name a file with --file")
}

fn names(policies: &[(&Name, PathBuf)]) -> String {
    policies.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ")
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_: Problem| {
        "a name has lower-case letters, digits, `-` and `_`, begins with a letter or digit, and has at most 63 of them"
            .to_owned()
    })
}

/// A time to live, as whoever issues a key means it.
fn life(text: &str) -> Result<Duration, String> {
    const WRITE: &str = "write how long it counts from now on, for example 12h or 90d";
    if text.is_empty() {
        return Err(format!("it is empty; {WRITE}"));
    }
    if text.starts_with('-') {
        return Err(format!("it lies in the past; {WRITE}"));
    }
    if text.contains(['-', ':', '/']) {
        return Err(format!("it is a date; {WRITE}"));
    }
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if digits.is_empty() || unit.starts_with(['.', ',']) {
        return Err(format!("it is no whole number with a unit; {WRITE}"));
    }
    let unit_s: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "" => return Err(format!("it has no unit: s, m, h or d; {WRITE}")),
        other => return Err(format!("`{other}` is no unit: there are s, m, h and d; {WRITE}")),
    };
    let too_long =
        || "it is longer than a hundred years; leave --expires out for a key that always counts".to_owned();
    let seconds =
        digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_s)).ok_or_else(too_long)?;
    match Duration::from_secs(seconds) {
        life if life < LIFE_MIN => {
            Err("the key would be over before it is installed; write at least 1m".to_owned())
        }
        life if life > LIFE_MAX => Err(too_long()),
        life => Ok(life),
    }
}

fn read_or_empty(path: &Path) -> Result<KeyRing, Message> {
    if path.exists() { read(path) } else { Ok(KeyRing::default()) }
}

fn read(path: &Path) -> Result<KeyRing, Message> {
    let text = std::fs::read(path).map_err(|error| {
        let message = Message::new(format!("{} cannot be read: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::NotFound => message
                .note("the file is made with the first key")
                .help("make one with `forebay keys new CONSUMER`, or name another file with --file"),
            io::ErrorKind::IsADirectory => message.note("keys are in a file").help("name a file in it"),
            _ => message
                .note("only its owner reads the file")
                .help("run this command as the user that Forebay runs as"),
        }
    })?;
    KeyRing::parse(path, &text).map_err(|error| {
        Message::new(format!("{} is no file of keys: {error}", path.display()))
            .note("it is as it was: what cannot be read is not written either")
            .help("mend it by hand, or name another file with --file")
    })
}

/// Keeps others from writing meanwhile: two that write at once would lose a key. Held by the folder, because the file
/// itself is replaced.
fn lock(path: &Path) -> Result<File, Message> {
    let locked = File::open(folder(path)).and_then(|folder| folder.lock().map(|()| folder));
    locked.map_err(|error| {
        let folder = folder(path).display();
        match error.kind() {
            io::ErrorKind::NotFound => Message::new(format!("there is no directory {folder}"))
                .note("the file is made with the first key, its directory is not")
                .help("make the directory, or name a file in one that is there"),
            _ => Message::new(format!("{folder} cannot be locked: {error}"))
                .note("two that write keys at once would lose one")
                .help("run this command as the user that Forebay runs as"),
        }
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
