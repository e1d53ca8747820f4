//! Shows the demo: redrawn in place on a terminal, as plain lines elsewhere.

use std::io::{self, Write};
use std::path::PathBuf;

use forebay_clock::Moment;

use super::frame::{Line, Paint, frame};
use super::story::{Happening, Story};
use super::tally::Numbers;
use super::text::{Elapsed, Millis};

/// What a terminal is taken for that does not say.
const SIZE_USUAL: Size = Size { columns: 80, rows: 24 };

/// Why something is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A second is over.
    Second,
    /// Something happened.
    Happening,
}

/// How the demo is shown.
#[derive(Debug)]
pub(crate) struct View {
    /// The configuration that people are invited to edit.
    file: PathBuf,
    /// `None` where lines are printed, one for each second and each happening.
    screen: Option<Screen>,
}

impl View {
    /// `live` draws in place, on a terminal.
    pub(crate) fn new(file: PathBuf, live: bool) -> View {
        View { file, screen: live.then(Screen::default) }
    }

    /// Says what there is to try; a drawing has that in it.
    pub(crate) fn open(&self, story: &mut Story) -> io::Result<()> {
        if self.screen.is_some() {
            return Ok(());
        }
        let mut out = Vec::new();
        story.take_fresh().iter().try_for_each(|happening| write_happening(&mut out, happening))?;
        writeln!(out, "try: kill -9 one of these pids, or edit {}", self.file.display())?;
        print(&out)
    }

    /// Shows how it stands now. Fails when nobody looks any more: a closed pipe or terminal.
    pub(crate) fn show(
        &mut self,
        now: Moment,
        story: &mut Story,
        numbers: &Numbers,
        occasion: Occasion,
    ) -> io::Result<()> {
        let fresh = story.take_fresh();
        let mut out = Vec::new();
        match &mut self.screen {
            Some(screen) => screen.draw(&mut out, &frame(now, story, numbers, &self.file), size()),
            None => {
                fresh.iter().try_for_each(|happening| write_happening(&mut out, happening))?;
                if occasion == Occasion::Second {
                    writeln!(out, "{}", plain_second(now, story, numbers))?;
                }
            }
        }
        print(&out)
    }

    /// Leaves room for what is printed next: on a terminal there may be a `^C` where the cursor rests.
    pub(crate) fn close(&self) {
        if self.screen.is_some() {
            // If nobody looks any more, nobody sees the `^C` either.
            let _ = print(b"\r\x1b[K\n");
        }
    }
}

/// In one write: a terminal shows no half of it.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

fn write_happening(out: &mut Vec<u8>, happening: &Happening) -> io::Result<()> {
    writeln!(out, "{:>5}  {}", Elapsed(happening.at), happening.text)?;
    happening.details.iter().try_for_each(|detail| writeln!(out, "       {detail}"))
}

fn plain_second(now: Moment, story: &Story, numbers: &Numbers) -> String {
    let window = numbers.window();
    let rate = numbers.last_second().map_or(0, |second| second.requests);
    let (p50, p99) = (window.latencies.quantile(500), window.latencies.quantile(990));
    let shares: Vec<String> =
        (0..story.instances.len()).map(|index| format!("{}%", window.share(index))).collect();
    format!(
        "{:>5}  {rate:>3}/s  p50 {:<6}  p99 {:<6}  {} failed  {} retried  {}",
        Elapsed(now - story.began),
        Millis(p50),
        Millis(p99),
        numbers.total.failed,
        story.retried,
        shares.join(" "),
    )
}

/// A terminal that is drawn on in place. The cursor rests below the view and is never hidden, so there is nothing to
/// restore, however the demo ends.
#[derive(Debug, Default)]
struct Screen {
    /// Lines of the last drawing, and on what.
    drawn: Option<(usize, Size)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

fn size() -> Size {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => SIZE_USUAL,
    }
}

impl Screen {
    fn draw(&mut self, out: &mut Vec<u8>, lines: &[Line], size: Size) {
        match self.drawn {
            Some((lines, on)) if on == size => out.extend_from_slice(format!("\x1b[{lines}A\r").as_bytes()),
            // Lines may have been wrapped, and nobody knows where: begin again.
            Some(_) => out.extend_from_slice(b"\x1b[2J\x1b[H"),
            None => {}
        }
        let shown = &lines[..lines.len().min(size.rows.saturating_sub(1).max(1))];
        for line in shown {
            write_line(out, line, size.columns);
            out.extend_from_slice(b"\x1b[K\n");
        }
        out.extend_from_slice(b"\x1b[J");
        self.drawn = Some((shown.len(), size));
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line, columns: usize) {
    let mut room = columns;
    for (paint, text) in &line.0 {
        let text: String = text.chars().take(room).collect();
        room -= text.chars().count();
        let code = match paint {
            Paint::Plain => "",
            Paint::Strong => "\x1b[1m",
            Paint::Faint => "\x1b[2m",
            Paint::Good => "\x1b[32m",
            Paint::Bad => "\x1b[31m",
            Paint::Bar => "\x1b[36m",
        };
        let end = if code.is_empty() { "" } else { "\x1b[0m" };
        out.extend_from_slice([code, &text, end].concat().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(screen: &mut Screen, lines: &[&str], size: Size) -> String {
        let lines: Vec<Line> =
            lines.iter().map(|&text| Line(vec![(Paint::Plain, text.to_owned())])).collect();
        let mut out = Vec::new();
        screen.draw(&mut out, &lines, size);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_drawing_covers_the_one_before() {
        let mut screen = Screen::default();
        let size = Size { columns: 4, rows: 3 };
        assert_eq!(drawn(&mut screen, &["one", "twelve", "cut"], size), "one\x1b[K\ntwel\x1b[K\n\x1b[J");
        assert_eq!(drawn(&mut screen, &["two"], size), "\x1b[2A\rtwo\x1b[K\n\x1b[J");
        assert_eq!(drawn(&mut screen, &["x"], size), "\x1b[1A\rx\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_terminal_of_another_size_is_drawn_anew() {
        let mut screen = Screen::default();
        drawn(&mut screen, &["one"], SIZE_USUAL);
        let wide = Size { columns: 120, ..SIZE_USUAL };
        assert_eq!(drawn(&mut screen, &["one"], wide), "\x1b[2J\x1b[Hone\x1b[K\n\x1b[J");
    }
}
