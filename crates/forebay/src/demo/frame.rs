//! The view of a running demo as lines of painted text. Pure: the screen draws it, the tests read it.

use std::path::Path;

use forebay_clock::Moment;

use super::story::{Happening, Standing, Story, Tone};
use super::tally::{Numbers, WINDOW_S};
use super::text::{Count, Elapsed, Millis, Seconds, wrapped};

/// Rows for what happened: the whole view fits a terminal of 24 rows.
const HAPPENINGS_ROWS: usize = 7;
/// What happened is told in so many columns, behind eight for the time.
const HAPPENINGS_COLUMNS: usize = 72;
/// Columns of a bar.
const BAR_COLUMNS: u64 = 36;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
    Bar,
}

/// One line, in pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(pub(crate) Vec<(Paint, String)>);

impl Line {
    fn empty() -> Line {
        Line::default()
    }

    fn of(paint: Paint, text: impl Into<String>) -> Line {
        Line::default().and(paint, text)
    }

    fn and(mut self, paint: Paint, text: impl Into<String>) -> Line {
        self.0.push((paint, text.into()));
        self
    }
}

/// The whole view, for the moment `now`.
pub(crate) fn frame(now: Moment, story: &Story, numbers: &Numbers, file: &Path) -> Vec<Line> {
    let mut lines = vec![title(now, story), Line::empty()];
    lines.extend(measured(story, numbers));
    lines.push(Line::empty());
    lines.extend(instances(now, story, numbers));
    lines.push(Line::empty());
    lines.extend(happenings(story, file));
    lines.push(Line::empty());
    lines.extend(invitation(story, file));
    lines
}

fn title(now: Moment, story: &Story) -> Line {
    let gateway = match story.gateway.standing {
        Standing::Ready => String::new(),
        Standing::Starting => "  starting".to_owned(),
        Standing::Down { .. } => "  down".to_owned(),
    };
    let pid = story.gateway.pid.map(|pid| format!("pid {pid}")).unwrap_or_default();
    Line::of(Paint::Strong, " forebay demo   ")
        .and(Paint::Plain, format!("gateway at http://{}  ", story.addresses.gateway))
        .and(Paint::Faint, pid)
        .and(Paint::Bad, gateway)
        .and(Paint::Faint, format!("  up {}", Elapsed(now - story.began)))
}

fn measured(story: &Story, numbers: &Numbers) -> [Line; 2] {
    let (window, total) = (numbers.window(), &numbers.total);
    let rate = numbers.last_second().map_or(0, |second| second.requests);
    let failed = if total.failed == 0 { Paint::Good } else { Paint::Bad };
    let requests = Line::of(Paint::Faint, " requests   ")
        .and(Paint::Strong, format!("{:<13}", format!("{rate}/s")))
        .and(Paint::Plain, format!("{:<14}", format!("{} so far", Count(total.requests))))
        .and(failed, format!("{:<13}", format!("{} failed", Count(total.failed))))
        .and(Paint::Plain, format!("{} retried", Count(story.retried)));
    let (p50, p99) = (window.latencies.quantile(500), window.latencies.quantile(990));
    let latency = Line::of(Paint::Faint, " latency    ")
        .and(Paint::Strong, format!("{:<13}", format!("p50 {}", Millis(p50))))
        .and(Paint::Strong, format!("{:<14}", format!("p99 {}", Millis(p99))))
        .and(Paint::Faint, format!("of the last {WINDOW_S} s"));
    [requests, latency]
}

fn instances(now: Moment, story: &Story, numbers: &Numbers) -> Vec<Line> {
    let window = numbers.window();
    let heading = format!(" {:<11}{:<11}answers of the last {WINDOW_S} s", "instance", "pid");
    let mut lines = vec![Line::of(Paint::Faint, heading)];
    for (index, member) in story.instances.iter().enumerate() {
        let pid = member.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let share = window.share(index);
        let filled = ((share * BAR_COLUMNS + 50) / 100) as usize;
        let (name, note) = match member.standing {
            Standing::Ready => (Paint::Strong, String::new()),
            Standing::Starting => (Paint::Bad, "starting".to_owned()),
            Standing::Down { until: Some(until) } => {
                (Paint::Bad, format!("back in {}", Seconds(now.until(until))))
            }
            Standing::Down { until: None } => (Paint::Faint, "stopped".to_owned()),
        };
        let line = Line::of(name, format!(" {:<11}", member.name))
            .and(Paint::Plain, format!("{pid:<11}"))
            .and(Paint::Bar, "█".repeat(filled))
            .and(Paint::Faint, "░".repeat(BAR_COLUMNS as usize - filled))
            .and(Paint::Plain, format!("{share:>4}%  "))
            .and(Paint::Bad, note);
        lines.push(line);
    }
    lines
}

