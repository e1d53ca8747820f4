//! Reads `Access-Control-Request-Headers`: the sorted list of lower-case names that browsers send (Fetch,
//! "CORS-preflight fetch"). Refuses anything else at the first odd byte, in one pass.

use crate::decision::Reason;
use crate::names;

/// The most that is read where any header is allowed: scripts set a handful.
const ANY_BYTES_MAX: usize = 2048;
/// Empty elements that a proxy which merges lists may leave behind.
const EMPTY_MAX: usize = 16;

/// The request headers that a policy allows.
#[derive(Debug, Default)]
pub(crate) struct RequestHeaders {
    any: bool,
    /// Where any is allowed, the only name that still has to be listed (Fetch, "CORS non-wildcard request-header name").
    authorization: bool,
    /// In lower case, sorted.
    listed: Vec<Box<str>>,
    bytes_max: usize,
}

impl RequestHeaders {
    pub(crate) fn new(any: bool, mut listed: Vec<Box<str>>) -> RequestHeaders {
        listed.sort_unstable();
        listed.dedup();
        // Each name once, with a comma and a space at each end, and the empty elements likewise.
        let longest: usize = listed.iter().map(|name| name.len() + 3).sum::<usize>() + EMPTY_MAX * 3;
        let authorization = listed.iter().any(|name| &**name == "authorization");
        RequestHeaders { any, authorization, bytes_max: if any { ANY_BYTES_MAX } else { longest }, listed }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.any
    }

    pub(crate) fn listed(&self) -> &[Box<str>] {
        &self.listed
    }

    /// Whether all that is asked for is allowed.
    pub(crate) fn check(&self, asked: &[u8]) -> Result<(), Reason> {
        if asked.len() > self.bytes_max {
            // Longer than all allowed names together, so one of them is none.
            return Err(if self.any { Reason::HeadersMalformed } else { Reason::HeaderNotAllowed });
        }
        let mut left = self.listed.as_slice();
        let mut rest = Some(asked);
        let mut previous: &[u8] = b"";
        let mut empty = 0;
        while let Some(elements) = rest {
            // As browsers write it, each name is found behind the one before: that is what sorted means.
            let begins = |(at, listed): (usize, &Box<str>)| Some((at, behind(elements, listed.as_bytes())?));
            if !self.any
                && let Some((at, behind)) = left.iter().enumerate().find_map(begins)
            {
                rest = behind;
                left = &left[at + 1..];
                continue;
            }
            let end = elements.iter().position(|&byte| byte == b',').unwrap_or(elements.len());
            let name = without_space(&elements[..end]);
            rest = elements.get(end + 1..);
            if name.is_empty() {
                empty += 1;
                if empty > EMPTY_MAX {
                    return Err(Reason::HeadersMalformed);
                }
            } else if self.any {
                self.check_any(name, previous)?;
                previous = name;
            } else {
                let at = left.iter().position(|listed| listed.as_bytes() == name);
                left = &left[at.ok_or_else(|| self.unlisted(name))? + 1..];
            }
        }
        Ok(())
    }

    fn check_any(&self, name: &[u8], previous: &[u8]) -> Result<(), Reason> {
        if name <= previous || !is_lowercase_token(name) {
            return Err(Reason::HeadersMalformed);
        }
        if name == b"authorization" && !self.authorization { Err(Reason::HeaderNotAllowed) } else { Ok(()) }
    }

    /// Why a name was not found where it would have to stand.
    fn unlisted(&self, name: &[u8]) -> Reason {
        let is_listed = self.listed.iter().any(|listed| listed.as_bytes() == name);
        if is_listed || !is_lowercase_token(name) {
            Reason::HeadersMalformed
        } else {
            Reason::HeaderNotAllowed
        }
    }
}

/// What follows the first element and its comma, where that element is `name` without any space: nothing behind the last.
fn behind<'l>(elements: &'l [u8], name: &[u8]) -> Option<Option<&'l [u8]>> {
    if elements.first() != name.first() {
        return None;
    }
    match elements.strip_prefix(name)? {
        [] => Some(None),
        [b',', rest @ ..] => Some(Some(rest)),
        _ => None,
    }
}

fn is_lowercase_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| names::is_token_byte(*byte) && !byte.is_ascii_uppercase())
}

/// Without one space or tab at each end: more is nothing that software makes.
fn without_space(element: &[u8]) -> &[u8] {
    let element = match element {
        [b' ' | b'\t', rest @ ..] => rest,
        _ => element,
    };
    match element {
        [rest @ .., b' ' | b'\t'] => rest,
        _ => element,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(any: bool, listed: &[&str], asked: &str, expected: Result<(), Reason>) {
        let headers = RequestHeaders::new(any, listed.iter().map(|&name| name.into()).collect());
        assert_eq!(headers.check(asked.as_bytes()), expected, "{asked:?}");
    }

    #[test]
    fn a_browsers_list_is_read_and_anything_else_refused() {
        let listed = &["x-cart", "authorization", "content-type"];
        check(false, listed, "", Ok(()));
        check(false, listed, "authorization", Ok(()));
        check(false, listed, "authorization,content-type,x-cart", Ok(()));
        check(false, listed, "authorization, content-type\t,,x-cart,", Ok(()));
        check(false, listed, "authorization,x-other", Err(Reason::HeaderNotAllowed));
        check(false, listed, "x-cart,authorization", Err(Reason::HeadersMalformed));
        check(false, listed, "x-cart,x-cart", Err(Reason::HeadersMalformed));
        check(false, listed, "X-Cart", Err(Reason::HeadersMalformed));
        check(false, listed, "x-cart  ", Err(Reason::HeadersMalformed));
        check(false, listed, "x cart", Err(Reason::HeadersMalformed));
        check(false, listed, &",".repeat(17), Err(Reason::HeadersMalformed));
        check(false, listed, &"a".repeat(65536), Err(Reason::HeaderNotAllowed));
        check(false, &[], "x-cart", Err(Reason::HeaderNotAllowed));
    }

    #[test]
    fn any_is_any_but_authorization() {
        check(true, &[], "content-type,x-cart", Ok(()));
        check(true, &[], "authorization", Err(Reason::HeaderNotAllowed));
        check(true, &["authorization"], "authorization,x-cart", Ok(()));
        check(true, &[], "x-cart,a", Err(Reason::HeadersMalformed));
        check(true, &[], &"a".repeat(65536), Err(Reason::HeadersMalformed));
    }
}
