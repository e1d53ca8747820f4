//! The pool against a PostgreSQL that goes away and comes back.

use std::time::Duration;

use forebay_store::postgres::{Heard, Limits, Listener, Pool, PostgresUrl, migrate};
use forebay_store::{Kind, Schema, SchemaError, Step, StoreError};
use forebay_testkit::{PATIENCE, ScratchPostgres};
use tokio::time::timeout;

pub(crate) const LIMITS: Limits = Limits {
    connections: 2,
    connect: Duration::from_secs(5),
    acquire: Duration::from_secs(5),
    statement: Duration::from_secs(5),
};

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE * 2, test).await.expect("the test hangs") });
}

pub(crate) fn pool(url: &str, limits: Limits) -> Pool {
    Pool::new(&PostgresUrl::parse(url).unwrap(), limits).unwrap()
}

pub(crate) async fn one(pool: &Pool) -> Result<i32, StoreError> {
    pool.run(async |client| Ok(client.query_one("select 1", &[]).await?.get(0))).await
}

async fn backend(pool: &Pool) -> i32 {
    pool.run(async |client| Ok(client.query_one("select pg_backend_pid()", &[]).await?.get(0))).await.unwrap()
}

async fn notice(listener: &mut Listener) -> String {
    match listener.next().await {
        Heard::Notice { channel, payload } => format!("{channel}: {payload}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn connections_are_kept_and_never_more_than_allowed() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let pool = pool(&url, Limits { connections: 1, acquire: Duration::from_millis(20), ..LIMITS });
        let first = backend(&pool).await;
        assert_eq!(backend(&pool).await, first);
        let inner = pool.run(async |_| Ok(one(&pool).await)).await.unwrap();
        assert!(matches!(inner, Err(StoreError::Busy)), "{inner:?}");
        pool.close().await;
        assert!(matches!(one(&pool).await, Err(StoreError::Closed)));
        let left = "select count(*) from pg_stat_activity where application_name = 'forebay' and pid = ";
        assert_eq!(ScratchPostgres::shared().sql("postgres", &format!("{left}{first}")), "0");
    });
}

#[test]
fn errors_are_told_apart_by_what_helps() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let pool = pool(&url, LIMITS);
        let ask = async |statement: &str| {
            let error =
                pool.run(async |client| Ok(client.batch_execute(statement).await?)).await.unwrap_err();
            (error.kind(), error.may_have_happened())
        };
        assert_eq!(ask("selec 1").await, (Kind::Permanent, false));
        assert_eq!(ask("select * from nowhere").await, (Kind::Permanent, false));
        assert_eq!(
            ask("create table t (a int primary key); insert into t values (1), (1)").await.0,
            Kind::Conflict
        );
        assert_eq!(ask("set statement_timeout = 10; select pg_sleep(9)").await, (Kind::Unreachable, true));
        // Our own session ends under us.
        let ended = ask("select pg_terminate_backend(pg_backend_pid())").await;
        assert_eq!(ended, (Kind::Unreachable, true));
        assert_eq!(one(&pool).await.unwrap(), 1);
    });
}

#[test]
fn nothing_shows_the_password() {
    run(async {
        let url = ScratchPostgres::shared().database().replace("127.0.0.1", "127.0.0.1,127.0.0.1");
        let port = ScratchPostgres::shared().port();
        let url = url.replace(&format!(":{port}/"), ":1/");
        let pool = pool(&url, LIMITS);
        let error = one(&pool).await.unwrap_err();
        assert!(!error.may_have_happened());
        let mut shown = format!("{pool:?} {error:?} {error} {}", pool.place());
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            shown += &format!(" {error}");
            cause = error.source();
        }
        assert!(!shown.contains("hush"), "{shown}");
    });
}

#[test]
fn work_that_takes_too_long_is_given_up_and_its_connection_too() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let pool = pool(&url, Limits { connections: 1, ..LIMITS });
        let first = backend(&pool).await;
        let late =
            pool.run_within(Duration::from_millis(20), async |_| Ok(std::future::pending::<i32>().await));
        assert!(matches!(late.await, Err(StoreError::Timeout)));
        let second = backend(&pool).await;
        assert_ne!(first, second);
        // A caller that goes away leaves nothing half done for the next.
        let dropped = timeout(
            Duration::from_millis(20),
            pool.run(async |client| Ok(client.batch_execute("begin; select pg_sleep(9)").await?)),
        );
        assert!(dropped.await.is_err());
        assert_ne!(backend(&pool).await, second);
    });
}

#[test]
fn a_server_that_is_gone_is_noticed_at_once_and_found_again() {
    let server = ScratchPostgres::start();
    let url = server.database();
    run(async {
        let pool = pool(&url, LIMITS);
        let mut listener = pool.listen(&["Odd \"name\"", "plain"]);
        assert!(matches!(listener.next().await, Heard::Missed));
        assert_eq!(one(&pool).await.unwrap(), 1);
        server.crash();
        assert!(matches!(listener.next().await, Heard::Lost(_)));
        let error = one(&pool).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{error:?}");
        server.restart();
        assert!(matches!(listener.next().await, Heard::Missed));
        loop {
            match one(&pool).await {
                Ok(1) => break,
                // At once for a moment after a failed attempt, so this must not spin without the runtime.
                Err(error) if error.kind() == Kind::Unreachable => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
        let notify = "select pg_notify('Odd \"name\"', 'first'), pg_notify('plain', 'second')";
        pool.run(async |client| Ok(client.batch_execute(notify).await?)).await.unwrap();
        assert_eq!(notice(&mut listener).await, "Odd \"name\": first");
        assert_eq!(notice(&mut listener).await, "plain: second");
    });
}

const ONE: Step = Step { name: "one", sql: "create table forebay.things (name text primary key)" };
const TWO: Step = Step { name: "two", sql: "alter table forebay.things add size integer" };
const BROKEN: Step = Step { name: "broken", sql: "create table forebay.more (a int); selec" };

#[test]
fn two_nodes_starting_at_once_apply_each_step_once() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let (a, b) = (pool(&url, LIMITS), pool(&url, LIMITS));
        let schemas = [Schema { part: "things", steps: &[ONE, TWO] }];
        let (first, second) = tokio::join!(migrate(&a, &schemas), migrate(&b, &schemas));
        first.and(second).unwrap();
        let database = url.rsplit('/').next().unwrap();
        let steps = "select part, step, name from forebay.migrations order by step";
        assert_eq!(ScratchPostgres::shared().sql(database, steps), "things|1|one\nthings|2|two");
    });
}

#[test]
fn a_newer_schema_is_refused_and_a_broken_step_leaves_nothing() {
    let url = ScratchPostgres::shared().database();
    run(async {
        let pool = pool(&url, LIMITS);
        migrate(&pool, &[Schema { part: "things", steps: &[ONE, TWO] }]).await.unwrap();
        let older = migrate(&pool, &[Schema { part: "things", steps: &[ONE] }]).await.unwrap_err();
        let expected = SchemaError::Newer { part: "things", found: 2, known: 1 };
        assert!(matches!(&older, StoreError::Schema(error) if *error == expected), "{older:?}");
        let broken = [Schema { part: "more", steps: &[BROKEN] }];
        assert_eq!(migrate(&pool, &broken).await.unwrap_err().kind(), Kind::Permanent);
        let database = url.rsplit('/').next().unwrap();
        let left = "select to_regclass('forebay.more') is null, count(*) from forebay.migrations";
        assert_eq!(ScratchPostgres::shared().sql(database, left), "t|2");
    });
}
