//! What instances, pages and services say of themselves, fit for a person's terminal: one line, and nothing that moves a
//! cursor.

/// Each control character as a question mark.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
