//! One JSON object on one line, written field by field. Objects nest once; there are no arrays.

use std::fmt;

use crate::escape::{json_string, put};

/// An object being written; [`JsonObject::end`] closes it.
pub(crate) struct JsonObject<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> JsonObject<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> JsonObject<'a> {
        out.push(b'{');
        JsonObject { out, is_empty: true }
    }

    pub(crate) fn string(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        json_string(self.out, value);
    }

    /// A value whose text is JSON already: a number, `true`, `null`.
    pub(crate) fn literal(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        put(self.out, format_args!("{value}"));
    }

    pub(crate) fn object(&mut self, name: &str) -> JsonObject<'_> {
        self.name(name);
        JsonObject::begin(self.out)
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        json_string(self.out, name.as_bytes());
        self.out.push(b':');
    }
}
