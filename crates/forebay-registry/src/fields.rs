//! The JSON object in a request's body, read field by field. Whoever reads it says in the end that it wants no more: a
//! field that nobody took is refused, so that a typing error never becomes a default.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::go_duration;

/// What is wrong with a body.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// No JSON.
    #[error("the body is not JSON: {why}")]
    NotJson {
        /// In the parser's words.
        why: String,
    },
    /// JSON, but not an object.
    #[error("{place} is {found}, and an object is wanted")]
    NotObject {
        /// Where.
        place: String,
        /// What is there.
        found: &'static str,
    },
    /// A field of another type.
    #[error("{field} is {found}, and {wanted} is wanted")]
    WrongType {
        /// With the path to it.
        field: String,
        /// What is there.
        found: String,
        /// What should be.
        wanted: &'static str,
    },
    /// Nobody knows the field.
    #[error("unknown field {field}{}", .meant.as_ref().map(|meant| format!("; did you mean {meant}?")).unwrap_or_default())]
    Unknown {
        /// As it was written.
        field: String,
        /// The nearest known one.
        meant: Option<String>,
    },
    /// The field is there twice, in two spellings.
    #[error("{field} is given twice")]
    Twice {
        /// In its second spelling.
        field: String,
    },
    /// The value makes no sense.
    #[error("{field}: {why}")]
    Invalid {
        /// With the path to it.
        field: String,
        /// In words.
        why: String,
    },
}

/// How names of fields are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `DeregisterCriticalServiceAfter`, `deregister_critical_service_after` and everything between: Go compares
    /// without case, and Consul adds the underscores.
    Consul,
    /// As written here.
    Exact,
}

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Before its fields' names in messages: nothing, or `Check.`.
    place: String,
    spelling: Spelling,
    /// By the compared form of the name: the name as written, and the value.
    left: BTreeMap<String, (String, Value)>,
    /// Every name that was asked for, to suggest from.
    known: Vec<&'static str>,
}

impl Fields {
    /// The object that a body is.
    pub(crate) fn of_body(body: &[u8], spelling: Spelling) -> Result<Fields, BadBody> {
        let value =
            serde_json::from_slice(body).map_err(|error| BadBody::NotJson { why: error.to_string() })?;
        Fields::of("", value, spelling)
    }

    fn of(place: &str, value: Value, spelling: Spelling) -> Result<Fields, BadBody> {
        match value {
            Value::Object(object) => Fields::of_object(place, object, spelling),
            other => {
                let place = if place.is_empty() {
                    "the body".to_owned()
                } else {
                    place.trim_end_matches('.').to_owned()
                };
                Err(BadBody::NotObject { place, found: kind(&other) })
            }
        }
    }

    fn of_object(place: &str, object: Map<String, Value>, spelling: Spelling) -> Result<Fields, BadBody> {
        let mut left = BTreeMap::new();
        for (name, value) in object {
            if left.insert(compared(&name, spelling), (name.clone(), value)).is_some() {
                return Err(BadBody::Twice { field: format!("{place}{name}") });
            }
        }
        Ok(Fields { place: place.to_owned(), spelling, left, known: Vec::new() })
    }

