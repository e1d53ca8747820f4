//! What a request asks of its route besides the path: options in the query, and a representation.

use forebay_http::problem::{Fault, Problem};
use forebay_http::{Fields, RequestHead};

/// A request as a route sees it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r>(pub(crate) &'r RequestHead);

/// The two representations of what people and programs both read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Asked<'_> {
    /// Whether the query has the option, with or without a value: `?verbose`, `?verbose=1`.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.option(option).is_some()
    }

    /// The format that `?format=` names, or else the better accepted one; text when `Accept` mentions no JSON.
    pub(crate) fn format(&self) -> Result<Format, Problem> {
        match self.option("format") {
            Some("json") => return Ok(Format::Json),
            Some("text") => return Ok(Format::Text),
            Some(_) => {
                let detail =
                    "the format asked for in the query does not exist; use format=json or format=text";
                return Err(Problem::new(400, "unknown-format", Fault::Client, detail));
            }
            None => {}
        }
        let json = self.quality("application/json");
        Ok(if json > 0.0 && json >= self.quality("text/plain") { Format::Json } else { Format::Text })
    }

    /// All of `Accept` as one list.
    pub(crate) fn accept(&self) -> Option<String> {
        let mut values = Vec::new();
        self.0.fields().each_value("accept", &mut |value| {
            values.push(String::from_utf8_lossy(value));
            true
        });
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn option(&self, option: &str) -> Option<&str> {
        let mut options = self.0.query()?.split('&').map(|one| one.split_once('=').unwrap_or((one, "")));
        options.find(|(name, _)| *name == option).map(|(_, value)| value)
    }

    /// The weight that `Accept` gives a media type by its full name (RFC 9110 §12.5.1); 0 when it does not.
    fn quality(&self, media: &str) -> f32 {
        let accept = self.accept().unwrap_or_default();
        let named = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(media))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
        });
        named.fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use forebay_http::Scheme;

    use super::*;

    #[track_caller]
    fn check(target: &str, accept: &str, expected: Result<Format, u16>) {
        let mut head = RequestHead::new("GET", Scheme::Http, "localhost", target);
        if !accept.is_empty() {
            head.fields_mut().append("accept", accept.as_bytes());
        }
        let format = Asked(&head).format().map_err(|problem| problem.status);
        assert_eq!(format, expected, "{target} {accept}");
    }

    #[test]
    fn programs_get_json_and_people_text() {
        check("/config", "", Ok(Format::Text));
        check("/config", "*/*", Ok(Format::Text));
        check("/config", "text/html,application/xhtml+xml,*/*;q=0.8", Ok(Format::Text));
        check("/config", "application/json", Ok(Format::Json));
        check("/config", "Application/JSON;charset=utf-8", Ok(Format::Json));
        check("/config", "application/json, text/plain, */*", Ok(Format::Json));
        check("/config", "application/json;q=0.5, text/plain", Ok(Format::Text));
        check("/config", "application/json;q=0", Ok(Format::Text));
        check("/config", "application/json;q=high", Ok(Format::Text));
    }

    #[test]
    fn the_query_overrules_the_header() {
        check("/config?format=json", "text/plain", Ok(Format::Json));
        check("/config?a&format=text", "application/json", Ok(Format::Text));
        check("/config?format=yaml", "", Err(400));
        check("/config?format", "", Err(400));
    }

    #[test]
    fn an_option_is_there_with_or_without_a_value() {
        let asks = |target| Asked(&RequestHead::new("GET", Scheme::Http, "localhost", target)).has("verbose");
        assert!(asks("/readyz?verbose") && asks("/readyz?verbose=1") && asks("/readyz?a=b&verbose"));
        assert!(!asks("/readyz") && !asks("/readyz?verbosely") && !asks("/readyz?a=verbose"));
    }
}
