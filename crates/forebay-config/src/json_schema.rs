//! The JSON Schema (draft 2020-12) by which editors complete and check the file. It forgives what only the
//! loader can judge: `${VAR}` may stand for any value, and a secret usually comes from elsewhere.

use serde_json::{Map, Value as Json, json};

use crate::gather::INCLUDE;
use crate::node::{Data, Kind, Node};
use crate::section::{Settings, declared};
use crate::shape::{Choice, Field, Scalar, Section, Shape};

/// The schema of the whole file.
pub fn json_schema<T: Settings>() -> Json {
    let mut schema = section(const { &T::SECTION });
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["properties"][INCLUDE] = json!({
        "description": "Further files, relative to this one. This file wins over what it includes.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    });
    schema
}

fn section(section: &'static Section) -> Json {
    let properties: Map<String, Json> =
        section.flat().map(|field| (field.name.to_owned(), setting(field))).collect();
    let required: Vec<&str> = section
        .flat()
        .filter(|field| field.is_required() && !field.is_secret())
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "title": section.name,
        "description": section.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    match section.short.and_then(|name| section.field(name)) {
        Some(field) => json!({ "anyOf": [of_shape(&field.shape), schema] }),
        None => schema,
    }
}

fn setting(field: &'static Field) -> Json {
    let mut schema = of_shape(&field.shape);
    schema["description"] = json!(field.doc);
    if let Some(default) = field.default.and_then(declared) {
        schema["default"] = of_node(&default);
    }
    if field.deprecated.is_some() {
        schema["deprecated"] = json!(true);
    }
    if let Shape::Scalar(Scalar { kind: Kind::Integer | Kind::Float, .. }) = field.shape {
        for (key, bound) in [("minimum", field.min), ("maximum", field.max)] {
            if let Some(node) = bound.and_then(declared) {
                schema["anyOf"][0][key] = of_node(&node);
            }
        }
    }
    let (least, most) = match field.shape {
        Shape::List(_) => ("minItems", "maxItems"),
        _ => ("minLength", "maxLength"),
    };
    for (key, bound) in [(least, field.min_length), (most, field.max_length)] {
        if let Some(bound) = bound {
            schema[key] = json!(bound);
        }
    }
    schema
}

fn of_shape(shape: &Shape) -> Json {
    match shape {
        Shape::Scalar(scalar) => of_scalar(scalar),
        Shape::OneOf(choices) => of_choices(choices),
        Shape::List(element) => json!({ "type": "array", "items": of_shape(element) }),
        Shape::OneOrMany(one) => {
            json!({ "anyOf": [of_shape(one), { "type": "array", "items": of_shape(one) }] })
        }
        Shape::Map(key, value) => {
            let mut schema = json!({ "type": "object", "additionalProperties": of_shape(value) });
            if let Shape::Scalar(Scalar { pattern: Some(pattern), .. }) = key {
                schema["propertyNames"] = json!({ "pattern": pattern });
            }
            schema
        }
        Shape::Table(inner) => section(inner),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(of_shape).collect::<Vec<_>>() }),
        Shape::Any => json!({}),
    }
}

fn of_scalar(scalar: &Scalar) -> Json {
    let kind = match scalar.kind {
        Kind::Integer => "integer",
        Kind::Float => "number",
        Kind::Boolean => "boolean",
        _ => {
            return match scalar.pattern {
                Some(pattern) => json!({ "type": "string", "pattern": format!("{pattern}|\\$\\{{") }),
                None => json!({ "type": "string" }),
            };
        }
    };
    json!({ "anyOf": [{ "type": kind }, { "type": "string", "pattern": "^\\$\\{[^}]*\\}$" }] })
}

fn of_choices(choices: &[Choice]) -> Json {
    let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
    let docs: Vec<&str> = choices.iter().map(|choice| choice.doc).collect();
    // The common TOML extension of editors shows these beside the words.
    json!({ "enum": names, "x-taplo": { "docs": { "enumValues": docs } } })
}

fn of_node(node: &Node) -> Json {
    match node.data() {
        Data::String(text) | Data::Datetime(text) => json!(text),
        Data::Integer(number) => json!(number),
        Data::Float(number) => json!(number),
        Data::Boolean(truth) => json!(truth),
        Data::List(list) => list.iter().map(of_node).collect(),
        Data::Table(table) => {
            Json::Object(table.iter().map(|(key, _, node)| (key.to_owned(), of_node(node))).collect())
        }
        Data::Broken => Json::Null,
    }
}
