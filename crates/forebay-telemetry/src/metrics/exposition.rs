//! Metrics as text, in the two formats that scrapers ask for. Decides spelling only: what exists is given.

use std::fmt::{self, Write};

use super::buckets::Buckets;
use super::snapshot::{FamilySnapshot, Kind, SeriesSnapshot, Value};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A format of the `/metrics` response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text format 0.0.4: what everybody reads.
    PrometheusText,
    /// OpenMetrics 1.0: the same with units and an end mark.
    OpenMetrics,
}

impl Exposition {
    /// The format for an `Accept` header. OpenMetrics must be asked for by name; everything else gets
    /// Prometheus text, also a client that would rather have neither: a person with curl is helped, no
    /// scraper is hurt.
    pub fn negotiate(accept: Option<&str>) -> Exposition {
        let (mut open_metrics, mut text) = (0.0, 0.0);
        for range in accept.unwrap_or_default().split(',').map(MediaRange::parse) {
            if range.media.eq_ignore_ascii_case("text/plain") {
                text = range.quality.max(text);
            }
            if range.media.eq_ignore_ascii_case("application/openmetrics-text")
                && matches!(range.version, None | Some("1.0.0"))
            {
                open_metrics = range.quality.max(open_metrics);
            }
        }
        if open_metrics > 0.0 && open_metrics >= text {
            Exposition::OpenMetrics
        } else {
            Exposition::PrometheusText
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Exposition::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One element of `Accept` (RFC 9110 §12.5.1), as far as it matters here.
struct MediaRange<'a> {
    media: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

impl MediaRange<'_> {
    fn parse(text: &str) -> MediaRange<'_> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let mut range = MediaRange { media, version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "version" => range.version = Some(value.trim()),
                "q" | "Q" => range.quality = value.trim().parse().unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }
}

/// The families as text, in the order given.
pub fn render(families: &[FamilySnapshot], exposition: Exposition) -> String {
    let mut text = Text { out: String::new(), exposition };
    for family in families {
        text.family(family);
    }
    if exposition == Exposition::OpenMetrics {
        text.out.push_str("# EOF\n");
    }
    text.out
}

struct Text {
    out: String,
    exposition: Exposition,
}

impl Text {
    fn family(&mut self, family: &FamilySnapshot) {
        let open_metrics = self.exposition == Exposition::OpenMetrics;
        // Prometheus text names the sample in its metadata, OpenMetrics the family.
        let suffix = if family.kind == Kind::Counter && !open_metrics { "_total" } else { "" };
        let name = family.name;
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!(
            "# HELP {name}{suffix} {}\n",
            Help { text: family.help, quotes: open_metrics }
        ));
        self.put(format_args!("# TYPE {name}{suffix} {kind}\n"));
        if let (true, Some(unit)) = (open_metrics, family.unit) {
            self.put(format_args!("# UNIT {name} {}\n", unit.as_str()));
        }
        for series in &family.series {
            self.series(family, series);
        }
    }

    fn series(&mut self, family: &FamilySnapshot, series: &SeriesSnapshot) {
        let name = family.name;
        let suffix = if family.kind == Kind::Counter { "_total" } else { "" };
        let labels = Labels { pairs: &series.labels, le: None };
        match &series.value {
            Value::Count(count) => self.put(format_args!("{name}{suffix}{labels} {count}\n")),
            Value::Number(number) => self.put(format_args!("{name}{suffix}{labels} {}\n", Number(*number))),
            Value::Durations { buckets, counts, sum_nanos } => {
                let count = self.buckets(name, &series.labels, buckets, counts);
                self.put(format_args!("{name}_sum{labels} {}\n", Seconds(*sum_nanos)));
                self.put(format_args!("{name}_count{labels} {count}\n"));
            }
        }
    }

