//! What policies decide by and did not bring with them: keys, users. Fetched by somebody else, and replaced whole.

use std::path::Path;

use thiserror::Error;

use crate::basic::Users;
use crate::jwk::KeySet;
use crate::key_ring::KeyRing;
use crate::policy::{Method, Policy};

/// What a policy decides by.
#[derive(Debug)]
pub enum Material {
    /// For tokens.
    Keys(KeySet),
    /// For API keys.
    Ring(KeyRing),
    /// For passwords.
    Users(Users),
}

/// Why a text is no material. Shows nothing that is secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct MaterialError(Box<str>);

impl MaterialError {
    pub(crate) fn new(what: impl Into<Box<str>>) -> MaterialError {
        MaterialError(what.into())
    }
}

/// An empty file is one that somebody is about to write: it takes nothing away.
fn some(is_some: bool, what: &str) -> Result<(), MaterialError> {
    if is_some { Ok(()) } else { Err(MaterialError::new(what)) }
}

impl Policy {
    /// Reads what this policy decides by; `name` is for messages.
    pub fn read(&self, name: &Path, text: &[u8]) -> Result<Material, MaterialError> {
        match self.method() {
            Method::Jwt(jwt) => KeySet::parse(text, &jwt.algorithms).map(Material::Keys),
            Method::ApiKeys(_) => {
                let ring = KeyRing::parse(name, text)?;
                some(!ring.entries().is_empty(), "the file has no key").map(|()| Material::Ring(ring))
            }
            Method::Basic(_) => {
                let users = Users::parse(text)?;
                some(!users.is_empty(), "the file has no user").map(|()| Material::Users(users))
            }
            Method::Forward(_) => Err(MaterialError::new("this policy reads nothing")),
        }
    }
}
