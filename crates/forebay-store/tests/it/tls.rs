//! What each `sslmode` encrypts, and whom it trusts.

use std::path::PathBuf;

use forebay_store::Kind;
use forebay_testkit::{ScratchPostgres, TestRoot};

use crate::postgres::{LIMITS, pool, run};

/// A file with a root's certificate.
struct RootFile(PathBuf);

impl RootFile {
    fn of(root: &TestRoot, name: &str) -> RootFile {
        let path = std::env::temp_dir().join(format!("forebay-{name}-{}.pem", std::process::id()));
        std::fs::write(&path, root.root_pem()).unwrap();
        RootFile(path)
    }
}

impl Drop for RootFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether the session is encrypted, or what kind of error there was.
async fn encrypted(url: &str) -> Result<bool, Kind> {
    let query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let pool = pool(url, LIMITS);
    let asked = pool.run(async |client| Ok(client.query_one(query, &[]).await?.get(0))).await;
    asked.map_err(|error| error.kind())
}

#[test]
fn each_sslmode_trusts_whom_libpq_would() {
    let root = TestRoot::new();
    let (trusted, stranger) = (RootFile::of(&root, "trusted"), RootFile::of(&TestRoot::new(), "stranger"));
    let (trusted, stranger) = (trusted.0.display(), stranger.0.display());
    let server = ScratchPostgres::start_with_tls(&root);
    let cases = [
        ("127.0.0.1", "sslmode=disable".to_owned(), Ok(false)),
        ("127.0.0.1", "sslmode=prefer".to_owned(), Ok(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={trusted}"), Ok(true)),
        ("localhost", format!("sslmode=verify-full&sslrootcert={trusted}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={trusted}"), Err(Kind::Permanent)),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={stranger}"), Err(Kind::Permanent)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={stranger}"), Err(Kind::Permanent)),
    ];
    run(async {
        for (host, options, expected) in cases {
            let url = format!("{}?{options}", server.url("postgres").replace("127.0.0.1", host));
            assert_eq!(encrypted(&url).await, expected, "{host} {options}");
        }
    });
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_required() {
    let url = ScratchPostgres::shared().database();
    run(async {
        assert_eq!(encrypted(&format!("{url}?sslmode=prefer")).await, Ok(false));
        assert_eq!(encrypted(&format!("{url}?sslmode=require")).await, Err(Kind::Unreachable));
    });
}
