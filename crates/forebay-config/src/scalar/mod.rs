//! The scalars that every crate shares: one spelling for each idea. Each knows how to be read, how to be
//! printed so that it reads back the same, and what to tell people who wrote something else.

mod duration;
mod file_path;
mod name;
mod net;
mod rate;
mod secret;
mod share;
mod size;
mod url;

pub use duration::format_duration;
pub use file_path::FilePath;
pub use name::{NAME_LENGTH_MAX, Name};
pub use rate::{Rate, RatePeriod};
pub(crate) use secret::REDACTED;
pub use secret::Secret;
pub use share::Share;
pub use size::ByteSize;
pub use url::{Host, HttpUrl, Scheme};

use crate::problem::Problem;

/// A whole number and the unit after it.
fn number_and_unit(text: &str, example: &str) -> Result<(u64, String), Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if digits == 0 {
        return Err(Problem::new("does not start with a number").help(format!("write for example {example}")));
    }
    if unit.starts_with('.') || unit.starts_with(',') {
        return Err(Problem::new("has a fraction").help("use the next smaller unit"));
    }
    let number = number.parse().map_err(|_| Problem::new("is too large"))?;
    Ok((number, unit.to_owned()))
}

/// What to say about the unit that stands after a number.
fn bad_unit(number: u64, unit: &str, usual: &str, known: &[&str]) -> Problem {
    let known_here = format!("the units are {}", crate::shape::list_names(known.iter().copied()));
    if unit.is_empty() {
        return Problem::new("has no unit").help(format!("write \"{number}{usual}\"; {known_here}"));
    }
    if unit.starts_with(char::is_whitespace) && known.contains(&unit.trim()) {
        return Problem::new("has a space in it").help(format!("write \"{number}{}\"", unit.trim()));
    }
    let shown: String = unit.chars().take(20).collect();
    let near = known.iter().find(|known| known.eq_ignore_ascii_case(unit.trim()));
    let problem = Problem::new(format!("has the unknown unit `{}`", shown.trim()));
    match near {
        Some(near) => problem.help(format!("write \"{number}{near}\"")),
        None => problem.help(known_here),
    }
}
