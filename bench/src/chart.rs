//! Draws the bar chart: a group for each scenario, in it a bar for each proxy, in it user and system time.

use std::fmt::Write as _;

/// One scenario. Bars in different groups have scales of their own: 1 KiB beside 100 KiB would be invisible.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// One proxy, in microseconds per request.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Bar {
    fn total(&self) -> f64 {
        self.user + self.system
    }
}

// All in the picture's own pixels.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 90.0;
/// The longest bar; the rest of the width is for its figure.
const LENGTH_MAX: f64 = 520.0;
const BAR_HEIGHT: f64 = 18.0;
const BAR_STEP: f64 = 24.0;
const GROUP_HEAD: f64 = 34.0;
const HEAD: f64 = 64.0;

/// An SVG document that reads on light and on dark ground.
pub(crate) fn draw(groups: &[Group], processor: &str) -> String {
    let mut body = String::new();
    let mut y = HEAD;
    for group in groups {
        y += GROUP_HEAD;
        text(&mut body, LEFT, y - 10.0, "group", &group.name);
        let longest = group.bars.iter().map(Bar::total).fold(f64::MIN_POSITIVE, f64::max);
        for bar in &group.bars {
            draw_bar(&mut body, bar, y, LENGTH_MAX / longest);
            y += BAR_STEP;
        }
    }
    let height = y + 16.0;
    let mut head = String::new();
    text(&mut head, LEFT, 26.0, "title", "Processor time per proxied request, µs");
    text(&mut head, LEFT, 46.0, "note", &format!("{processor}; dark: user, light: system; less is better"));
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">
<style>
  text {{ font: 13px system-ui, sans-serif; fill: #57606a; }}
  .title {{ font-size: 16px; font-weight: 600; }}
  .group {{ font-weight: 600; }}
  .name {{ text-anchor: end; }}
  .forebay.user {{ fill: #0b7285; }} .forebay.system {{ fill: #66c2d0; }}
  .peer.user {{ fill: #6e7781; }} .peer.system {{ fill: #b6bec7; }}
  @media (prefers-color-scheme: dark) {{ text {{ fill: #b6bec7; }} }}
</style>
{head}{body}</svg>
"#
    )
}

fn draw_bar(out: &mut String, bar: &Bar, y: f64, scale: f64) {
    let class = if bar.name == "forebay" { "forebay" } else { "peer" };
    let (user, system) = (bar.user * scale, bar.system * scale);
    let baseline = y + BAR_HEIGHT - 4.5;
    text(out, LEFT - 8.0, baseline, "name", bar.name);
    rectangle(out, LEFT, y, user, &format!("{class} user"));
    rectangle(out, LEFT + user, y, system, &format!("{class} system"));
    text(out, LEFT + user + system + 8.0, baseline, "figure", &format!("{:.1}", bar.total()));
}

fn rectangle(out: &mut String, x: f64, y: f64, width: f64, class: &str) {
    let rectangle = format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>"
    );
    // Writing to a string does not fail.
    let _ = writeln!(out, "{rectangle}");
}

fn text(out: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_of_each_group_fills_the_width() {
        let bar = |name, user, system| Bar { name, user, system };
        let groups = [
            Group { name: "1 KiB".into(), bars: vec![bar("nginx", 1.0, 3.0), bar("forebay", 1.0, 1.0)] },
            Group { name: "100 KiB".into(), bars: vec![bar("nginx", 100.0, 300.0)] },
        ];
        let svg = draw(&groups, "A & B");
        assert_eq!(svg.matches("width=\"390.0\"").count(), 2);
        assert_eq!(svg.matches("class=\"forebay user\" ").count(), 1);
        assert!(svg.contains("A &amp; B"));
    }
}
