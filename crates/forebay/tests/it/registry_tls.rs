//! HTTPS checks of registered instances: which certificates they take, in a whole process.

use std::fs;
use std::time::Instant;

use forebay_testkit::{PATIENCE, TestRoot, Upstream};

use super::Scratch;
use super::registry::{Serving, ask, service};

/// Answers 200 as `localhost` under this root.
fn answering(root: TestRoot) -> Upstream {
    Upstream::start_tls(root, |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    })
}

#[test]
fn a_check_over_tls_takes_what_the_system_trusts_and_anything_only_when_told_to() {
    let scratch = Scratch::new("registry-tls");
    let (trusted, strange, itself) = (TestRoot::new(), TestRoot::new(), TestRoot::signing_itself());
    let roots = scratch.path().join("roots.pem");
    fs::write(&roots, [trusted.root_pem(), itself.root_pem()].concat()).unwrap();
    let serving = Serving::with(&scratch, "", Some(&roots));
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
    let scratch = Scratch::new("registry-late-roots");
    let (trusted, roots) = (TestRoot::new(), scratch.path().join("roots.pem"));
    let serving = Serving::with(&scratch, "", Some(&roots));
    let pem = trusted.root_pem().to_owned();
    let upstream = answering(trusted);
    let url = format!("https://localhost:{}/", upstream.address().port());
    let check = format!(r#"{{"HTTP":"{url}","Interval":"30s"}}"#);
    let early = serving.checked("early", &check);
    assert!(early.contains("no trusted root certificate was found"), "{early}");
    fs::write(&roots, pem).unwrap();
    let late = serving.checked("late", &check);
    assert!(late.contains(": 200 Output: ok"), "{late}");
}

#[test]
fn checks_trust_the_roots_that_are_configured_instead_of_the_systems_and_others_after_a_reload() {
    let scratch = Scratch::new("registry-roots");
    let (own, next, system) = (TestRoot::new(), TestRoot::new(), TestRoot::new());
    let (roots, systems) = (scratch.path().join("company.pem"), scratch.path().join("system.pem"));
    fs::write(&roots, own.root_pem()).unwrap();
    fs::write(&systems, system.root_pem()).unwrap();
    let serving = Serving::with(&scratch, "checks = { roots = \"company.pem\" }", Some(&systems));
    let next_pem = next.root_pem().to_owned();
    let (own, next, system) = (answering(own), answering(next), answering(system));
    let check = |upstream: &Upstream| {
        let port = upstream.address().port();
        format!(r#"{{"HTTP":"https://localhost:{port}/healthz","Interval":"1s"}}"#)
    };
    for (service, upstream, status) in
        [("own", &own, "passing"), ("next", &next, "critical"), ("system", &system, "critical")]
    {
        let found = serving.checked(service, &check(upstream));
        assert!(found.contains(&format!(r#""Status":"{status}""#)), "{service}: {found}");
    }
    // As a company does that changes its root: both count for a while, then the new one alone.
    let both = [fs::read(&roots).unwrap(), next_pem].concat();
    fs::write(scratch.path().join("next.pem"), both).unwrap();
    fs::rename(scratch.path().join("next.pem"), &roots).unwrap();
    let start = Instant::now();
    let checks = || {
        let request = "GET /v1/health/checks/next HTTP/1.1\r\nHost: localhost\r\n\r\n";
        ask(serving.registry, request).1
    };
    while !checks().contains(r#""Status":"passing""#) {
        assert!(start.elapsed() < PATIENCE, "the new root is not trusted: {}", checks());
    }
}

#[test]
fn roots_that_cannot_be_used_are_named_with_the_line_they_are_written_in() {
    let scratch = Scratch::new("registry-no-roots");
    scratch.write("forebay.toml", "[registry]\nchecks = { roots = \"company.pem\" }\n");
    let says = |expected: &str| {
        let (code, said) = scratch.run(&["check"]);
        assert_eq!(code, Some(64), "{said}");
        for part in [expected, "forebay.toml:2:20", "= help: "] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    };
    says("company.pem cannot be read: No such file or directory");
    scratch.write("company.pem", "this is no certificate\n");
    says("company.pem: no trusted root certificate was found");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    scratch.write("company.pem", broken);
    says("company.pem: ");
    scratch.write("company.pem", &String::from_utf8_lossy(TestRoot::new().root_pem()));
    assert_eq!(scratch.run(&["check"]).0, Some(0));
}
