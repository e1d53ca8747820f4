//! Names and passwords (RFC 7617) against a file as `htpasswd -B` writes it. bcrypt, because that is what such files hold
//! and what nginx and Traefik read too; and because a check needs 4 KiB, where argon2 would need megabytes for each.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use forebay_http::Fields;

use crate::identity::{Identity, SUBJECT_BYTES_MAX};
use crate::jwt::{only, scheme};
use crate::material::MaterialError;
use crate::refusal::{Flaw, Refusal};
use crate::remembered::{Digest, digest};

/// Lines of a file: a small team's tools. Whoever has more has an identity provider.
const USERS_MAX: usize = 1000;
/// A check of this cost takes a core for about a second; of the next one for two.
const COST_MAX: u32 = 14;
/// What bcrypt looks at of a password, its end included.
const PASSWORD_BYTES_MAX: usize = 71;

/// A `basic` table, compiled.
#[derive(Debug)]
pub struct BasicPolicy {
    /// How long a password that was right need not be checked again.
    pub(crate) cache: Duration,
}

/// The users of a file, and the hashes of their passwords.
#[derive(Default)]
pub struct Users {
    entries: Vec<(Box<str>, Box<str>)>,
    by_name: HashMap<Box<str>, usize>,
}

/// One check of a password. It takes long: never on a core's own thread.
pub struct PasswordCheck {
    user: String,
    password: String,
    hash: Box<str>,
    is_known: bool,
}

impl Users {
    /// Reads a file's text.
    pub fn parse(text: &[u8]) -> Result<Users, MaterialError> {
        let text = std::str::from_utf8(text).map_err(|_| MaterialError::new("the file is no UTF-8"))?;
        let mut users = Users::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| MaterialError::new(format!("line {}: {what}", at + 1));
            let (name, hash) = line.split_once(':').ok_or_else(|| wrong("no colon behind a name"))?;
            if name.is_empty() || name.len() > SUBJECT_BYTES_MAX || name.chars().any(char::is_control) {
                return Err(wrong("the name is empty, too long, or has control characters"));
            }
            let parts: HashParts = hash
                .parse()
                .map_err(|_| wrong("the hash is not bcrypt's; make one with htpasswd -nB NAME"))?;
            if parts.get_cost() > COST_MAX {
                return Err(wrong(&format!("a cost beyond {COST_MAX} would take a core for seconds")));
            }
            if users.by_name.insert(name.into(), users.entries.len()).is_some() {
                return Err(wrong("this name stands twice"));
            }
            users.entries.push((name.into(), hash.into()));
            if users.entries.len() > USERS_MAX {
                return Err(wrong(&format!("more than {USERS_MAX} users")));
            }
        }
        Ok(users)
    }

    /// Number of users.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The check that a request asks for. A name that nobody has is checked against the hash of somebody, always the
    /// same one: an answer takes as long as for a name that there is.
    pub(crate) fn check(&self, fields: &(impl Fields + ?Sized)) -> Result<PasswordCheck, Refusal> {
        let value = scheme(only(fields, "authorization")?, "basic").ok_or(Refusal::Missing)?;
        let decoded = STANDARD.decode(value).map_err(|_| Flaw::Malformed)?;
        let decoded = String::from_utf8(decoded).map_err(|_| Flaw::Malformed)?;
        let (user, password) = decoded.split_once(':').ok_or(Flaw::Malformed)?;
        if decoded.chars().any(char::is_control) || password.len() > PASSWORD_BYTES_MAX || user.is_empty() {
            return Err(Flaw::Malformed.into());
        }
        let known = self.by_name.get(user).copied();
        let stand_in = || {
            let Digest(bytes) = digest([user.as_bytes()]);
            let number = u64::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3], 0, 0, 0, 0]);
            (number % self.entries.len().max(1) as u64) as usize
        };
        let (_, hash) = self.entries.get(known.unwrap_or_else(stand_in)).ok_or(Flaw::Unknown)?;
        let is_known = known.is_some();
        Ok(PasswordCheck {
            user: user.to_owned(),
            password: password.to_owned(),
            hash: hash.clone(),
            is_known,
        })
    }
}

