//! An enum without fields is a set of words; one whose variants each wrap a type is a choice by the kind of
//! value that was written.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, Result, Type, Variant};

use crate::attributes::{Setting, checked_name, doc};

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let has_words = data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
    match (data.variants.is_empty(), has_words) {
        (true, _) => Err(Error::new_spanned(&input.ident, "an enum without variants has no value to write")),
        (_, true) => words(input, data),
        (_, false) => kinds(input, data),
    }
}

fn words(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let type_name = &input.ident;
    let mut choices = Vec::new();
    for variant in &data.variants {
        let setting = Setting::read(&variant.attrs)?;
        if setting.flatten || !setting.told.is_empty() {
            return Err(Error::new_spanned(variant, "known for a word: name = \"word\""));
        }
        let name = setting.name.unwrap_or_else(|| kebab_case(&variant.ident.to_string()));
        let (name, doc) = (checked_name(name, variant.ident.span())?, doc(&variant.attrs));
        choices.push(quote!(::forebay_config::Choice { name: #name, doc: #doc }));
    }
    let arms = data.variants.iter().enumerate().map(|(index, variant)| {
        let variant = &variant.ident;
        quote!(#index => ::core::option::Option::Some(Self::#variant))
    });
    let read = quote! {
        match ::forebay_config::read_choice(node, reader, &<Self as ::forebay_config::Value>::SHAPE)? {
            #(#arms,)*
            _ => ::core::option::Option::None,
        }
    };
    Ok(value_impl(type_name, &quote!(OneOf(&[#(#choices),*])), &read))
}

fn kinds(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let type_name = &input.ident;
    let mut shapes = Vec::new();
    let mut tries = Vec::new();
    for variant in &data.variants {
        let (name, wrapped) = (&variant.ident, wrapped(variant)?);
        shapes.push(quote!(<#wrapped as ::forebay_config::Value>::SHAPE));
        tries.push(quote! {
            if node.fits(&<#wrapped as ::forebay_config::Value>::SHAPE) {
                return <#wrapped as ::forebay_config::Value>::read(node, reader).map(Self::#name);
            }
        });
    }
    let read = quote! {
        #(#tries)*
        reader.wrong_kind(node, &<Self as ::forebay_config::Value>::SHAPE)
    };
    Ok(value_impl(type_name, &quote!(Either(&[#(#shapes),*])), &read))
}

fn wrapped(variant: &Variant) -> Result<&Type> {
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(&fields.unnamed[0].ty),
        _ => {
            let message =
                "either no variant has fields, or each wraps exactly one type, such as `List(Vec<Name>)`";
            Err(Error::new_spanned(variant, message))
        }
    }
}

fn value_impl(type_name: &syn::Ident, shape: &TokenStream, read: &TokenStream) -> TokenStream {
    quote! {
        impl ::forebay_config::Value for #type_name {
            const SHAPE: ::forebay_config::Shape = ::forebay_config::Shape::#shape;
            fn read(
                node: &::forebay_config::Node,
                reader: &mut ::forebay_config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                #read
            }
        }
    }
}

/// `LeastRequest` is `least-request`.
fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for (place, c) in name.char_indices() {
        if c.is_uppercase() && place > 0 {
            kebab.push('-');
        }
        kebab.extend(c.to_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_spelled_in_kebab_case() {
        assert_eq!(kebab_case("LeastRequest"), "least-request");
        assert_eq!(kebab_case("Maglev"), "maglev");
    }
}
