//! Licence expressions as in the SPDX specification 2.3, annex D: `OR`, `AND`, `WITH` and parentheses, and the
//! `/` that crates used for `OR` before there was a rule.

use std::fmt;

/// What a crate declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// An identifier, with its exception if it has one: `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    /// One of them is enough.
    Or(Vec<Expression>),
    /// All of them at once.
    And(Vec<Expression>),
}

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Expression, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut parser = Parser { words: &words, depth: 0 };
        let expression = parser.any()?;
        match parser.words {
            [] => Ok(expression),
            [word, ..] => Err(format!("`{word}` in `{text}`")),
        }
    }

    /// The part that stands in the way, if one does.
    pub(crate) fn refused<'a>(&'a self, allowed: &dyn Fn(&str) -> bool) -> Option<&'a Expression> {
        match self {
            Expression::Licence(licence) => (!allowed(licence)).then_some(self),
            Expression::Or(parts) => parts.iter().all(|part| part.refused(allowed).is_some()).then_some(self),
            Expression::And(parts) => parts.iter().find_map(|part| part.refused(allowed)),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Expression::Licence(licence) => return f.write_str(licence),
            Expression::Or(parts) => (parts, " OR "),
            Expression::And(parts) => (parts, " AND "),
        };
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { word })?;
            match part {
                Expression::Licence(licence) => f.write_str(licence)?,
                group => write!(f, "({group})")?,
            }
        }
        Ok(())
    }
}

/// Deeper than anybody writes; keeps a crate's metadata from exhausting the stack.
const DEPTH_MAX: usize = 16;

struct Parser<'a> {
    words: &'a [&'a str],
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.all()?];
        while self.take("OR") {
            parts.push(self.all()?);
        }
        Ok(only_or(parts, Expression::Or))
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.one()?];
        while self.take("AND") {
            parts.push(self.one()?);
        }
        Ok(only_or(parts, Expression::And))
    }

    fn one(&mut self) -> Result<Expression, String> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(format!("more than {DEPTH_MAX} parentheses"));
            }
            let inner = self.any()?;
            return if self.take(")") { Ok(inner) } else { Err("a parenthesis is not closed".into()) };
        }
        let licence = self.identifier()?.to_owned();
        Ok(Expression::Licence(if self.take("WITH") {
            format!("{licence} WITH {}", self.identifier()?)
        } else {
            licence
        }))
    }

    fn identifier(&mut self) -> Result<&str, String> {
        match self.words {
            [] => Err("it ends where a licence should be".into()),
            ["OR" | "AND" | "WITH" | "(" | ")", ..] => {
                Err(format!("`{}` where a licence should be", self.words[0]))
            }
            [word, rest @ ..] => {
                self.words = rest;
                Ok(word)
            }
        }
    }

    fn take(&mut self, expected: &str) -> bool {
        match self.words {
            [word, rest @ ..] if *word == expected => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

/// A group of one is that one.
fn only_or(mut parts: Vec<Expression>, group: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            group(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        let allowed = |licence: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
        let refused = Expression::parse(text).map(|parsed| parsed.refused(&allowed).map(ToString::to_string));
        assert_eq!(refused, Ok(expected.err().map(str::to_owned)), "{text}");
    }

    #[test]
    fn one_of_a_choice_is_enough() {
        check("MIT", Ok(()));
        check("GPL-3.0-only OR MIT", Ok(()));
        check("GPL-3.0-only/MIT", Ok(()));
        check("GPL-3.0-only OR AGPL-3.0-only", Err("GPL-3.0-only OR AGPL-3.0-only"));
    }

    #[test]
    fn all_of_a_sum_are_needed() {
        check("ISC AND (GPL-3.0-only OR ISC) AND MIT", Ok(()));
        check("MIT AND OpenSSL", Err("OpenSSL"));
    }

    #[test]
    fn and_binds_closer_than_or() {
        check("MIT OR ISC AND GPL-3.0-only", Ok(()));
        check("GPL-3.0-only AND (MIT OR ISC)", Err("GPL-3.0-only"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        check("Apache-2.0 WITH LLVM-exception", Ok(()));
        check("Apache-2.0", Err("Apache-2.0"));
        check("MIT WITH LLVM-exception", Err("MIT WITH LLVM-exception"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "WITH", &"(".repeat(40)] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }
}
