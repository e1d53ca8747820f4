//! Request paths as routes see them. Forwards nothing: the upstream gets the path as the client sent it.

use std::borrow::Cow;

use thiserror::Error;

/// Why a request's path is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// A `%` without two hexadecimal digits.
    #[error("the path has a `%` without two hexadecimal digits")]
    Encoding,
    /// `%00`, or another encoded control byte.
    #[error("the path has an encoded control byte")]
    Control,
    /// `.` or `..`, plain or encoded. Browsers and libraries resolve them before they send; what is left would
    /// name one route here and another resource behind it.
    #[error("the path has a `.` or `..` segment")]
    DotSegment,
}

/// The path with unreserved characters decoded (RFC 3986 §6.2.2.2), so that `/%61` and `/a` take one route.
pub fn normalize(path: &str) -> Result<Cow<'_, str>, PathError> {
    let Some(odd) = memchr::memchr2(b'%', b'.', path.as_bytes()) else { return Ok(Cow::Borrowed(path)) };
    let is_encoded = memchr::memchr(b'%', &path.as_bytes()[odd..]).is_some();
    let decoded = if is_encoded { Cow::Owned(decode_unreserved(path)?) } else { Cow::Borrowed(path) };
    if decoded.contains('.') && segments(&decoded).any(|segment| matches!(bare(segment), "." | "..")) {
        return Err(PathError::DotSegment);
    }
    Ok(decoded)
}

/// Segments as any upstream may see them: some decode `%2F` before they resolve `..`, some take `\\` for a slash.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '\\']).flat_map(|part| part.split("%2F")).flat_map(|part| part.split("%5C"))
}

/// A segment without its parameters: servlet containers resolve `..;a=b` as they do `..`.
fn bare(segment: &str) -> &str {
    let end = segment.find(';').into_iter().chain(segment.find("%3B")).min();
    end.map_or(segment, |end| &segment[..end])
}

/// What follows the first `count` segments of a path, without the slash between.
pub fn after_segments(path: &str, count: usize) -> &str {
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    for _ in 0..count {
        rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    }
    rest
}

fn decode_unreserved(path: &str) -> Result<String, PathError> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(percent) = rest.find('%') {
        decoded.push_str(&rest[..percent]);
        let digits = rest.get(percent + 1..percent + 3).ok_or(PathError::Encoding)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(PathError::Encoding);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| PathError::Encoding)?;
        match byte {
            0..0x20 | 0x7f => return Err(PathError::Control),
            b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => decoded.push(char::from(byte)),
            _ => {
                decoded.push('%');
                decoded.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &rest[percent + 3..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_are_decoded() {
        assert_eq!(normalize("/%61%2f%2e5/b%c3%a9").unwrap(), "/a%2F.5/b%C3%A9");
        assert!(matches!(normalize("/plain/.hidden/a..b/c;v=1..2"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn dot_segments_are_refused_however_they_are_written() {
        for path in [
            "/..",
            "/a/../b",
            "/a/.",
            "/%2e%2E/b",
            "/a/.%2e/b",
            "/a/..%2fb",
            "/a%5c../b",
            "/a\\..\\b",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/.%2E%3b/b",
            "/a/.;",
        ] {
            assert_eq!(normalize(path), Err(PathError::DotSegment), "{path}");
        }
    }

    #[test]
    fn the_rest_of_a_path_has_no_leading_slash() {
        assert_eq!(after_segments("/a/b/c", 0), "a/b/c");
        assert_eq!(after_segments("/a/b/c", 2), "c");
        assert_eq!(after_segments("/a", 1), "");
        assert_eq!(after_segments("/a/", 3), "");
    }

    #[test]
    fn broken_encodings_are_refused() {
        for path in ["/%", "/%1", "/%zz", "/%+1"] {
            assert_eq!(normalize(path), Err(PathError::Encoding), "{path}");
        }
        assert_eq!(normalize("/a%00"), Err(PathError::Control));
    }
}
