//! Which steps bring a stored schema up to what this program knows. Refuses a schema that is newer, or another.

use thiserror::Error;

/// One change of a schema. Once released it never changes: a further step mends it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// A word or two in kebab case, unique within its part.
    pub name: &'static str,
    /// Statements separated by semicolons, run in one transaction.
    pub sql: &'static str,
}

/// The schema of one part of Forebay, in one engine's dialect: its steps from the first on, in order.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Whose it is: `registry`, `idempotency`.
    pub part: &'static str,
    /// In the order in which they are applied.
    pub steps: &'static [Step],
}

/// Why a stored schema is none that this program can use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// A later Forebay was here.
    #[error("the stored schema of {part} is at step {found}, and this program knows {known}")]
    Newer {
        /// Whose schema.
        part: &'static str,
        /// Steps applied.
        found: usize,
        /// Steps known.
        known: usize,
    },
    /// A step that was applied is not the one we would have applied.
    #[error(
        "step {number} of the stored schema of {part} is `{found}`, and this program knows it as `{known}`"
    )]
    Other {
        /// Whose schema.
        part: &'static str,
        /// Counted from 1.
        number: usize,
        /// Its name in the store.
        found: String,
        /// Its name here.
        known: &'static str,
    },
}

impl SchemaError {
    /// What a person can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            SchemaError::Newer { .. } => {
                "run the newer Forebay here too; an older one would not understand what is stored"
            }
            SchemaError::Other { .. } => "this store belongs to another program or a development version",
        }
    }
}

/// The steps still to apply, given the names of those applied, in order.
pub fn pending(schema: &Schema, applied: &[String]) -> Result<&'static [Step], SchemaError> {
    let (part, known) = (schema.part, schema.steps.len());
    for (index, (found, step)) in applied.iter().zip(schema.steps).enumerate() {
        if found != step.name {
            let found = found.clone();
            return Err(SchemaError::Other { part, number: index + 1, found, known: step.name });
        }
    }
    schema.steps.get(applied.len()..).ok_or(SchemaError::Newer { part, found: applied.len(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema =
        Schema { part: "test", steps: &[Step { name: "one", sql: "" }, Step { name: "two", sql: "" }] };

    #[track_caller]
    fn check(applied: &[&str], expected: Result<&[&str], &str>) {
        let applied: Vec<String> = applied.iter().map(|&name| name.to_owned()).collect();
        let steps = pending(&SCHEMA, &applied);
        let names = steps.map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>());
        assert_eq!(
            names.map_err(|error| error.to_string()),
            expected.map(<[_]>::to_vec).map_err(str::to_owned)
        );
    }

    #[test]
    fn only_missing_steps_are_applied_and_strangers_are_refused() {
        check(&[], Ok(&["one", "two"]));
        check(&["one"], Ok(&["two"]));
        check(&["one", "two"], Ok(&[]));
        check(
            &["one", "two", "three"],
            Err("the stored schema of test is at step 3, and this program knows 2"),
        );
        check(
            &["uno"],
            Err("step 1 of the stored schema of test is `uno`, and this program knows it as `one`"),
        );
    }
}
