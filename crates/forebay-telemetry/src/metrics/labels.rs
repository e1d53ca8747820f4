//! Labels whose values are known when compiled. They bound what a client can make us remember.

/// A label, or several, with a fixed set of values; the crates that own an outcome implement it for their
/// enum.
pub trait Axis: Copy + 'static {
    /// How many labels this is.
    const ARITY: usize;
    /// How many values, or combinations of values, there are.
    const LEN: usize;
    /// Which one this is, below [`Axis::LEN`].
    fn index(self) -> usize;
    /// Appends the [`Axis::ARITY`] label values.
    fn push_values(self, values: &mut Vec<&'static str>);
}

impl<A: Axis, B: Axis> Axis for (A, B) {
    const ARITY: usize = A::ARITY + B::ARITY;
    const LEN: usize = A::LEN * B::LEN;

    fn index(self) -> usize {
        self.0.index() * B::LEN + self.1.index()
    }

    fn push_values(self, values: &mut Vec<&'static str>) {
        self.0.push_values(values);
        self.1.push_values(values);
    }
}

/// A request's method as a label. Methods are free text in HTTP, so all the unusual ones are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodLabel {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
    /// Every other method.
    Other,
}

impl MethodLabel {
    /// The label of a method as it was received; methods are case-sensitive (RFC 9110 §9.1).
    pub fn of(method: &[u8]) -> MethodLabel {
        match method {
            b"GET" => MethodLabel::Get,
            b"HEAD" => MethodLabel::Head,
            b"POST" => MethodLabel::Post,
            b"PUT" => MethodLabel::Put,
            b"DELETE" => MethodLabel::Delete,
            b"PATCH" => MethodLabel::Patch,
            b"OPTIONS" => MethodLabel::Options,
            _ => MethodLabel::Other,
        }
    }
}

impl Axis for MethodLabel {
    const ARITY: usize = 1;
    const LEN: usize = MethodLabel::Other as usize + 1;

    fn index(self) -> usize {
        self as usize
    }

    fn push_values(self, values: &mut Vec<&'static str>) {
        values.push(match self {
            MethodLabel::Get => "GET",
            MethodLabel::Head => "HEAD",
            MethodLabel::Post => "POST",
            MethodLabel::Put => "PUT",
            MethodLabel::Delete => "DELETE",
            MethodLabel::Patch => "PATCH",
            MethodLabel::Options => "OPTIONS",
            MethodLabel::Other => "other",
        });
    }
}

/// How a request ended, as a label: the first digit of its final status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// No status was sent: the client left first.
    None,
    /// 101, after which the connection belongs to another protocol.
    Informational,
    /// 200 to 299.
    Success,
    /// 300 to 399.
    Redirect,
    /// 400 to 499.
    ClientError,
    /// 500 to 599, and whatever else an upstream invents.
    ServerError,
}

impl StatusClass {
    /// The class of a final status; `None` when no response was begun.
    pub fn of(status: Option<u16>) -> StatusClass {
        match status {
            None => StatusClass::None,
            Some(100..=199) => StatusClass::Informational,
            Some(200..=299) => StatusClass::Success,
            Some(300..=399) => StatusClass::Redirect,
            Some(400..=499) => StatusClass::ClientError,
            // RFC 9110 §15: a client treats a status outside 100 to 599 as a server error.
            Some(_) => StatusClass::ServerError,
        }
    }
}

impl Axis for StatusClass {
    const ARITY: usize = 1;
    const LEN: usize = StatusClass::ServerError as usize + 1;

    fn index(self) -> usize {
        self as usize
    }

    fn push_values(self, values: &mut Vec<&'static str>) {
        values.push(match self {
            StatusClass::None => "none",
            StatusClass::Informational => "1xx",
            StatusClass::Success => "2xx",
            StatusClass::Redirect => "3xx",
            StatusClass::ClientError => "4xx",
            StatusClass::ServerError => "5xx",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn methods_outside_the_set_are_one_label() {
        assert_eq!(MethodLabel::of(b"PATCH"), MethodLabel::Patch);
        for method in [&b"get"[..], b"PROPFIND", b"", b"\xff"] {
            assert_eq!(MethodLabel::of(method), MethodLabel::Other);
        }
    }

    #[test]
    fn statuses_fall_into_their_class() {
        assert_eq!(StatusClass::of(None), StatusClass::None);
        assert_eq!(StatusClass::of(Some(204)), StatusClass::Success);
        assert_eq!(StatusClass::of(Some(499)), StatusClass::ClientError);
        assert_eq!(StatusClass::of(Some(999)), StatusClass::ServerError);
    }

    #[test]
    fn pairs_have_distinct_indices_that_fill_the_length() {
        let methods = [&b"GET"[..], b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"X"];
        let statuses = [None, Some(101), Some(200), Some(301), Some(404), Some(503)];
        let indices: BTreeSet<usize> = methods
            .iter()
            .flat_map(|method| {
                statuses.map(|status| (MethodLabel::of(method), StatusClass::of(status)).index())
            })
            .collect();
        assert_eq!(indices, (0..<(MethodLabel, StatusClass)>::LEN).collect());
    }
}