    /// Whether there is nothing in it, or only nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.values().all(|(_, value)| value.is_null())
    }

    /// The field's value; null is as good as absent, as Go has it.
    fn take(&mut self, name: &'static str) -> Option<(String, Value)> {
        self.known.push(name);
        let (written, value) = self.left.remove(&compared(name, self.spelling))?;
        (!value.is_null()).then(|| (format!("{}{written}", self.place), value))
    }

    /// A string; empty when absent.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, BadBody> {
        match self.take(name) {
            None => Ok(String::new()),
            Some((_, Value::String(text))) => Ok(text),
            Some((field, other)) => Err(wrong(field, &other, "a string")),
        }
    }

    /// A boolean; false when absent.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, BadBody> {
        match self.take(name) {
            None => Ok(false),
            Some((_, Value::Bool(flag))) => Ok(flag),
            Some((field, other)) => Err(wrong(field, &other, "true or false")),
        }
    }

    /// A whole number from 0 to `max`.
    pub(crate) fn count(&mut self, name: &'static str, max: u32) -> Result<Option<u32>, BadBody> {
        let Some((field, value)) = self.take(name) else { return Ok(None) };
        if !value.is_number() {
            return Err(wrong(field, &value, "a number"));
        }
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count <= max);
        count.map(Some).ok_or_else(|| BadBody::Invalid {
            field,
            why: format!("{value} is not a whole number from 0 to {max}"),
        })
    }

    /// A duration: text as Go writes it, or a number of nanoseconds.
    pub(crate) fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, BadBody> {
        match self.take(name) {
            None => Ok(None),
            Some((field, Value::String(text))) => match go_duration::parse(&text) {
                Ok(duration) => Ok(Some(duration)),
                Err(why) => Err(BadBody::Invalid { field, why: format!("{text:?} is no duration: {why}") }),
            },
            Some((field, Value::Number(number))) => match number.as_f64() {
                // Nanoseconds beyond u64 are centuries.
                Some(nanos) if nanos >= 0.0 && nanos < u64::MAX as f64 => {
                    Ok(Some(Duration::from_nanos(nanos as u64)))
                }
                _ => Err(BadBody::Invalid { field, why: format!("{number} is no number of nanoseconds") }),
            },
            Some((field, other)) => Err(wrong(field, &other, "a duration such as \"10s\"")),
        }
    }

    /// A list of strings; empty when absent.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<Box<str>>, BadBody> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some((field, value)) => texts(&field, value),
        }
    }

    /// An object of strings; empty when absent.
    pub(crate) fn text_map(&mut self, name: &'static str) -> Result<BTreeMap<Box<str>, Box<str>>, BadBody> {
        self.map(name, |field, value| match value {
            Value::String(text) => Ok(text.into()),
            other => Err(wrong(field, &other, "a string")),
        })
    }

    /// An object of lists of strings; empty when absent.
    pub(crate) fn texts_map(
        &mut self,
        name: &'static str,
    ) -> Result<BTreeMap<Box<str>, Vec<Box<str>>>, BadBody> {
        self.map(name, |field, value| texts(&field, value))
    }

    /// An object of objects with fields of their own, whose names are kept as they are; empty when absent.
    pub(crate) fn object_map(&mut self, name: &'static str) -> Result<BTreeMap<Box<str>, Fields>, BadBody> {
        let spelling = self.spelling;
        self.map(name, |field, value| Fields::of(&format!("{field}."), value, spelling))
    }

    fn map<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(String, Value) -> Result<T, BadBody>,
    ) -> Result<BTreeMap<Box<str>, T>, BadBody> {
        match self.take(name) {
            None => Ok(BTreeMap::new()),
            Some((field, Value::Object(object))) => object
                .into_iter()
                .map(|(key, value)| Ok((key.as_str().into(), read(format!("{field}.{key}"), value)?)))
                .collect(),
            Some((field, other)) => Err(wrong(field, &other, "an object")),
        }
    }

    /// Whether the field says anything, of whatever type: for what is refused anyway.
    pub(crate) fn is_said(&mut self, name: &'static str) -> bool {
        match self.take(name) {
            None | Some((_, Value::Bool(false))) => false,
            Some((_, Value::String(text))) => !text.is_empty(),
            Some((_, Value::Array(values))) => !values.is_empty(),
            Some((_, Value::Object(object))) => object.values().any(|value| !value.is_null()),
            Some((_, _)) => true,
        }
    }

    /// An object with fields of its own.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Fields>, BadBody> {
        let spelling = self.spelling;
        let Some((field, value)) = self.take(name) else { return Ok(None) };
        Fields::of(&format!("{field}."), value, spelling).map(Some)
    }

    /// A list of objects with fields of their own; empty when absent.
    pub(crate) fn objects(&mut self, name: &'static str) -> Result<Vec<Fields>, BadBody> {
        let spelling = self.spelling;
        match self.take(name) {
            None => Ok(Vec::new()),
            Some((field, Value::Array(values))) => values
                .into_iter()
                .filter(|value| !value.is_null())
                .enumerate()
                .map(|(place, value)| Fields::of(&format!("{field}[{place}]."), value, spelling))
                .collect(),
            Some((field, other)) => Err(wrong(field, &other, "a list")),
        }
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Result<(), BadBody> {
        let Some((compared_name, (written, _))) = self.left.first_key_value() else { return Ok(()) };
        let nearest =
            self.known.iter().map(|known| (distance(compared_name, &compared(known, self.spelling)), known));
        let meant =
            nearest.min().filter(|(distance, _)| *distance <= 2).map(|(_, known)| (*known).to_owned());
        Err(BadBody::Unknown { field: format!("{}{written}", self.place), meant })
    }
}

