//! The text of an API key: `fbk_ID_SECRET`, with a checksum in the secret's last characters, so that programs that look
//! for leaked secrets find keys and nothing else. Makes keys, and reads them.

use std::fmt;
use std::io;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

/// Every key begins with it.
const PREFIX: &str = "fbk_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Of a key's public name.
const ID_LENGTH: usize = 12;
/// What 32 random bytes take in an alphabet of 62.
const SECRET_LENGTH: usize = 43;
/// What 32 bits of checksum take.
const CHECKSUM_LENGTH: usize = 6;
/// Of a whole key.
const KEY_LENGTH: usize = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

/// A key's whole text. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// A key that somebody sent, of the right form.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey<'k> {
    /// Its public name.
    pub id: &'k str,
    /// What files hold of it. Plain SHA-256: a key has 256 random bits, so nobody tries them all, however fast the hash;
    /// a slow one would only help those who want to keep Forebay busy.
    pub hash: [u8; 32],
}

impl KeyText {
    /// A new key, from the system's randomness.
    pub fn new() -> io::Result<KeyText> {
        let mut random = [0; 32 + 16];
        rand::fill(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let id: String = base62(&random[32..], ID_LENGTH).to_ascii_lowercase();
        let mut text = format!("{PREFIX}{id}_{}", base62(&random[..32], SECRET_LENGTH));
        text.push_str(&checksum(&text));
        Ok(KeyText(text))
    }

    /// The text, for the one who is to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'k> ApiKey<'k> {
    /// Reads a key; `None` when it is none, which needs no look-up.
    pub fn parse(text: &'k [u8]) -> Option<ApiKey<'k>> {
        let text =
            std::str::from_utf8(text).ok().filter(|text| text.len() == KEY_LENGTH && text.is_ascii())?;
        let (id, secret) = text.strip_prefix(PREFIX)?.split_at(ID_LENGTH);
        let is_id = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let secret = secret.strip_prefix('_').filter(|_| is_id)?;
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (rest, sum) = text.split_at(KEY_LENGTH - CHECKSUM_LENGTH);
        // The checksum is no secret: whoever has the rest can compute it.
        (checksum(rest) == sum).then(|| ApiKey { id, hash: hash(text.as_bytes()) })
    }
}

impl fmt::Debug for ApiKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id)
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text).as_ref());
    bytes
}

/// The first 32 bits of the SHA-256 of what stands before it.
fn checksum(text: &str) -> String {
    base62(&hash(text.as_bytes())[..4], CHECKSUM_LENGTH)
}

/// A big-endian number in the alphabet, its last `length` digits.
fn base62(number: &[u8], length: usize) -> String {
    let mut number = number.to_vec();
    let mut digits = Vec::with_capacity(length);
    for _ in 0..length {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        digits.push(char::from(ALPHABET[remainder as usize]));
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_key_reads_and_shows_its_name_alone() {
        let (key, other) = (KeyText::new().unwrap(), KeyText::new().unwrap());
        let read = ApiKey::parse(key.reveal().as_bytes()).unwrap();
        assert_eq!(key.reveal().len(), KEY_LENGTH);
        assert!(key.reveal().starts_with(&format!("fbk_{}_", read.id)));
        assert_ne!(read.hash, ApiKey::parse(other.reveal().as_bytes()).unwrap().hash);
        assert!(!format!("{key:?} {read:?}").contains(&key.reveal()[17..]));
    }

    #[test]
    fn numbers_are_whole_in_the_alphabet() {
        assert_eq!(base62(&[0xff; 4], 6), "4gfFC3");
        assert_eq!(base62(&[0; 4], 6), "000000");
        // The largest number of 256 bits has 43 digits, the first of which is not 0: nothing is cut off.
        assert_ne!(base62(&[0xff; 32], 43).as_bytes()[0], b'0');
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_noticed_without_a_look_up(at in 0..KEY_LENGTH, by in 1_u8..62) {
            let key = KeyText::new().unwrap();
            let mut wrong = key.reveal().as_bytes().to_vec();
            let place = ALPHABET.iter().position(|&c| c == wrong[at]).unwrap_or(0);
            wrong[at] = ALPHABET[(place + usize::from(by)) % 62];
            prop_assume!(wrong != key.reveal().as_bytes());
            prop_assert_eq!(ApiKey::parse(&wrong), None);
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(ApiKey::parse(&text), None);
        }
    }
}
