//! Settings declared once, on a Rust struct. From it come parsing, defaults, checks, the JSON Schema, the
//! reference page, the commented template, and the answer to "why is it what it is".

mod diagnostic;
mod effective;
mod explain;
mod files;
mod gather;
mod interpolate;
mod load;
mod merge;
mod node;
mod overrides;
mod parse;
mod path;
mod place;
mod problem;
mod reader;
mod render;
mod scalar;
mod section;
mod shape;
mod suggest;
mod syntax;
mod value;
mod walk;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use effective::{Change, Effective, EffectiveSetting};
pub use explain::{Explanation, Told, UnknownKey};
pub use files::{Disk, FILE_BYTES_MAX, Files, NoFiles};
pub use forebay_config_derive::Settings;
pub use load::{Inputs, Loaded, load};
pub use node::{Data, Kind, Node, Table};
pub use path::VARIABLE_PREFIX;
pub use place::{Origin, Place};
pub use problem::Problem;
pub use reader::Reader;
pub use render::Style;
pub use scalar::{
    ByteSize, FilePath, Host, HttpUrl, NAME_LENGTH_MAX, Name, Rate, RatePeriod, Scheme, Secret, Share,
    format_duration,
};
pub use section::{Check, Fields, Settings, read_choice, read_nothing, read_section};
pub use shape::{Choice, Field, Scalar, Section, Shape};
pub use value::{OneOrMany, Spanned, Value};
