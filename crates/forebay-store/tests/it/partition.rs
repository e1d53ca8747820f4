//! A network that swallows everything, which no connection notices by itself.

use std::time::{Duration, Instant};

use forebay_store::StoreError;
use forebay_store::postgres::Limits;
use forebay_testkit::{Cable, ScratchPostgres};

use crate::postgres::{LIMITS, one, pool, run};

#[test]
fn a_cut_network_costs_one_timeout_and_then_next_to_nothing() {
    let server = ScratchPostgres::shared();
    let cable = Cable::to(([127, 0, 0, 1], server.port()).into());
    let url =
        server.database().replace(&format!(":{}/", server.port()), &format!(":{}/", cable.address().port()));
    run(async {
        let statement = Duration::from_millis(100);
        let pool = pool(&url, Limits { connect: statement, statement, ..LIMITS });
        assert_eq!(one(&pool).await.unwrap(), 1);
        cable.cut();
        // The statement went out, so it may have been done.
        let error = one(&pool).await.unwrap_err();
        assert!(matches!(error, StoreError::Timeout) && error.may_have_happened(), "{error:?}");
        // The next one needs a new connection, on which nothing is sent.
        let error = one(&pool).await.unwrap_err();
        assert!(!error.may_have_happened(), "{error:?}");
        // Nobody else waits for another attempt right after it.
        let start = Instant::now();
        let mut failed = 0;
        while failed < 50 && start.elapsed() < statement {
            assert!(!one(&pool).await.unwrap_err().may_have_happened());
            failed += 1;
        }
        assert_eq!(failed, 50);
        cable.mend();
        while one(&pool).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}