    /// Writes the cumulated buckets and returns the count of all.
    fn buckets(
        &mut self,
        name: &str,
        pairs: &[(&'static str, Box<str>)],
        buckets: &Buckets,
        counts: &[u64],
    ) -> u64 {
        let bounds = buckets.bounds_nanos().iter().map(|&bound| Some(Seconds(bound.into())));
        let mut total = 0;
        for (bound, count) in bounds.chain([None]).zip(counts) {
            total += count;
            let labels = Labels { pairs, le: Some(bound) };
            self.put(format_args!("{name}_bucket{labels} {total}\n"));
        }
        total
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(text);
    }
}

/// `{name="value",…}`, or nothing when there are none.
struct Labels<'a> {
    pairs: &'a [(&'static str, Box<str>)],
    // `Some(None)` is the bucket without a bound.
    le: Option<Option<Seconds>>,
}

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '{';
        for (name, value) in self.pairs {
            write!(f, "{separator}{name}=\"")?;
            escape(f, value, true)?;
            f.write_char('"')?;
            separator = ',';
        }
        match &self.le {
            Some(Some(bound)) => write!(f, "{separator}le=\"{bound}\"}}"),
            Some(None) => write!(f, "{separator}le=\"+Inf\"}}"),
            None if separator == ',' => f.write_char('}'),
            None => Ok(()),
        }
    }
}

struct Help<'a> {
    text: &'a str,
    quotes: bool,
}

impl fmt::Display for Help<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.text, self.quotes)
    }
}

fn escape(f: &mut fmt::Formatter<'_>, text: &str, quotes: bool) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '"']) {
        f.write_str(&rest[..at])?;
        f.write_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ if quotes => "\\\"",
            _ => "\"",
        })?;
        rest = &rest[at + 1..];
    }
    f.write_str(rest)
}

/// Exact decimal seconds, always with a fraction. OpenMetrics wants `le="1.0"`; Prometheus text would also
/// take `le="1"`, but a series must not change its name with the format it is read in.
struct Seconds(u128);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / NANOS_PER_SECOND, self.0 % NANOS_PER_SECOND);
        let digits = format!("{nanos:09}");
        let digits = digits.trim_end_matches('0');
        write!(f, "{whole}.{}", if digits.is_empty() { "0" } else { digits })
    }
}

/// A float as both formats spell it.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            number if number.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            number => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scrapers_get_what_they_ask_for() {
        let check = |accept, expected| assert_eq!(Exposition::negotiate(accept), expected, "{accept:?}");
        use Exposition::{OpenMetrics, PrometheusText};
        check(None, PrometheusText);
        check(Some(""), PrometheusText);
        check(Some("*/*"), PrometheusText);
        check(Some("text/html,application/xhtml+xml,*/*;q=0.8"), PrometheusText);
        check(Some("text/plain"), PrometheusText);
        check(Some("application/openmetrics-text"), OpenMetrics);
        check(Some("Application/OpenMetrics-Text; version=1.0.0"), OpenMetrics);
        check(Some("application/openmetrics-text; version=0.0.1"), PrometheusText);
        check(Some("application/openmetrics-text; version=2.0.0, */*"), PrometheusText);
        check(Some("application/openmetrics-text;q=0, text/plain"), PrometheusText);
        check(Some("application/openmetrics-text;q=0.5, text/plain;q=0.9"), PrometheusText);
        check(Some("application/openmetrics-text;q=nonsense"), PrometheusText);
        // Prometheus 2.53.
        check(
            Some(
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                 q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ),
            OpenMetrics,
        );
        // Prometheus 3.
        check(
            Some(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,*/*;q=0.1",
            ),
            OpenMetrics,
        );
    }

    #[test]
    fn numbers_are_spelled_exactly() {
        let check = |nanos, expected| assert_eq!(Seconds(nanos).to_string(), expected);
        check(0, "0.0");
        check(1, "0.000000001");
        check(500_000, "0.0005");
        check(10_000_000_000, "10.0");
        check(u128::from(u64::MAX), "18446744073.709551615");
        let check = |number, expected| assert_eq!(Number(number).to_string(), expected);
        check(3.0, "3");
        check(0.25, "0.25");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Inf");
    }

    /// The label value as a scraper reads it back: the text up to the first unescaped quote, unescaped.
    fn parse_label_value(line: &str) -> String {
        let mut chars = line.split_once("=\"").unwrap().1.chars();
        let mut value = String::new();
        loop {
            match chars.next().unwrap() {
                '"' => return value,
                '\\' => value.push(match chars.next().unwrap() {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    other => panic!("unknown escape {other:?}"),
                }),
                plain => value.push(plain),
            }
        }
    }

    proptest! {
        #[test]
        fn any_label_value_is_read_back(value in r#"([\\"\n]|.)*"#) {
            let pairs = [("route", Box::from(value.as_str()))];
            let line = Labels { pairs: &pairs, le: None }.to_string();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(parse_label_value(&line), value);
        }
    }
}