fn compared(name: &str, spelling: Spelling) -> String {
    match spelling {
        Spelling::Exact => name.to_owned(),
        Spelling::Consul => name.replace('_', "").to_lowercase(),
    }
}

fn texts(field: &str, value: Value) -> Result<Vec<Box<str>>, BadBody> {
    let Value::Array(values) = value else {
        return Err(wrong(field.to_owned(), &value, "a list of strings"));
    };
    let text = |(place, value)| match value {
        Value::String(text) => Ok(text.into()),
        other => Err(wrong(format!("{field}[{place}]"), &other, "a string")),
    };
    values.into_iter().enumerate().map(text).collect()
}

fn wrong(field: String, found: &Value, wanted: &'static str) -> BadBody {
    BadBody::WrongType { field, found: kind(found).to_owned(), wanted }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Insertions, deletions and replacements between two names (Levenshtein). Long ones are not compared: nobody means them.
fn distance(one: &str, other: &str) -> usize {
    const COMPARED_MAX: usize = 64;
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().max(other.len()) > COMPARED_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, spelling: Spelling) -> Result<(String, Option<Duration>), BadBody> {
        let mut fields = Fields::of_body(body.as_bytes(), spelling)?;
        let name = fields.text("Name")?;
        let after = fields.duration("DeregisterAfter")?;
        fields.finish()?;
        Ok((name, after))
    }

    #[track_caller]
    fn check(body: &str, expected: Result<(&str, Option<u64>), &str>) {
        let found = read(body, Spelling::Consul).map_err(|error| error.to_string());
        let found = found.as_ref().map(|(name, after)| (name.as_str(), after.map(|after| after.as_secs())));
        assert_eq!(found, expected.map_err(str::to_owned).as_ref().copied(), "{body}");
    }

    #[test]
    fn names_of_fields_are_compared_as_consul_compares_them() {
        for name in ["DeregisterAfter", "deregister_after", "DEREGISTERAFTER", "deregisterAfter"] {
            check(&format!("{{\"name\":\"a\",\"{name}\":\"90s\"}}"), Ok(("a", Some(90))));
        }
        check("{\"NAME\":null,\"DeregisterAfter\":2000000000}", Ok(("", Some(2))));
        let exact = read("{\"name\":\"a\"}", Spelling::Exact).unwrap_err();
        assert_eq!(exact.to_string(), "unknown field name; did you mean Name?");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check("[1]", Err("the body is a list, and an object is wanted"));
        check("{\"Name\":1}", Err("Name is a number, and a string is wanted"));
        check("{\"Nmae\":\"a\"}", Err("unknown field Nmae; did you mean Name?"));
        check("{\"Datacenter\":\"a\"}", Err("unknown field Datacenter"));
        check("{\"Name\":\"a\",\"name\":\"b\"}", Err("name is given twice"));
        check("{\"DeregisterAfter\":-1}", Err("DeregisterAfter: -1 is no number of nanoseconds"));
        check(
            "{\"DeregisterAfter\":\"soon\"}",
            Err("DeregisterAfter: \"soon\" is no duration: it begins with no number"),
        );
        assert!(matches!(read("{", Spelling::Consul), Err(BadBody::NotJson { .. })));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read(&deep, Spelling::Consul), Err(BadBody::NotJson { .. })));
    }
}
