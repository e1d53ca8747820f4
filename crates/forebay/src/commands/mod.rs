//! What each command does.

pub(crate) mod check;
pub(crate) mod cors;
pub(crate) mod demo;
pub(crate) mod documents;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod retry;
pub(crate) mod serve;
pub(crate) mod services;
