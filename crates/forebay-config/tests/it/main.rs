//! Claims about whole configurations: what is read, what is refused and in which words.

mod documents;
mod golden;
mod hostile;
mod layers;
mod secrecy;
#[expect(dead_code, reason = "most settings are there to be loaded, not to be looked at")]
mod shop;