/// The latest that fits, with empty lines behind it so that nothing below it moves.
fn happenings(story: &Story, file: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for happening in story.happenings().rev() {
        let mut block = told(happening);
        if lines.len() + block.len() > HAPPENINGS_ROWS {
            // The latest is shown as far as it goes; an older one whole or not at all.
            if lines.is_empty() {
                block.truncate(HAPPENINGS_ROWS - 1);
                block.push(Line::of(
                    Paint::Faint,
                    format!("        … forebay check --config {}", file.display()),
                ));
                lines = block;
            }
            break;
        }
        block.append(&mut lines);
        lines = block;
    }
    lines.resize(HAPPENINGS_ROWS, Line::empty());
    lines
}

fn told(happening: &Happening) -> Vec<Line> {
    let paint = match happening.tone {
        Tone::Good => Paint::Good,
        Tone::Plain => Paint::Plain,
        Tone::Bad => Paint::Bad,
    };
    let words = wrapped(&happening.text, HAPPENINGS_COLUMNS).into_iter().map(|text| (paint, text));
    let details = happening.details.iter().flat_map(|detail| wrapped(detail, HAPPENINGS_COLUMNS));
    let texts = words.chain(details.map(|text| (Paint::Plain, text))).enumerate();
    let lead = |at| if at == 0 { format!(" {:>5}  ", Elapsed(happening.at)) } else { " ".repeat(8) };
    texts.map(|(at, (paint, text))| Line::of(Paint::Faint, lead(at)).and(paint, text)).collect()
}

fn invitation(story: &Story, file: &Path) -> [Line; 5] {
    let alive = story.instances.iter().find(|member| member.standing == Standing::Ready);
    let pid = alive.and_then(|member| member.pid).map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
    let line = |lead: &str, command: String, effect: &str| {
        Line::of(Paint::Faint, format!(" {lead:<5}"))
            .and(Paint::Strong, format!("{command:<45}"))
            .and(Paint::Faint, format!(" {effect}"))
    };
    [
        line("try", format!("kill -9 {pid}"), "one dies, no request fails"),
        line("", format!("$EDITOR {}", file.display()), "in force when you save"),
        line("", format!("curl -i {}/api/orders/7", story.addresses.gateway), "x-instance: who answered"),
        line("", format!("curl {}/services", story.addresses.admin), "how the gateway sees them"),
        line("", "Ctrl-C".to_owned(), "ends it all"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::ports::Addresses;
    use crate::demo::tally::Sample;
    use forebay_supervise::{Ending, Report, Stream};
    use std::time::Duration;

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    fn line(text: &str) -> Report<'_> {
        Report::Line { stream: Stream::Err, text }
    }

    fn demo() -> (Story, Numbers) {
        let mut story = Story::new(at(0), Addresses::EXAMPLE);
        for (pid, name) in [(4711, "orders-1"), (4712, "orders-2"), (4713, "orders-3"), (4714, "gateway")] {
            story.saw(at(0), name, Report::Started { pid });
            let ready = if name == "gateway" { r#"{"message":"serving"}"# } else { "ready" };
            story.saw(at(20), name, line(ready));
        }
        let mut numbers = Numbers::default();
        for instance in [0, 0, 1, 2, 0, 2] {
            numbers.add(&Sample { took: Duration::from_millis(8), result: Ok(Some(instance)) });
        }
        numbers.turn_second();
        (story, numbers)
    }

    fn text(lines: &[Line]) -> String {
        let line = |line: &Line| line.0.iter().map(|(_, text)| text.as_str()).collect::<String>();
        lines.iter().map(|one| format!("{}\n", line(one).trim_end())).collect()
    }

    #[test]
    fn the_view_shows_who_answers_and_what_happened() {
        let (mut story, numbers) = demo();
        let restart_in = Some(Duration::from_secs(1));
        story.saw(at(41_000), "orders-2", Report::Ended { ending: &Ending::Killed(9), restart_in });
        let seen = text(&frame(at(41_400), &story, &numbers, Path::new("/tmp/forebay-demo/forebay.toml")));
        assert_eq!(seen, include_str!("frame.golden"), "\n{seen}");
    }

    #[test]
    fn the_view_fits_a_small_terminal_and_keeps_its_height() {
        let (mut story, numbers) = demo();
        let file = Path::new("/tmp/forebay-demo/forebay.toml");
        let height = frame(at(1000), &story, &numbers, file).len();
        assert!(height < 24, "{height} rows");
        for detail in 0..30 {
            story.saw(at(1000), "gateway", line(&format!("error {detail}")));
        }
        story.saw(at(1000), "gateway", line(r#"{"level":"error","message":"reload rejected"}"#));
        let lines = frame(at(1000), &story, &numbers, file);
        assert_eq!(lines.len(), height);
        assert!(text(&lines).contains("rejected"));
        let widest = text(&lines).lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns");
    }
}
