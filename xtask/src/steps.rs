//! A run of several steps: a heading for each, the time it took, and a table at the end. A failed step does
//! not hide what the later ones have to say.

use std::time::{Duration, Instant};

use crate::stop::Stop;

/// The ledger of a run.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: String,
    took: Duration,
    note: String,
    ok: bool,
}

impl Steps {
    /// Does one step; its words on success go into the table.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<String, Stop>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = work();
        let ok = outcome.is_ok();
        let note = outcome.unwrap_or_else(|stop| {
            eprintln!("error: {stop}");
            stop.to_string().lines().next().unwrap_or_default().to_owned()
        });
        self.enter(name, start.elapsed(), note, ok);
        ok
    }

    /// Enters what was measured elsewhere.
    pub(crate) fn enter(&mut self, name: &str, took: Duration, note: String, ok: bool) {
        self.0.push(Entry { name: name.to_owned(), took, note, ok });
    }

    /// Prints the table; any failed step fails the run.
    pub(crate) fn finish(self) -> Result<(), Stop> {
        println!("\n== summary");
        let width = self.0.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
        for Entry { name, took, note, ok } in &self.0 {
            let verdict = if *ok { "ok" } else { "FAILED" };
            println!("{name:<width$}  {:>7.1} s  {verdict:<6}  {note}", took.as_secs_f64());
        }
        let failed: Vec<&str> =
            self.0.iter().filter(|entry| !entry.ok).map(|entry| entry.name.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { Err(Stop::failed(format!("failed: {}", failed.join(", ")))) }
    }
}
