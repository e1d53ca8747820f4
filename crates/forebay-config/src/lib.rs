//! Settings declared once, on a Rust struct. From it come parsing, defaults, checks, the JSON Schema, the
//! reference page, the commented template, and the answer to "why is it what it is". Reads no environment and,
//! apart from [`Disk`], no files: [`Inputs`] brings everything in.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use forebay_config::{Check, Inputs, Name, Secret, Settings, Spanned, load};
//!
//! /// The whole file.
//! #[derive(Debug, Settings)]
//! struct Root {
//!     /// The front listener and what holds for all routes.
//!     gateway: Gateway,
//!     /// Who answers.
//!     service: BTreeMap<Name, Service>,
//!     /// What goes where.
//!     route: Vec<Spanned<Route>>,
//! }
//!
//! /// The front listener and what holds for all routes.
//! #[derive(Debug, Settings)]
//! #[settings(check = Gateway::check)]
//! struct Gateway {
//!     /// A whole request, every retry included.
//!     #[setting(default = "15s", min = "1ms", max = "1h")]
//!     timeout: Duration,
//!     /// One attempt of it.
//!     #[setting(default = "5s")]
//!     attempt_timeout: Duration,
//!     /// Opens the admin API.
//!     #[setting(restart)]
//!     token: Option<Secret>,
//! }
//!
//! impl Gateway {
//!     fn check(&self, check: &mut Check<'_, '_>) {
//!         if self.attempt_timeout > self.timeout {
//!             check.error("attempt_timeout", "one attempt may not outlast the whole request");
//!         }
//!     }
//! }
//!
//! /// One service.
//! #[derive(Debug, Settings)]
//! struct Service {
//!     /// Who gets the next request.
//!     #[setting(default = "least-request")]
//!     balance: Balance,
//! }
//!
//! /// Who gets the next request.
//! #[derive(Debug, PartialEq, Settings)]
//! enum Balance {
//!     /// The least busy of two.
//!     LeastRequest,
//!     /// One after the other.
//!     RoundRobin,
//! }
//!
//! /// One route.
//! #[derive(Debug, Settings)]
//! struct Route {
//!     /// Which requests.
//!     #[setting(name = "match", min_length = 1)]
//!     pattern: String,
//!     /// Who answers them.
//!     #[setting(refers_to = "service")]
//!     service: Option<Spanned<Name>>,
//! }
//!
//! let file = "
//! [gateway]
//! timeout = 20
//! [service.orders]
//! balance = 'round-robin'
//! [[route]]
//! match = '/orders/*'
//! service = 'ordres'
//! ";
//! let read = |_: &Path| Ok(file.as_bytes().to_vec());
//! let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
//! let diagnostics = load::<Root>(inputs.clone()).expect_err("two mistakes");
//! assert_eq!(diagnostics.to_string(), "\
//! error: `timeout` is a duration, and 20 is an integer
//!   --> forebay.toml:3:11
//!    |
//! 3  | timeout = 20
//!    |           ^^
//!    = help: write \"20s\"
//! error: `service` names \"ordres\", and there is no [service.ordres]
//!   --> forebay.toml:8:11
//!    |
//! 8  | service = 'ordres'
//!    |           ^^^^^^^^
//!    = note: names are checked at the start so that no request has to find out
//!    = help: did you mean \"orders\"?");
//!
//! let read = |_: &Path| Ok(file.replace("20", "'20s'").replace("ordres", "orders").into_bytes());
//! let environment = vec![("FOREBAY_GATEWAY__ATTEMPT_TIMEOUT".into(), "2s".into())];
//! let loaded = load::<Root>(Inputs { files: &read, environment, ..inputs }).expect("mended");
//! assert_eq!(loaded.value.gateway.timeout, Duration::from_secs(20));
//! assert_eq!(loaded.value.service["orders"].balance, Balance::RoundRobin);
//! assert_eq!(loaded.explain("gateway.attempt_timeout").expect("a setting")[0].to_string(), "\
//! \"2s\"   from the environment: FOREBAY_GATEWAY__ATTEMPT_TIMEOUT
//!     over \"5s\"   the default");
//! ```
//!
//! # Declaring
//!
//! A struct is a table, a field a key, its doc comment the reference. The type says what may be written:
//! [`Value`] is implemented for the ordinary types of Rust, for the scalars here, for `Option` (may be left
//! out), `Vec`, [`OneOrMany`], `BTreeMap` (names as keys), [`Spanned`], and for whatever derives [`Settings`].
//! Tables, maps of tables and arrays of tables may be left out and are then empty or all defaults; any other
//! setting without a default is required unless it is an `Option`.
//!
//! On a field, `#[setting(…)]`:
//!
//! | | |
//! |---|---|
//! | `default`, `min`, `max`, `example` | as TOML writes them: `"15s"`, `3`, `["a"]`, `{ base = "1s" }` |
//! | `min_length`, `max_length` | characters of a text, elements of a list |
//! | `name = "match"` | the key, where it is not the field's name |
//! | `what`, `why`, `help` | the words of error messages: "`budget` is *what*", note, help |
//! | `refers_to = "service"` | the value must be a key of that top-level map |
//! | `restart` | a change applies only after a restart |
//! | `secret` | never shown, as [`Secret`] never is |
//! | `deprecated = "use …"` | works, with a warning |
//! | `flatten` | the keys of that struct stand in this table |
//!
//! On a struct, `#[settings(…)]`: `check = function` for what no single field can tell, `short = "key"` so that
//! a plain value stands for a table with that key, `restart` for all of it. An enum without fields is a set of
//! words in kebab case; one whose variants each wrap a type takes the first that fits the kind of value written.
//!
//! # Layers
//!
//! Default < included files < file < overlay < environment < `--set`. Tables merge; any other value replaces
//! the one below, arrays of tables too, except that those of included files and their includer add up. `${VAR}`
//! works in the strings of files only.

mod aftermath;
mod declarations;
mod diagnostic;
mod effective;
mod explain;
mod files;
mod gather;
mod interpolate;
mod json_schema;
mod load;
mod merge;
mod node;
mod outline;
mod overrides;
mod parse;
mod path;
mod place;
mod problem;
mod reader;
mod reference;
mod render;
mod scalar;
mod section;
mod shape;
mod suggest;
mod syntax;
mod template;
mod token;
mod value;
mod walk;

pub use declarations::check_declarations;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use effective::{Change, Effective, EffectiveSetting};
pub use explain::{Explanation, Told, UnknownKey};
pub use files::{Disk, FILE_BYTES_MAX, Files, NoFiles};
pub use forebay_config_derive::Settings;
pub use json_schema::json_schema;
pub use load::{Inputs, Loaded, load};
pub use node::{Data, Kind, Node, Table};
pub use path::VARIABLE_PREFIX;
pub use place::{Origin, Place};
pub use problem::Problem;
pub use reader::Reader;
pub use reference::reference;
pub use render::Style;
pub use scalar::{
    ByteSize, FilePath, Host, HttpUrl, NAME_LENGTH_MAX, Name, Rate, RatePeriod, Scheme, Secret, Share,
    format_duration,
};
pub use section::{Check, Fields, Settings, read_choice, read_nothing, read_section};
pub use shape::{Choice, Field, Probe, Scalar, Section, Shape, probe};
pub use template::template;
pub use token::is_token;
pub use value::{OneOrMany, Spanned, Value};
