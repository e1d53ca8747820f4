//! `${VAR}` in the strings of files: replaced by the environment variable, or by what follows `:-`. `$${` is a
//! plain `${`. Runs after the layers are merged, so that a variable of a value that lost is never asked for.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::node::{Data, Node};
use crate::place::{Origin, Sources};

/// Replaces variables everywhere below `root`.
pub(crate) fn interpolate(
    root: &mut Node,
    variables: &[(String, String)],
    sources: &Sources,
) -> Vec<Diagnostic> {
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut interpolation = Interpolation { variables, sources, found: Vec::new() };
    interpolation.node(root);
    interpolation.found
}

struct Interpolation<'a> {
    variables: BTreeMap<&'a str, &'a str>,
    sources: &'a Sources,
    found: Vec<Diagnostic>,
}

/// Why one `${…}` cannot be replaced: its number among the dollars of the string, the message and the help.
struct Failure {
    nth: usize,
    length: usize,
    message: String,
    help: String,
}

impl Interpolation<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.data {
            Data::List(list) => list.iter_mut().for_each(|node| self.node(node)),
            Data::Table(table) => table.0.values_mut().for_each(|entry| self.node(&mut entry.node)),
            Data::String(text) if text.contains("${") && self.sources.file(node.origin).is_some() => {
                // A value that is nothing but a variable takes the variable's type, as `port = "${PORT}"`.
                let is_one = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
                match self.replace(text) {
                    Ok(text) => {
                        let over = std::mem::take(&mut node.over);
                        let fresh = match is_one {
                            true => Node::from_raw(&text, node.origin),
                            false => Node::new(Data::String(text), node.origin),
                        };
                        *node = Node { over, is_interpolated: true, ..fresh };
                    }
                    Err(failure) => {
                        let origin = self.pin(node.origin, failure.nth, failure.length);
                        self.found.push(Diagnostic::error(origin, failure.message).with_help(failure.help));
                        node.data = Data::Broken;
                    }
                }
            }
            _ => {}
        }
    }

    fn replace(&self, text: &str) -> Result<String, Failure> {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        let mut nth = 0;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                replaced.push_str(before);
                replaced.push_str("${");
                rest = &from[2..];
            } else {
                replaced.push_str(before);
                let (value, length) = self.variable(from, nth)?;
                replaced.push_str(value);
                rest = &from[length..];
            }
            nth += 1;
        }
        replaced.push_str(rest);
        Ok(replaced)
    }

    /// The value for a text that begins with `${`, and how much of the text that takes.
    fn variable<'t>(&'t self, text: &'t str, nth: usize) -> Result<(&'t str, usize), Failure> {
        let fail = |length, message: String, help: String| Failure { nth, length, message, help };
        let Some(end) = text.find('}') else {
            let help = "close it, or write `$${` for a plain `${`".to_owned();
            return Err(fail(2, "this `${` is not closed".to_owned(), help));
        };
        let (name, default) = match text[2..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&text[2..end], None),
        };
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(valid) {
            let help = "write `${NAME}` or `${NAME:-default}`, or `$${` for a plain `${`".to_owned();
            return Err(fail(end + 1, "this names no environment variable".to_owned(), help));
        }
        match self.variables.get(name).copied().or(default) {
            Some(value) => Ok((value, end + 1)),
            None => {
                let help = format!("set it, or write `${{{name}:-default}}`");
                Err(fail(end + 1, format!("the environment variable {name} is not set"), help))
            }
        }
    }

    /// The place of the nth `${` within a string as the file spells it; the whole string where escapes hide it.
    fn pin(&self, origin: Origin, nth: usize, length: usize) -> Origin {
        let found = self.sources.text(origin).and_then(|raw| raw.match_indices("${").nth(nth));
        found.map_or(origin, |(at, _)| {
            let start = origin.span().start + at;
            origin.with_span(start..start + length)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, (usize, &str)>) {
        let mut sources = Sources::new();
        let file = format!("a = '{text}'");
        let id = sources.add_file("f.toml".into(), file.clone());
        let mut root = crate::parse::document(&file, id).root;
        let variables = [("HOST".to_owned(), "db".to_owned()), ("PORT".to_owned(), "80".to_owned())];
        let found = interpolate(&mut root, &variables, &sources);
        let result = match found.first() {
            Some(one) => Err((one.origin.expect("a place").span().start - 5, one.message())),
            None => {
                Ok(root.as_table().and_then(|table| table.get("a")).and_then(Node::as_str).expect("text"))
            }
        };
        assert_eq!(result, expected);
    }

    #[test]
    fn variables_are_replaced_where_they_stand() {
        check("x-${HOST}:${PORT}", Ok("x-db:80"));
        check("${PORT}", Ok("80"));
        check("${NONE:-else}", Ok("else"));
        check("${HOST:-else}", Ok("db"));
        check("$${HOST} and ${HOST}", Ok("${HOST} and db"));
        check("costs $5", Ok("costs $5"));
        check("${HOST}${NONE}", Err((7, "the environment variable NONE is not set")));
        check("ü${HOST", Err((2, "this `${` is not closed")));
        check("a ${not this}", Err((2, "this names no environment variable")));
    }
}
