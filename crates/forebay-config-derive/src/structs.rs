//! A struct becomes a [`Section`](https://docs.rs/forebay-config) constant and a reader with one line per
//! field.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DataStruct, DeriveInput, Error, Field, Fields, Result};

use crate::attributes::{Setting, Whole, checked_name, doc};

pub(crate) fn expand(input: &DeriveInput, data: &DataStruct) -> Result<TokenStream> {
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "a section needs named fields: they are its keys"));
    };
    let whole = Whole::read(&input.attrs)?;
    let source = source();
    let (type_name, section_doc) = (&input.ident, doc(&input.attrs));
    let section_name = type_name.to_string();

    let mut descriptors = Vec::new();
    let mut reads = Vec::new();
    for (index, field) in fields.named.iter().enumerate() {
        let (descriptor, read) = one(field, index)?;
        descriptors.push(descriptor);
        reads.push(read);
    }
    let names: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
    let short = match whole.short {
        Some(short) if !knows(fields, &short)? => {
            return Err(Error::new_spanned(
                type_name,
                format!("`short` names no field of this struct: `{short}`"),
            ));
        }
        Some(short) => quote!(::core::option::Option::Some(#short)),
        None => quote!(::core::option::Option::None),
    };
    let restart = whole.restart;
    let check = whole.check.map(|function| {
        quote! {
            fn check(&self, check: &mut ::forebay_config::Check<'_, '_>) {
                #function(self, check)
            }
        }
    });

    Ok(quote! {
        impl ::forebay_config::Settings for #type_name {
            const SECTION: ::forebay_config::Section = ::forebay_config::Section {
                name: #section_name,
                doc: #section_doc,
                fields: &[#(#descriptors),*],
                short: #short,
                restart: #restart,
            };
            fn read_fields(#source: &mut ::forebay_config::Fields<'_, '_>) -> ::core::option::Option<Self> {
                #(let #names = #reads;)*
                ::core::option::Option::Some(Self { #(#names: #names?),* })
            }
            #check
        }
        impl ::forebay_config::Value for #type_name {
            const SHAPE: ::forebay_config::Shape =
                ::forebay_config::Shape::Table(&<Self as ::forebay_config::Settings>::SECTION);
            fn read(
                node: &::forebay_config::Node,
                reader: &mut ::forebay_config::Reader<'_>,
            ) -> ::core::option::Option<Self> {
                ::forebay_config::read_section(node, reader)
            }
            fn absent(reader: &mut ::forebay_config::Reader<'_>) -> ::core::option::Option<Self> {
                ::forebay_config::read_nothing(reader)
            }
        }
    })
}

/// What fields are read from. Hygienic, so that a setting may have the same name.
fn source() -> Ident {
    Ident::new("fields", Span::mixed_site())
}

/// The descriptor of one field and the expression that reads it.
fn one(field: &Field, index: usize) -> Result<(TokenStream, TokenStream)> {
    let setting = Setting::read(&field.attrs)?;
    let (name, doc) = (name_of(field, &setting)?, doc(&field.attrs));
    if doc.is_empty() && !setting.flatten {
        return Err(Error::new_spanned(field, "a setting needs a doc comment: it becomes its reference"));
    }
    if setting.flatten && (!setting.told.is_empty() || setting.name.is_some()) {
        return Err(Error::new_spanned(
            field,
            "a flattened section has no key, hence nothing else to say about it",
        ));
    }
    let field_type = &field.ty;
    let told = setting.told.iter().map(|(key, expression)| quote!(#key: #expression,));
    let (flatten, source) = (setting.flatten, source());
    let optional = if setting.says("default") {
        quote!(false)
    } else {
        quote!(<#field_type as ::forebay_config::Value>::OPTIONAL)
    };
    // The type's span, so that a type without `Value` is pointed at and not the derive.
    let descriptor = quote_spanned! {field_type.span()=>
        ::forebay_config::Field {
            name: #name,
            doc: #doc,
            shape: <#field_type as ::forebay_config::Value>::SHAPE,
            optional: #optional,
            flatten: #flatten,
            probe: ::forebay_config::probe::<#field_type>,
            #(#told)*
            ..::forebay_config::Field::PLAIN
        }
    };
    let read = match flatten {
        true => quote!(#source.flatten::<#field_type>()),
        false => quote!(#source.value(#index)),
    };
    Ok((descriptor, read))
}

fn name_of(field: &Field, setting: &Setting) -> Result<String> {
    let ident = field.ident.as_ref().map(|ident| ident.unraw().to_string()).unwrap_or_default();
    checked_name(setting.name.clone().unwrap_or(ident), field.span())
}

fn knows(fields: &syn::FieldsNamed, key: &str) -> Result<bool> {
    for field in &fields.named {
        if name_of(field, &Setting::read(&field.attrs)?)? == key {
            return Ok(true);
        }
    }
    Ok(false)
}
