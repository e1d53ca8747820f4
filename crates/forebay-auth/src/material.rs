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

impl Policy {
    /// Reads what this policy decides by; `name` is for messages.
    pub fn read(&self, name: &Path, text: &[u8]) -> Result<Material, MaterialError> {
        match self.method() {
            Method::Jwt(jwt) => KeySet::parse(text, &jwt.algorithms).map(Material::Keys),
            Method::ApiKeys(_) => KeyRing::parse(name, text).map(Material::Ring),
            Method::Basic(_) => Users::parse(text).map(Material::Users),
            Method::Forward(_) => Err(MaterialError::new("this policy reads nothing")),
        }
    }
}
