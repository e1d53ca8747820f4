//! API keys: how a request carries one, and whose it is.

use std::time::SystemTime;

use forebay_http::Fields;

use crate::api_key::ApiKey;
use crate::identity::Identity;
use crate::jwt::bearer;
use crate::key_ring::{KeyRing, Standing};
use crate::refusal::{Flaw, Refusal};

/// An `api_keys` table, compiled.
#[derive(Debug)]
pub struct ApiKeyPolicy {
    pub(crate) header: Box<str>,
}

impl ApiKeyPolicy {
    /// Whose key a request has. The consumer is the subject too: two keys of one consumer, of which one replaces the
    /// other, are one caller.
    pub(crate) fn judge(
        &self,
        fields: &(impl Fields + ?Sized),
        ring: &KeyRing,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let key = ApiKey::parse(bearer(fields, &self.header)?).ok_or(Flaw::Malformed)?;
        let entry = ring.find(&key).ok_or(Flaw::Unknown)?;
        match entry.standing(now) {
            Standing::Valid => {
                let consumer = Some(entry.consumer.as_str());
                Identity::new(consumer, consumer).ok_or_else(|| Flaw::Unknown.into())
            }
            Standing::Expired => Err(Flaw::Expired.into()),
            Standing::Revoked => Err(Flaw::Unknown.into()),
        }
    }
}
