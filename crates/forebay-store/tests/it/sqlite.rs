//! The writer against real files, a disk that fills up, and a process that is killed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use forebay_store::sqlite::{Database, Options, Writer, rusqlite};
use forebay_store::{Schema, SchemaError, Step, StoreError};

const NUMBERS: Step =
    Step { name: "numbers", sql: "create table numbers (n integer primary key, filler text)" };
const SCHEMAS: &[Schema] = &[Schema { part: "numbers", steps: &[NUMBERS] }];
/// Acknowledged writes after which the victim is killed, and the most it would do.
const KILL_AFTER: usize = 200;
const VICTIM_WRITES_MAX: i64 = 1_000_000;
/// Writers of the victim at a time.
const VICTIM_WRITERS: i64 = 8;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("forebay-sqlite-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn open(&self, schemas: &[Schema]) -> Result<Database, StoreError> {
        Database::open(&self.0.join("state.db"), schemas, Options::default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn insert(writer: &Writer, number: i64, filler: &str) -> Result<(), StoreError> {
    let filler = filler.to_owned();
    let insert = "insert into numbers values (?, ?)";
    writer.write(move |db| Ok(db.prepare_cached(insert)?.execute((number, filler)).map(drop)?)).await
}

fn numbers(database: &Database) -> Vec<i64> {
    let reader = database.reader().unwrap();
    let mut query = reader.prepare("select n from numbers order by n").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn work_that_fails_is_undone_alone() {
    let scratch = Scratch::new();
    let database = scratch.open(SCHEMAS).unwrap();
    let writer = database.writer();
    block_on(async {
        let odd = writer.write(|db| {
            db.execute("insert into numbers values (9, '')", [])?;
            Err::<(), _>(StoreError::Corrupt("number"))
        });
        let (one, odd, twice, two) =
            tokio::join!(insert(&writer, 1, ""), odd, insert(&writer, 1, ""), insert(&writer, 2, ""));
        one.and(two).unwrap();
        assert!(matches!(odd, Err(StoreError::Corrupt("number"))), "{odd:?}");
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    });
    assert_eq!(numbers(&database), [1, 2]);
    database.close();
    assert!(matches!(block_on(insert(&writer, 3, "")), Err(StoreError::Closed)));
    assert_eq!(numbers(&scratch.open(SCHEMAS).unwrap()), [1, 2]);
}

#[test]
fn a_full_disk_is_told_to_everyone_whose_work_it_took() {
    let scratch = Scratch::new();
    let database = scratch.open(SCHEMAS).unwrap();
    let writer = database.writer();
    let kept = block_on(async {
        insert(&writer, 0, "").await.unwrap();
        // As if the disk had room for ten more pages.
        let limit = "select page_count + 10 from pragma_page_count";
        let pages: i64 =
            writer.write(move |db| Ok(db.query_row(limit, [], |row| row.get(0))?)).await.unwrap();
        let narrow = format!("pragma max_page_count = {pages}");
        let narrow =
            move |db: &rusqlite::Connection| Ok(db.query_row(&narrow, [], |row| row.get::<_, i64>(0))?);
        writer.write(narrow).await.unwrap();
        let mut kept = vec![0];
        let mut full = 0;
        let filler = "x".repeat(3000);
        for round in 0..8 {
            let numbers = [round * 3 + 1, round * 3 + 2, round * 3 + 3];
            let [a, b, c] = numbers.map(|number| insert(&writer, number, &filler));
            let (a, b, c) = tokio::join!(a, b, c);
            for (number, result) in numbers.into_iter().zip([a, b, c]) {
                match result {
                    Ok(()) => kept.push(number),
                    Err(error) => {
                        assert!(error.retry_may_help() && !error.may_have_happened(), "{error:?}");
                        full += u32::from(matches!(error, StoreError::Full(_)));
                    }
                }
            }
        }
        assert!(full > 0, "the disk never was full");
        kept
    });
    assert_eq!(numbers(&database), kept);
}

#[test]
fn a_newer_schema_is_refused() {
    let scratch = Scratch::new();
    let more = Step { name: "more", sql: "create table more (a integer)" };
    let steps: &'static [Step] = Box::leak(Box::new([NUMBERS, more]));
    drop(scratch.open(&[Schema { part: "numbers", steps }]).unwrap());
    let error = scratch.open(SCHEMAS).unwrap_err();
    let expected = SchemaError::Newer { part: "numbers", found: 2, known: 1 };
    assert!(matches!(&error, StoreError::Schema(error) if *error == expected), "{error:?}");
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("victim"), "").unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::victim", "--ignored", "--nocapture"])
        .current_dir(&scratch.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let acknowledged = output.lines().filter_map(|line| line.ok()?.parse().ok());
    let acknowledged: Vec<i64> = acknowledged.take(KILL_AFTER).collect();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(acknowledged.len(), KILL_AFTER);
    let stored = numbers(&scratch.open(SCHEMAS).unwrap());
    let lost: Vec<_> = acknowledged.iter().filter(|number| !stored.contains(number)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
#[ignore = "only as a process that another test kills"]
fn victim() {
    let here = Path::new(".");
    if !here.join("victim").exists() {
        return;
    }
    let database = Database::open(&here.join("state.db"), SCHEMAS, Options::default()).unwrap();
    let writer = database.writer();
    block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for first in 0..VICTIM_WRITERS {
            let writer = writer.clone();
            tasks.spawn(async move {
                for number in (first..VICTIM_WRITES_MAX).step_by(VICTIM_WRITERS as usize) {
                    insert(&writer, number, "").await.unwrap();
                    // In one piece, which `println!` of several threads or a pipe would not promise.
                    let line = format!("{number}\n");
                    if std::io::stdout().write_all(line.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
}
