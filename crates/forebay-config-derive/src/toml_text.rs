//! Defaults and bounds are written as TOML would write them, in Rust's tokens: `"15s"`, `3`, `true`,
//! `["a", "b"]`, `{ base = "1s" }`. Here they become TOML's characters.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{Error, LitStr, Result};

/// TOML text for the tokens of one value.
pub(crate) fn toml_text(tokens: TokenStream) -> Result<String> {
    let mut text = String::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => text.push_str(&bracketed(&group)?),
            TokenTree::Ident(word) if word == "true" || word == "false" => text.push_str(&word.to_string()),
            // A key of an inline table.
            TokenTree::Ident(word) => text.push_str(&format!("{word} ")),
            TokenTree::Punct(mark) if matches!(mark.as_char(), ',' | '=' | '-') => text.push(mark.as_char()),
            TokenTree::Punct(mark) => {
                return Err(Error::new(
                    mark.span(),
                    "not TOML: write a string, a number, a boolean, a list or a table",
                ));
            }
            TokenTree::Literal(literal) => {
                let written = literal.to_string();
                let string = written.starts_with(['"', 'r']);
                text.push_str(&if string {
                    quoted(&syn::parse2::<LitStr>(TokenTree::Literal(literal).into())?.value())
                } else {
                    written
                });
            }
        }
    }
    Ok(text)
}

fn bracketed(group: &Group) -> Result<String> {
    let inner = toml_text(group.stream())?;
    match group.delimiter() {
        Delimiter::Bracket => Ok(format!("[{inner}]")),
        Delimiter::Brace => Ok(format!("{{{inner}}}")),
        Delimiter::Parenthesis | Delimiter::None => Err(Error::new(group.span(), "TOML has no parentheses")),
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[track_caller]
    fn check(tokens: TokenStream, expected: &str) {
        assert_eq!(toml_text(tokens).expect("valid"), expected);
    }

    #[test]
    fn rust_tokens_become_toml() {
        check(quote!("15s"), "\"15s\"");
        check(quote!(r"a\b"), "\"a\\\\b\"");
        check(quote!(-3), "-3");
        check(quote!(1_000), "1_000");
        check(quote!(["a", "b"]), "[\"a\",\"b\"]");
        check(quote!({ base = "1s", max = true }), "{base =\"1s\",max =true}");
    }

    #[test]
    fn what_toml_cannot_say_is_refused() {
        assert!(toml_text(quote!(Duration::from_secs(1))).is_err());
        assert!(toml_text(quote!((1, 2))).is_err());
    }
}
