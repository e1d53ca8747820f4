//! Durable commits a second: one writer after another, many at once, and the disk's own floor beside them.
//! `cargo bench -p forebay-store`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use forebay_store::sqlite::{Database, Options, Writer};
use forebay_store::{Schema, Step};

const TABLE: Step = Step { name: "jobs", sql: "create table jobs (id integer primary key, body blob)" };
const SCHEMAS: &[Schema] = &[Schema { part: "bench", steps: &[TABLE] }];
const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 9;
/// A WAL frame with its page.
const FRAME_BYTES: usize = 4120;
/// Pages after which SQLite begins its log anew.
const FRAMES: usize = 1000;
const BODY: [u8; 200] = [7; 200];

fn main() {
    // In the build's own directory: /tmp is often memory, where a sync costs nothing.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commits");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = Database::open(&directory.join("bench.db"), SCHEMAS, Options::default()).unwrap();
    let writers = [1, 16, 64, 256];
    let mut rates = vec![Vec::new(); 1 + writers.len()];
    // By turns, so that a disturbance meets all of them.
    for _ in 0..ROUNDS {
        rates[0].push(floor(&directory));
        for (number, rates) in writers.iter().zip(&mut rates[1..]) {
            rates.push(runtime.block_on(commits(&database.writer(), *number)));
        }
    }
    let names = ["write and fdatasync of a page".to_owned()];
    let names = names.into_iter().chain(writers.map(|number| format!("commits, {number} at a time")));
    for (name, mut rates) in names.zip(rates) {
        rates.sort_by(f64::total_cmp);
        let (least, median, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
        println!("{name:<30} {median:>8.0}/s   ({least:.0} to {most:.0})");
    }
    drop(database);
    fs::remove_dir_all(&directory).unwrap();
}

/// Over bytes that are there already, as in a log that is used again: the file does not grow, which would cost more.
fn floor(directory: &Path) -> f64 {
    let mut file = File::create(directory.join("floor")).unwrap();
    file.write_all(&vec![0; FRAME_BYTES * FRAMES]).unwrap();
    file.sync_all().unwrap();
    let start = Instant::now();
    let mut count = 0.0;
    while start.elapsed() < ROUND {
        file.seek(SeekFrom::Start(FRAME_BYTES as u64 * (count as u64 % FRAMES as u64))).unwrap();
        file.write_all(&[1; FRAME_BYTES]).unwrap();
        file.sync_data().unwrap();
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}

async fn commits(writer: &Writer, writers: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let writer = writer.clone();
        tasks.spawn(async move {
            let mut count = 0.0;
            while start.elapsed() < ROUND {
                let insert = "insert into jobs (body) values (?)";
                let job = |db: &forebay_store::sqlite::rusqlite::Connection| {
                    Ok(db.prepare_cached(insert)?.execute([BODY])?)
                };
                writer.write(job).await.unwrap();
                count += 1.0;
            }
            count
        });
    }
    let mut total = 0.0;
    while let Some(count) = tasks.join_next().await {
        total += count.unwrap();
    }
    total / start.elapsed().as_secs_f64()
}
