//! Sessions that stay with an endpoint: a cookie names it, and when it is gone or out of order another one is picked as
//! for any request, and named from then on. Keeps no table: every node reads every node's cookies, after any restart.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

use crate::{Amendment, Candidate, Endpoints, Facts, Identity, cookie};

/// Digits of a token in a cookie.
const TOKEN_DIGITS: usize = 16;

/// The name of an endpoint in cookies: a keyed hash, from which nobody without the key gets to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u64);

/// What tokens are made with. The same secret makes the same tokens everywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct StickyKey([u8; 16]);

/// A service's cookie.
#[derive(Clone, Debug)]
pub struct Sticky {
    /// Its name: a token of RFC 9110.
    pub cookie: Box<str>,
    /// For which paths the client sends it back.
    pub path: Box<str>,
    /// Whether scripts of the page must not see it.
    pub http_only: bool,
    /// Whether it is for https only; `None` as the request came.
    pub secure: Option<bool>,
    /// Which requests of other sites carry it.
    pub same_site: SameSite,
    /// How long a client keeps it from when it is set; `None` until the browser is closed.
    pub ttl: Option<Duration>,
}

/// Which requests that other sites cause carry a cookie: the attribute of that name (RFC 6265bis, section 4.1.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, forebay_config::Settings)]
pub enum SameSite {
    /// No request that another site causes.
    Strict,
    /// Only when somebody follows a link to here.
    #[default]
    Lax,
    /// Every one; over https only.
    None,
}

impl Token {
    fn read(value: &[u8]) -> Option<Token> {
        let is_ours = value.len() == TOKEN_DIGITS
            && value.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
        let digits = std::str::from_utf8(value).ok().filter(|_| is_ours)?;
        u64::from_str_radix(digits, 16).ok().map(Token)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl StickyKey {
    /// From a secret of any length. Without one the key is public: whoever guesses an address can then tell whether a
    /// cookie names it.
    pub fn new(secret: Option<&str>) -> StickyKey {
        let mut hasher = SipHasher128::new_with_key(b"forebay-session\0");
        hasher.write(secret.unwrap_or_default().as_bytes());
        StickyKey(hasher.finish128().as_bytes())
    }

    pub(crate) fn token(&self, identity: Identity) -> Token {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&identity.0.to_be_bytes());
        Token(hasher.finish())
    }
}

impl fmt::Debug for StickyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StickyKey")
    }
}

impl Sticky {
    /// The endpoint that the client's cookie names, if it has one that could be ours.
    pub fn read(&self, request: &impl Facts) -> Option<Token> {
        let mut token = None;
        request.each_value("cookie", &mut |field| {
            token = cookie::value(field, &self.cookie).and_then(Token::read);
            token.is_none()
        });
        token
    }

    /// The value of a `Set-Cookie` field for the response, when the endpoint that answers is another than `session`
    /// names; `None` when the client's cookie is right.
    pub fn set(&self, session: Option<Token>, answers: Token, is_https: bool) -> Option<String> {
        if session == Some(answers) {
            return None;
        }
        let mut value = format!("{}={answers}; Path={}", self.cookie, self.path);
        if let Some(ttl) = self.ttl {
            // Writing to a string does not fail.
            let _ = write!(value, "; Max-Age={}", ttl.as_secs());
        }
        let same_site = match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        value.push_str(same_site);
        if self.secure.unwrap_or(is_https) {
            value.push_str("; Secure");
        }
        if self.http_only {
            value.push_str("; HttpOnly");
        }
        Some(value)
    }
}

/// A fleet's endpoints by their tokens.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(HashMap<Token, u32, BuildHasherDefault<AsItIs>>);

impl Tokens {
    pub(crate) fn new<E: Candidate>(key: &StickyKey, endpoints: &Endpoints<E>) -> Tokens {
        let tokens = endpoints.iter().map(|endpoint| key.token(endpoint.identity()));
        Tokens(tokens.zip(0..).collect())
    }

    /// Follows a change of the `endpoints` there were.
    pub(crate) fn amend<E: Candidate>(
        &mut self,
        key: &StickyKey,
        endpoints: &Endpoints<E>,
        amendment: &Amendment<E>,
    ) {
        let mut put =
            |endpoint: &E, index: usize| self.0.insert(key.token(endpoint.identity()), index as u32);
        match amendment {
            Amendment::Add(endpoint) => drop(put(endpoint, endpoints.len())),
            Amendment::Replace(index, endpoint) if endpoints[*index].identity() == endpoint.identity() => {}
            Amendment::Replace(index, endpoint) => {
                self.0.remove(&key.token(endpoints[*index].identity()));
                self.0.insert(key.token(endpoint.identity()), *index as u32);
            }
            Amendment::Remove(index) => {
                put(&endpoints[endpoints.len() - 1], *index);
                self.0.remove(&key.token(endpoints[*index].identity()));
            }
        }
    }

    pub(crate) fn index(&self, token: Token) -> Option<usize> {
        self.0.get(&token).map(|&index| index as usize)
    }
}

/// Tokens are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0 << 8 | u64::from(byte));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sticky() -> Sticky {
        Sticky {
            cookie: "forebay".into(),
            path: "/".into(),
            http_only: true,
            secure: None,
            same_site: SameSite::Lax,
            ttl: None,
        }
    }

    #[test]
    fn a_cookie_is_set_as_it_is_declared() {
        let check = |sticky: Sticky, is_https: bool, expected: &str| {
            assert_eq!(sticky.set(None, Token(0xbeef), is_https).as_deref(), Some(expected));
        };
        check(sticky(), false, "forebay=000000000000beef; Path=/; SameSite=Lax; HttpOnly");
        check(sticky(), true, "forebay=000000000000beef; Path=/; SameSite=Lax; Secure; HttpOnly");
        let other = Sticky {
            secure: Some(true),
            same_site: SameSite::None,
            ttl: Some(Duration::from_secs(3600)),
            http_only: false,
            ..sticky()
        };
        check(other, false, "forebay=000000000000beef; Path=/; Max-Age=3600; SameSite=None; Secure");
        assert_eq!(sticky().set(Some(Token(1)), Token(1), true), None);
        assert!(sticky().set(Some(Token(2)), Token(1), true).is_some());
    }

    #[test]
    fn only_tokens_are_read() {
        assert_eq!(Token::read(b"000000000000beef"), Some(Token(0xbeef)));
        for other in ["", "beef", "+00000000000beef", "000000000000BEEF", "000000000000beef0"] {
            assert_eq!(Token::read(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn tokens_are_the_same_everywhere_and_need_the_secret() {
        let who = Identity::of("10.0.0.1:9001".parse().unwrap(), None);
        let token = |secret| StickyKey::new(secret).token(who).to_string();
        // Golden: another value here would end every session of every user.
        assert_eq!(token(None), "7a7b09fcf8989f39");
        assert_eq!(token(Some("s3cret")), "9763ab4a711cf7aa");
    }
}
