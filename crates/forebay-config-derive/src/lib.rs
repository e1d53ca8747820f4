//! The derive behind `forebay_config`: `#[derive(Settings)]` on a struct declares one table of the file, on an
//! enum a choice. Expands to constant tables and one line per field; whatever happens at run time is in the
//! library. The attributes are described there too.

mod attributes;
mod enums;
mod structs;
mod toml_text;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, Result, parse_macro_input};

/// Declares a section (a struct), a set of words (an enum without fields) or a choice by kind of value (an enum
/// whose variants each wrap one type). See `forebay_config` for the attributes.
#[proc_macro_derive(Settings, attributes(setting, settings))]
pub fn derive_settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<proc_macro2::TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "settings have no type parameters: the file has none",
        ));
    }
    match &input.data {
        Data::Struct(data) => structs::expand(input, data),
        Data::Enum(data) => enums::expand(input, data),
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "a union cannot be a setting")),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[track_caller]
    fn check(input: DeriveInput, expected: &str) {
        assert_eq!(expand(&input).expect_err("misuse").to_string(), expected);
    }

    #[test]
    fn misuse_of_a_struct_is_explained() {
        check(
            parse_quote!(
                struct A<T> {
                    a: T,
                }
            ),
            "settings have no type parameters: the file has none",
        );
        check(
            parse_quote!(
                struct A(u8);
            ),
            "a section needs named fields: they are its keys",
        );
        check(
            parse_quote!(
                struct A {
                    a: u8,
                }
            ),
            "a setting needs a doc comment: it becomes its reference",
        );
        check(
            parse_quote!(
                struct A {
                    /** D. */
                    #[setting(name = "a b")]
                    a: u8,
                }
            ),
            "`a b` is no bare TOML key",
        );
        check(
            parse_quote!(
                struct A {
                    /** D. */
                    #[setting(default = 1, default = 2)]
                    a: u8,
                }
            ),
            "`default` is said twice",
        );
        check(
            parse_quote!(
                struct A {
                    /** D. */
                    #[setting(defualt = 1)]
                    a: u8,
                }
            ),
            "unknown attribute `defualt`; known for a setting: default, min, max, example, what, why, help, \
             refers_to, deprecated, min_length, max_length, restart, secret, name, flatten",
        );
        check(
            parse_quote!(
                struct A {
                    /** D. */
                    #[setting(default = Duration::MAX)]
                    a: u8,
                }
            ),
            "not TOML: write a string, a number, a boolean, a list or a table",
        );
        check(
            parse_quote!(
                struct A {
                    /** D. */
                    #[setting(default =)]
                    a: u8,
                }
            ),
            "unexpected end of input, a TOML value belongs here",
        );
        check(
            parse_quote!(
                struct A {
                    #[setting(flatten, restart)]
                    a: B,
                }
            ),
            "a flattened section has no key, hence nothing else to say about it",
        );
        check(
            parse_quote!(
                #[settings(short = "b")]
                struct A {
                    /** D. */
                    a: u8,
                }
            ),
            "`short` names no field of this struct: `b`",
        );
        check(
            parse_quote!(
                #[settings(live)]
                struct A {
                    /** D. */
                    a: u8,
                }
            ),
            "known for a section: check = function, short = \"key\", restart",
        );
    }

    #[test]
    fn misuse_of_an_enum_is_explained() {
        check(
            parse_quote!(
                enum A {}
            ),
            "an enum without variants has no value to write",
        );
        check(
            parse_quote!(
                enum A {
                    B,
                    C(u8),
                }
            ),
            "either no variant has fields, or each wraps exactly one type, such as `List(Vec<Name>)`",
        );
        check(
            parse_quote!(
                enum A {
                    #[setting(restart)]
                    B,
                }
            ),
            "known for a word: name = \"word\"",
        );
        check(parse_quote!(union A { a: u8 }), "a union cannot be a setting");
    }

    #[test]
    fn the_expansion_is_a_table_and_one_line_per_field() {
        let input: DeriveInput = parse_quote!(
            struct A {
                /** D. */
                #[setting(default = "1s")]
                fields: Duration,
            }
        );
        let expanded = expand(&input).expect("valid").to_string();
        assert!(
            expanded.contains("default : :: core :: option :: Option :: Some (\"\\\"1s\\\"\")"),
            "{expanded}"
        );
        assert!(expanded.len() < 2000, "{}", expanded.len());
    }
}
