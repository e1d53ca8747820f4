//! [`Value`]: what a setting's type must be able to do. Implemented here for the ordinary types of Rust, in
//! [`crate::scalar`] for ours, and anywhere for anybody's own.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use crate::node::{Data, Kind, Node};
use crate::place::Origin;
use crate::reader::Reader;
use crate::shape::{Scalar, Shape};

/// A type that can be written in the file.
///
/// Most scalars are a string of some form; three lines make one:
///
/// ```
/// use forebay_config::{Node, Problem, Reader, Shape, Value};
///
/// struct Method(String);
///
/// impl Value for Method {
///     const SHAPE: Shape = Shape::text("an HTTP method", "\"GET\"");
///     fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Method> {
///         reader.text(node, &Self::SHAPE, |text| {
///             let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
///             if valid { Ok(Method(text.to_owned())) } else { Err(Problem::new("is not upper case")) }
///         })
///     }
/// }
/// ```
///
/// A type with `FromStr` reads as `reader.text(node, &Self::SHAPE, |text| Ok(text.parse()?))`.
pub trait Value: Sized {
    /// What may be written.
    const SHAPE: Shape;

    /// Whether leaving it out is fine without a default.
    const OPTIONAL: bool = false;

    /// Reads the value. On failure the reader has been told why, and nothing comes back.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// What stands when nothing is written and no default is declared; nothing when it is required.
    fn absent(_reader: &mut Reader<'_>) -> Option<Self> {
        None
    }

    /// The value on a line, for `min` and `max`, in the smallest unit of its type.
    fn magnitude(&self) -> Option<i128> {
        None
    }

    /// Characters or elements, for `min_length` and `max_length`.
    fn length(&self) -> Option<usize> {
        None
    }
}

impl<T: Value> Value for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = true;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn absent(_reader: &mut Reader<'_>) -> Option<Self> {
        Some(None)
    }

    fn magnitude(&self) -> Option<i128> {
        self.as_ref()?.magnitude()
    }

    fn length(&self) -> Option<usize> {
        self.as_ref()?.length()
    }
}

impl<T: Value> Value for Box<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = T::OPTIONAL;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(Box::new)
    }

    fn absent(reader: &mut Reader<'_>) -> Option<Self> {
        T::absent(reader).map(Box::new)
    }

    fn magnitude(&self) -> Option<i128> {
        (**self).magnitude()
    }

    fn length(&self) -> Option<usize> {
        (**self).length()
    }
}

/// A list keeps the order of the file. An array of tables may be absent; a list of values must be written or
/// have a default, so that forgetting it is noticed.
impl<T: Value> Value for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(list) = node.as_list() else {
            return reader.wrong_kind(node, &Self::SHAPE);
        };
        reader.elements(list)
    }

    fn absent(_reader: &mut Reader<'_>) -> Option<Self> {
        (!Self::SHAPE.is_value()).then(Vec::new)
    }

    fn length(&self) -> Option<usize> {
        Some(self.len())
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Value> Value for OneOrMany<T> {
    const SHAPE: Shape = Shape::OneOrMany(&T::SHAPE);

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.as_list() {
            Some(list) => reader.elements(list).map(OneOrMany),
            None => T::read(node, reader).map(|one| OneOrMany(vec![one])),
        }
    }

    fn length(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl<K: Value + Ord, V: Value> Value for BTreeMap<K, V> {
    const SHAPE: Shape = Shape::Map(&K::SHAPE, &V::SHAPE);

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(table) = node.as_table() else {
            return reader.wrong_kind(node, &Self::SHAPE);
        };
        let mut map = BTreeMap::new();
        for (name, origin, value) in table.iter() {
            let key = reader
                .under(name, |reader| K::read(&Node::new(Data::String(name.to_owned()), origin), reader));
            let value = reader.under(name, |reader| V::read(value, reader));
            if let (Some(key), Some(value)) = (key, value) {
                map.insert(key, value);
            }
        }
        (map.len() == table.0.len()).then_some(map)
    }

    fn absent(_reader: &mut Reader<'_>) -> Option<Self> {
        Some(BTreeMap::new())
    }

    fn length(&self) -> Option<usize> {
        Some(self.len())
    }
}

/// A value that remembers where it was written. Compares by the value alone.
#[derive(Clone)]
pub struct Spanned<T> {
    /// The value itself.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: Value> Value for Spanned<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = T::OPTIONAL;

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(|value| Spanned { value, origin: node.origin() })
    }

    fn absent(reader: &mut Reader<'_>) -> Option<Self> {
        T::absent(reader).map(|value| Spanned { value, origin: Origin::DEFAULT })
    }

    fn magnitude(&self) -> Option<i128> {
        self.value.magnitude()
    }

    fn length(&self) -> Option<usize> {
        self.value.length()
    }
}

/// Whatever was written, for settings whose meaning another setting decides.
impl Value for Node {
    const SHAPE: Shape = Shape::Any;

    fn read(node: &Node, _reader: &mut Reader<'_>) -> Option<Self> {
        (!node.is_broken()).then(|| node.clone())
    }
}

impl Value for bool {
    const SHAPE: Shape = Shape::Scalar(Scalar { kind: Kind::Boolean, ..Scalar::text("a boolean", "true") });

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.data() {
            Data::Boolean(truth) => Some(*truth),
            _ => reader.wrong_kind(node, &Self::SHAPE),
        }
    }
}

impl Value for f64 {
    const SHAPE: Shape = Shape::Scalar(Scalar { kind: Kind::Float, ..Scalar::text("a number", "1.5") });

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.data() {
            Data::Integer(number) => Some(*number as f64),
            Data::Float(number) if number.is_finite() => Some(*number),
            _ => reader.wrong_kind(node, &Self::SHAPE),
        }
    }

    /// In millionths; more digits than that are not settings.
    fn magnitude(&self) -> Option<i128> {
        Some((self * 1e6).round() as i128)
    }
}

/// Any text, the empty one included; declare `min_length = 1` to refuse that.
impl Value for String {
    const SHAPE: Shape = Shape::text("a string", "\"...\"");

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node, &Self::SHAPE, |text| Ok(text.to_owned()))
    }

    fn length(&self) -> Option<usize> {
        Some(self.chars().count())
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            const SHAPE: Shape = Shape::Scalar(Scalar { kind: Kind::Integer, ..Scalar::text("an integer", "1") });

            fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
                reader.integer(node, &Self::SHAPE, <$integer>::MIN.into_wide(), <$integer>::MAX.into_wide())
                    .and_then(|number| <$integer>::try_from(number).ok())
            }

            fn magnitude(&self) -> Option<i128> {
                Some(self.into_wide())
            }
        }

        impl Wide for $integer {
            fn into_wide(self) -> i128 {
                self as i128
            }
        }
    )*};
}

/// `usize` has no `Into<i128>`, though it always fits.
trait Wide {
    fn into_wide(self) -> i128;
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);
