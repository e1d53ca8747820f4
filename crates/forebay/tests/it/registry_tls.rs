//! Checks of registered instances over TLS: what is trusted, and what is said of a certificate that is not.

use forebay_testkit::{TestRoot, Upstream};

use super::Scratch;
use super::registry::{Serving, service};

#[test]
fn a_check_over_tls_takes_what_the_system_trusts_and_anything_only_when_told_to() {
    let scratch = Scratch::new("registry-tls");
    let (trusted, strange, itself) = (TestRoot::new(), TestRoot::new(), TestRoot::signing_itself());
    let roots = scratch.path().join("roots.pem");
    std::fs::write(&roots, [trusted.root_pem(), itself.root_pem()].concat()).unwrap();
    let serving = Serving::trusting(&scratch, Some(&roots));
    let answering = |root| {
        Upstream::start_tls(root, |connection| {
            connection.request()?;
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        })
    };
    let (good, bad, plain) = (answering(trusted), answering(strange), service());
    let itself = answering(itself);
    // The certificates are for localhost, and for no address.
    for (service, place, more, status, words) in [
        ("right", ("localhost", &good), "", "passing", ": 200 Output: ok"),
        (
            "unknown-root",
            ("localhost", &bad),
            "",
            "critical",
            "failed: the server's certificate is signed by nobody",
        ),
        ("signs-itself", ("localhost", &itself), "", "critical", "make it with basicConstraints=CA:FALSE"),
        ("other-name", ("127.0.0.1", &good), "", "critical", "TLS handshake failed"),
        ("named", ("127.0.0.1", &good), r#","TLSServerName":"localhost""#, "passing", ": 200 Output: ok"),
        (
            "misnamed",
            ("localhost", &good),
            r#","TLSServerName":"a.example""#,
            "critical",
            "TLS handshake failed",
        ),
        ("skipped", ("127.0.0.1", &bad), r#","TLSSkipVerify":true"#, "passing", ": 200 Output: ok"),
        ("no-tls", ("127.0.0.1", &plain), r#","TLSSkipVerify":true"#, "critical", "TLS handshake failed"),
    ] {
        let (host, upstream) = place;
        let port = upstream.address().port();
        let check = format!(r#"{{"HTTP":"https://{host}:{port}/healthz","Interval":"30s"{more}}}"#);
        let found = serving.checked(service, &check);
        let status = format!(r#""Status":"{status}""#);
        assert!(found.contains(words) && found.contains(&status), "{service}: {found}");
    }
}

#[test]
fn roots_that_are_installed_late_count_without_a_restart() {
    let scratch = Scratch::new("registry-roots");
    let (trusted, roots) = (TestRoot::new(), scratch.path().join("roots.pem"));
    let serving = Serving::trusting(&scratch, Some(&roots));
    let pem = trusted.root_pem().to_owned();
    let upstream = Upstream::start_tls(trusted, |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    });
    let url = format!("https://localhost:{}/", upstream.address().port());
    let check = format!(r#"{{"HTTP":"{url}","Interval":"30s"}}"#);
    let early = serving.checked("early", &check);
    assert!(early.contains("no trusted root certificate was found"), "{early}");
    std::fs::write(&roots, pem).unwrap();
    let late = serving.checked("late", &check);
    assert!(late.contains(": 200 Output: ok"), "{late}");
}
