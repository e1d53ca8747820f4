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
        if self.any { self.check_any(asked) } else { self.check_listed(asked) }
    }

    /// Each is looked for behind the one before: that is what sorted means, and takes one pass for all.
    fn check_listed(&self, asked: &[u8]) -> Result<(), Reason> {
        let mut left = self.listed.as_slice();
        let mut empty = 0;
        let mut rest = Some(asked);
        while let Some(elements) = rest {
            if let Some((at, behind)) = skip(elements, left) {
                (left, rest) = (&left[at + 1..], behind);
                continue;
            }
            let end = elements.iter().position(|&byte| byte == b',').unwrap_or(elements.len());
            let name = without_space(&elements[..end]);
            rest = elements.get(end + 1..);
            if name.is_empty() {
                count(&mut empty)?;
            } else {
                let at = left.iter().position(|listed| listed.as_bytes() == name);
                left = &left[at.ok_or_else(|| self.unlisted(name))? + 1..];
            }
        }
        Ok(())
    }

    fn check_any(&self, asked: &[u8]) -> Result<(), Reason> {
        let mut previous: &[u8] = b"";
        let mut empty = 0;
        for element in asked.split(|&byte| byte == b',') {
            let name = without_space(element);
            if name.is_empty() {
                count(&mut empty)?;
                continue;
            }
            if name <= previous || !is_lowercase_token(name) {
                return Err(Reason::HeadersMalformed);
            }
            if name == b"authorization" && !self.authorization {
                return Err(Reason::HeaderNotAllowed);
            }
            previous = name;
        }
        Ok(())
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

/// Counts an empty element.
fn count(empty: &mut usize) -> Result<(), Reason> {
    *empty += 1;
    if *empty > EMPTY_MAX { Err(Reason::HeadersMalformed) } else { Ok(()) }
}

/// Where the first element is one of `names`, without any space as browsers write it: which, and what is behind its comma.
fn skip<'e>(elements: &'e [u8], names: &[Box<str>]) -> Option<(usize, Option<&'e [u8]>)> {
    names.iter().enumerate().find_map(|(at, name)| Some((at, behind(elements, name.as_bytes())?)))
}

/// Where the first element is `name`: what is behind its comma, if there is one.
fn behind<'e>(elements: &'e [u8], name: &[u8]) -> Option<Option<&'e [u8]>> {
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
    fn every_short_list_is_judged_by_its_elements() {
        let listed = ["a", "a-b", "b"];
        let headers = RequestHeaders::new(false, listed.map(Into::into).into());
        let lists = std::iter::successors(Some(vec![Vec::new()]), |lists| Some(longer(lists)));
        for asked in lists.take(7).flatten() {
            let elements: Vec<_> = asked.split(|&byte| byte == b',').map(without_space).collect();
            let names: Vec<_> = elements.into_iter().filter(|element| !element.is_empty()).collect();
            let is_known = names.iter().all(|name| listed.iter().any(|listed| listed.as_bytes() == *name));
            let is_sorted = names.is_sorted_by(|a, b| a < b);
            assert_eq!(
                headers.check(&asked).is_ok(),
                is_known && is_sorted,
                "{:?}",
                asked.escape_ascii().to_string()
            );
        }
    }

    /// Each list with each of these bytes behind it.
    fn longer(lists: &[Vec<u8>]) -> Vec<Vec<u8>> {
        lists.iter().flat_map(|list| b"ab-, ".iter().map(|&byte| [list, &[byte][..]].concat())).collect()
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
