//! Reads `#[setting(…)]`, `#[settings(…)]` and doc comments.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, Ident, Lit, LitBool, LitInt, LitStr, Meta, Path, Result, Token};

use crate::toml_text::toml_text;

/// The keys that take a TOML value.
const TOML_KEYS: [&str; 4] = ["default", "min", "max", "example"];
/// The keys that take a text.
const TEXT_KEYS: [&str; 5] = ["what", "why", "help", "refers_to", "deprecated"];
/// The keys that take a number.
const NUMBER_KEYS: [&str; 2] = ["min_length", "max_length"];
/// The keys that stand alone.
const FLAGS: [&str; 2] = ["restart", "secret"];

/// What `#[setting(…)]` said about a field or a variant.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) name: Option<String>,
    pub(crate) flatten: bool,
    /// The remaining keys with the expression that their descriptor field gets.
    pub(crate) told: Vec<(Ident, TokenStream)>,
}

/// What `#[settings(…)]` said about a struct.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) check: Option<Path>,
    pub(crate) short: Option<String>,
    pub(crate) restart: bool,
}

impl Setting {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Setting> {
        let mut setting = Setting::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("setting")) {
            attribute.parse_nested_meta(|meta| setting.key(&meta))?;
        }
        Ok(setting)
    }

    fn key(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = meta.path.require_ident()?.clone();
        let name = key.to_string();
        if self.told.iter().any(|(told, _)| *told == key) {
            return Err(meta.error(format!("`{name}` is said twice")));
        }
        let expression = match name.as_str() {
            "name" => {
                self.name = Some(meta.value()?.parse::<LitStr>()?.value());
                return Ok(());
            }
            "flatten" => {
                self.flatten = true;
                return Ok(());
            }
            name if TOML_KEYS.contains(&name) => {
                let text = toml_text(until_comma(meta)?)?;
                quote::quote!(::core::option::Option::Some(#text))
            }
            name if TEXT_KEYS.contains(&name) => {
                let text: LitStr = meta.value()?.parse()?;
                quote::quote!(::core::option::Option::Some(#text))
            }
            name if NUMBER_KEYS.contains(&name) => {
                let number: LitInt = meta.value()?.parse()?;
                quote::quote!(::core::option::Option::Some(#number))
            }
            name if FLAGS.contains(&name) => {
                let truth = LitBool::new(true, Span::call_site());
                quote::quote!(#truth)
            }
            _ => return Err(meta.error(unknown(&name))),
        };
        self.told.push((key, expression));
        Ok(())
    }

    pub(crate) fn says(&self, key: &str) -> bool {
        self.told.iter().any(|(told, _)| told == key)
    }
}

impl Whole {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Whole> {
        let mut whole = Whole::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("settings")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("check") {
                    whole.check = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("short") {
                    whole.short = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("restart") {
                    whole.restart = true;
                } else {
                    return Err(meta.error("known for a section: check = function, short = \"key\", restart"));
                }
                Ok(())
            })?;
        }
        Ok(whole)
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = [&TOML_KEYS[..], &TEXT_KEYS, &NUMBER_KEYS, &FLAGS, &["name", "flatten"]].concat();
    format!("unknown attribute `{name}`; known for a setting: {}", known.join(", "))
}

/// The tokens after `=`, up to the comma that begins the next key.
fn until_comma(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let input = meta.value()?;
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    if tokens.is_empty() { Err(input.error("a TOML value belongs here")) } else { Ok(tokens) }
}

/// The doc comment, a line per line.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The key that a Rust name stands for, and a check that a file can spell it bare.
pub(crate) fn checked_name(name: String, span: Span) -> Result<String> {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(bare) {
        return Err(Error::new(span, format!("`{name}` is no bare TOML key")));
    }
    Ok(name)
}
