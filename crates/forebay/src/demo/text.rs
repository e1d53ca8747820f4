//! Numbers and lines as people read them.

use std::fmt;
use std::time::Duration;

/// "1.0 s"
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// "8.1 ms", "16 ms"; a dash for what was not measured.
pub(crate) struct Millis(pub(crate) Option<Duration>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|latency| latency.as_secs_f64() * 1000.0) {
            None => f.pad("-"),
            Some(ms) if ms < 9.95 => f.pad(&format!("{ms:.1} ms")),
            Some(ms) => f.pad(&format!("{ms:.0} ms")),
        }
    }
}

/// "0:42", "1:02:03": time since the demo began.
pub(crate) struct Elapsed(pub(crate) Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match hours {
            0 => f.pad(&format!("{minutes}:{seconds:02}")),
            _ => f.pad(&format!("{hours}:{minutes:02}:{seconds:02}")),
        }
    }
}

/// "2,114"
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// Without control characters: a file under edit may hold any, and a terminal obeys them.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}

/// Breaks a line between words so that no part is longer than `width`, if no word is. Further parts are set in.
pub(crate) fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent = line.chars().take_while(|&c| c == ' ').count();
    let mut parts = Vec::new();
    let mut part = " ".repeat(indent);
    let mut words = 0;
    for word in line[indent..].split(' ') {
        if words > 0 && part.chars().count() + 1 + word.chars().count() > width {
            parts.push(std::mem::replace(&mut part, " ".repeat(indent + 4)));
            words = 0;
        }
        if words > 0 {
            part.push(' ');
        }
        part.push_str(word);
        words += 1;
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let check = |text: String, expected| assert_eq!(text, expected);
        check(Count(7).to_string(), "7");
        check(Count(2114).to_string(), "2,114");
        check(Count(1_000_000).to_string(), "1,000,000");
        check(Seconds(Duration::from_millis(1049)).to_string(), "1.0 s");
        check(Millis(Some(Duration::from_micros(8_120))).to_string(), "8.1 ms");
        check(Millis(Some(Duration::from_micros(9_960))).to_string(), "10 ms");
        check(Millis(None).to_string(), "-");
        check(Elapsed(Duration::from_secs(42)).to_string(), "0:42");
        check(Elapsed(Duration::from_secs(3723)).to_string(), "1:02:03");
        check(format!("{:>6}|", Count(1234)), " 1,234|");
    }

    #[test]
    fn nothing_printed_moves_the_cursor() {
        assert_eq!(printable("a\tb\x1b[2J\r\n\u{9b}c"), "a b[2Jc");
    }

    #[test]
    fn long_lines_break_between_words() {
        let check = |line, parts: &[&str]| assert_eq!(wrapped(line, 12), parts);
        check("", &[""]);
        check("  = note: x", &["  = note: x"]);
        check(" = note: one two three", &[" = note: one", "     two", "     three"]);
        check("incomprehensibilities a", &["incomprehensibilities", "    a"]);
        check("12 | a  b", &["12 | a  b"]);
    }
}
