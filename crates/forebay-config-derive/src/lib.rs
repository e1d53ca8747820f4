//! The derive behind `forebay_config`: `#[derive(Settings)]` on a struct declares one table of the file, on an
//! enum a choice. Expands to constant tables and one line per field; whatever happens at run time is in the
//! library. The attributes are described there too.

mod attributes;
mod enums;
mod structs;
mod toml_text;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, parse_macro_input};

/// Declares a section (a struct), a set of words (an enum without fields) or a choice by kind of value (an enum
/// whose variants each wrap one type). See `forebay_config` for the attributes.
#[proc_macro_derive(Settings, attributes(setting, settings))]
pub fn derive_settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = match &input.data {
        _ if !input.generics.params.is_empty() => {
            Err(Error::new_spanned(&input.generics, "settings have no type parameters: the file has none"))
        }
        Data::Struct(data) => structs::expand(&input, data),
        Data::Enum(data) => enums::expand(&input, data),
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "a union cannot be a setting")),
    };
    expanded.unwrap_or_else(Error::into_compile_error).into()
}
