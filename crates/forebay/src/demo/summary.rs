//! What a demo says when it is over.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::story::Story;
use super::tally::Tally;
use super::text::{Count, Millis, Seconds};

/// How a demo went.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) text: String,
    /// Requests that failed.
    pub(crate) failed: u64,
}

/// Puts it into words. `kept` is the configuration that somebody edited.
pub(crate) fn summary(story: &Story, total: &Tally, loaded: Duration, kept: Option<PathBuf>) -> Summary {
    let mut text =
        format!("{}: {} requests, {} failed", Seconds(loaded), Count(total.requests), Count(total.failed));
    let mut line = |name: &str, value: String| {
        let _ = write!(text, "\n  {name:<11}{value}");
    };
    let (p50, p99) = (total.latencies.quantile(500), total.latencies.quantile(990));
    let slowest = Millis((total.requests > 0).then(|| total.latencies.slowest()));
    line("latency", format!("p50 {}, p99 {}, slowest {slowest}", Millis(p50), Millis(p99)));
    let shares = story.instances.iter().enumerate();
    let shares: Vec<String> =
        shares.map(|(index, member)| format!("{} {}%", member.name, total.share(index))).collect();
    line("answered", shares.join(", "));
    line("restarts", format!("{}; the gateway retried {}", story.deaths(), requests(story.retried)));
    if !story.last_text.is_empty() {
        line("gateway", story.last_text.clone());
    }
    if let Some(file) = kept {
        line("kept", format!("{}, which you edited", file.display()));
    }
    Summary { text, failed: total.failed }
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{} requests", Count(count)) }
}