impl PasswordCheck {
    /// What a right answer is remembered under. With the hash in it, a changed password is asked for again.
    pub fn digest(&self, policy: &Digest) -> Digest {
        digest([&policy.0, self.hash.as_bytes(), self.user.as_bytes(), self.password.as_bytes()])
    }

    /// Checks: whom the password belongs to, if it does. Takes a core for as long as the hash's cost says.
    pub fn run(self) -> Option<Identity> {
        let is_right = bcrypt::non_truncating_verify(&self.password, &self.hash).unwrap_or(false);
        // Both are known by now: no answer comes sooner than another.
        (is_right & self.is_known).then(|| Identity::new(Some(&self.user), Some(&self.user))).flatten()
    }
}

impl fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordCheck([redacted])")
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use forebay_http::{RequestHead, Scheme};

    use super::*;

    /// `htpasswd -nbB -C 4 ada lovelace`, and the same with `é:x` for bob.
    fn users() -> Users {
        let ada = bcrypt::hash("lovelace", 4).unwrap();
        let bob = bcrypt::hash("é:x", 4).unwrap();
        Users::parse(format!("# tools\nada:{ada}\n\nbob:{bob}\n").as_bytes()).unwrap()
    }

    fn check(users: &Users, credentials: &str) -> Result<Option<Identity>, Refusal> {
        let mut head = RequestHead::new("GET", Scheme::Http, "a", "/");
        let value = format!("Basic {}", STANDARD.encode(credentials));
        head.fields_mut().append("authorization", value.as_bytes());
        users.check(head.fields()).map(PasswordCheck::run)
    }

    #[test]
    fn a_password_opens_for_its_user_alone() {
        let users = users();
        let subject = |credentials| check(&users, credentials).unwrap().and_then(|identity| identity.subject);
        assert_eq!(subject("ada:lovelace").as_deref(), Some("ada"));
        assert_eq!(subject("bob:é:x").as_deref(), Some("bob"));
        for wrong in ["ada:Lovelace", "ada:", "bob:lovelace", "eve:lovelace", "eve:é:x", "Ada:lovelace"] {
            assert_eq!(subject(wrong), None, "{wrong}");
        }
        for malformed in ["ada", ":x", "ada:a\u{7}", &format!("ada:{}", "x".repeat(72))] {
            assert_eq!(check(&users, malformed), Err(Flaw::Malformed.into()), "{malformed}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_costs_as_much_as_another() {
        let users = users();
        let mut head = RequestHead::new("GET", Scheme::Http, "a", "/");
        head.fields_mut().append("authorization", format!("Basic {}", STANDARD.encode("eve:x")).as_bytes());
        let check = users.check(head.fields()).unwrap();
        assert!(users.entries.iter().any(|(_, hash)| *hash == check.hash) && !check.is_known);
        assert_eq!(users.check(head.fields()).unwrap().hash, check.hash, "the same one each time");
        assert!(!format!("{check:?}").contains("eve"));
    }

    #[test]
    fn only_files_of_bcrypt_are_read() {
        let wrong = |text: &str| Users::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(wrong("ada:$apr1$x$y").contains("line 1: the hash is not bcrypt's"));
        assert!(wrong("# a\nada:{SHA}xyz").contains("line 2"));
        assert!(wrong("ada").contains("no colon"));
        let hash = bcrypt::hash("x", 4).unwrap();
        assert!(wrong(&format!("ada:{hash}\nada:{hash}")).contains("stands twice"));
        assert!(wrong(&format!("ada:{}", hash.replace("$04$", "$15$"))).contains("a cost beyond 14"));
    }
}
