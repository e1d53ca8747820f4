//! What the keeper says: only what somebody may want to do something about.

use forebay_store::StoreError;

pub(crate) fn settlement_lost(error: &StoreError) {
    tracing::warn!(%error, "the outcome of a keyed request could not be stored; its key stays taken");
}

pub(crate) fn sweep_failed(error: &StoreError) {
    tracing::warn!(%error, "expired idempotency keys could not be deleted");
}
