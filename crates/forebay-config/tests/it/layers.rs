//! Which layer wins, and how the losers are remembered.

use std::io::ErrorKind;

use forebay_config::{Diagnostics, Inputs, Loaded, Place, load};

use crate::golden::check_golden;
use crate::shop::{Fake, Root, load_text, pairs};

const MAIN: &str = r#"
include = ["parts/routes.toml"]

[gateway]
timeout = "20s"

[gateway.tls]
certificate = "cert.pem"
password = "${TLS_PASSWORD}"

[service.orders]
endpoints = "registry"
retry = { attempts = 3 }

[[route]]
match = "/a"
service = "orders"
"#;

const ROUTES: &str = "[[route]]\nmatch = \"/included\"\nqueue = \"receipts\"\n\n[queue.receipts]\n";

const PRODUCTION: &str = "[gateway]\nlisten = \"0.0.0.0:80\"\n\n[service.orders.retry]\nattempts = 2\n";

fn load_layers(environment: &[(&str, &str)], set: &[&str]) -> Result<Loaded<Root>, Diagnostics> {
    let files = [
        ("etc/forebay.toml", MAIN),
        ("etc/parts/routes.toml", ROUTES),
        ("etc/forebay.production.toml", PRODUCTION),
        ("/run/secrets/tls", "from-a-file\n"),
        ("/run/secrets/empty", "\n"),
    ];
    let mut environment = pairs(environment);
    environment.push(("TLS_PASSWORD".into(), "hush".into()));
    load(Inputs {
        file: Some("etc/forebay.toml".into()),
        overlay: Some("production".into()),
        environment,
        set: set.iter().map(|argument| argument.to_string()).collect(),
        foreign: &["FOREBAY_LOG"],
        files: &Fake(&files),
    })
}

#[test]
fn every_layer_wins_over_the_one_below() {
    let loaded = load_layers(
        &[("FOREBAY_SERVICE__ORDERS__RETRY__ATTEMPTS", "5"), ("FOREBAY_LOG", "debug")],
        &["gateway.body_max=2MiB", "gateway={ rate = \"10/s\" }"],
    )
    .expect("valid");
    let root = &loaded.value;
    assert_eq!(root.gateway.timeout.as_secs(), 20);
    assert_eq!(root.gateway.listen.to_string(), "0.0.0.0:80");
    assert_eq!(root.service["orders"].retry.attempts, 5);
    assert_eq!(root.gateway.body_max.bytes(), 2 << 20);
    assert_eq!(root.gateway.rate.map(|rate| rate.to_string()).as_deref(), Some("10/s"));
    let explained = loaded.explain("service.orders.retry.attempts").expect("known");
    let expected = "5   from the environment: FOREBAY_SERVICE__ORDERS__RETRY__ATTEMPTS\n    \
                    over 2   etc/forebay.production.toml:5:12\n    \
                    over 3   etc/forebay.toml:13:22\n    \
                    over 2   the default";
    assert_eq!(explained[0].to_string(), expected);
}

#[test]
fn included_routes_come_first_and_paths_start_from_their_file() {
    let loaded = load_layers(&[], &[]).expect("valid");
    let patterns: Vec<_> = loaded.value.route.iter().map(|route| route.pattern.as_str()).collect();
    assert_eq!(patterns, ["/included", "/a"]);
    let origin = loaded.value.route[0].pattern.origin;
    let place = Place::File { path: "etc/parts/routes.toml".into(), line: 2, column: 9 };
    assert_eq!(loaded.place(origin), place);
    let tls = loaded.value.gateway.tls.as_ref().expect("written");
    assert_eq!(tls.certificate.to_str(), Some("etc/cert.pem"));
    let files: Vec<_> = loaded.files().iter().map(|path| path.to_string_lossy()).collect();
    assert_eq!(files, ["etc/forebay.toml", "etc/parts/routes.toml", "etc/forebay.production.toml"]);
}

#[test]
fn secrets_come_from_variables_and_files_and_stay_hidden() {
    let variable = ("FOREBAY_GATEWAY__TLS__PASSWORD_FILE", "/run/secrets/tls");
    for (environment, expected) in [(vec![], "hush"), (vec![variable], "from-a-file")] {
        let loaded = load_layers(&environment, &[]).expect("valid");
        let tls = loaded.value.gateway.tls.as_ref().expect("written");
        assert_eq!(tls.password.reveal(), expected);
        let shown = format!("{loaded:?}\n{}", loaded.effective_redacted());
        assert!(!shown.contains(expected), "{shown}");
        assert!(
            loaded.explain("gateway.tls.password").expect("known")[0].to_string().starts_with("[redacted]")
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_what_helps() {
    for (kind, help) in [
        (ErrorKind::NotFound, "check the path; `forebay init` writes a first one"),
        (ErrorKind::PermissionDenied, "let the user that Forebay runs as read it"),
        (ErrorKind::IsADirectory, "check the path"),
    ] {
        let files = |_: &std::path::Path| Err(kind.into());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &files, ..Inputs::default() };
        let found = load::<Root>(inputs).expect_err("there is no file").to_string();
        assert_eq!(found, format!("error: cannot read forebay.toml: {kind}\n   = help: {help}"));
    }
}

#[test]
fn an_empty_secret_is_none() {
    for (variable, value) in [
        ("FOREBAY_GATEWAY__TLS__PASSWORD", ""),
        ("FOREBAY_GATEWAY__TLS__PASSWORD_FILE", "/run/secrets/empty"),
    ] {
        let found = load_layers(&[(variable, value)], &[]).expect_err("it protects nothing").to_string();
        let expected = format!(
            "error: `password` is a secret string, and this is empty, which everybody knows\n  \
             --> the environment: {variable}\n   \
             = help: give it a value that nobody can guess, or leave the setting out"
        );
        assert!(found.starts_with(&expected), "{found}");
    }
}

#[test]
fn no_file_at_all_is_a_configuration() {
    let loaded = load::<Root>(Inputs::default()).expect("all defaults");
    assert_eq!(loaded.value.gateway.listen.port(), 8080);
    assert_eq!(loaded.files(), &[] as &[std::path::PathBuf]);
    assert_eq!(
        loaded.explain("gateway.listen").expect("known")[0].to_string(),
        "\"127.0.0.1:8080\"   from the default"
    );
}

#[test]
fn variables_reach_every_key_whatever_its_case() {
    let loaded = load_layers(
        &[
            ("forebay_gateway__TIMEOUT", "1s"),
            ("FOREBAY_GATEWAY__ATTEMPT_TIMEOUT", "1s"),
            ("FOREBAY_ROUTE__1__SERVICE", "stock"),
            ("FOREBAY_SERVICE__STOCK__ENDPOINTS", "[\"http://127.0.0.1:1\"]"),
        ],
        &[],
    )
    .expect("valid");
    assert_eq!(loaded.value.gateway.timeout.as_secs(), 1);
    assert_eq!(loaded.value.route[1].service.as_ref().map(|name| name.to_string()).as_deref(), Some("stock"));
}

#[test]
fn errors_from_variables_and_arguments_point_at_them() {
    let environment = [
        ("FOREBAY_GATEWAY__LISEN", "127.0.0.1:1"),
        ("FOREBAY_GATEWAY__BODY_MAX", "64"),
        ("FOREBAY_GATEWAY__TLS__PASSWORD_FILE", "/nowhere"),
        ("FOREBAY_GATEWAY__timeout", "1s"),
        ("FOREBAY_GATEWAY__TIMEOUT", "2s"),
        ("FOREBAY_ROUTE__9__MATCH", "/x"),
        ("FOREBAY_LOGS", "debug"),
        ("FOREBAY_", "x"),
    ];
    let set =
        ["service.orders.retry.attempts=many", "gateway", "gateway.lisen = 1", "gateway.tls.password=[]"];
    let diagnostics = load_layers(&environment, &set).expect_err("mistakes");
    check_golden("environment_and_set.txt", &format!("{diagnostics}\n{}\n", diagnostics.summary()));
}

#[test]
fn a_variable_that_could_mean_two_names_is_refused() {
    let files = [("forebay.toml", "[queue.a-b]\n[queue.a_b]\n")];
    let inputs = Inputs {
        file: Some("forebay.toml".into()),
        environment: pairs(&[("FOREBAY_QUEUE__A_B__ATTEMPTS", "1")]),
        files: &Fake(&files),
        ..Inputs::default()
    };
    let diagnostics = load::<Root>(inputs).expect_err("ambiguous");
    assert_eq!(diagnostics.iter().next().expect("one").message(), "this variable could mean `a-b` and `a_b`");
}

#[test]
fn files_that_cannot_be_had_are_errors() {
    let check = |file: &str, overlay: Option<&str>, text: &str, expected: &str| {
        let files = [("forebay.toml", text)];
        let inputs = Inputs {
            file: Some(file.into()),
            overlay: overlay.map(str::to_owned),
            files: &Fake(&files),
            ..Inputs::default()
        };
        let diagnostics = load::<Root>(inputs).expect_err("no such file");
        let messages: Vec<_> = diagnostics.iter().map(|one| one.message()).collect();
        assert_eq!(messages, [expected]);
    };
    check("other.toml", None, "", "cannot read other.toml: entity not found");
    check("forebay.toml", Some("x"), "", "cannot read forebay.x.toml: entity not found");
    check("forebay.toml", Some("../x"), "", "the overlay \"../x\" has the character '.'");
    check("forebay.toml", None, "include = \"a.toml\"", "cannot read a.toml: entity not found");
    check("forebay.toml", None, "include = [\"forebay.toml\"]", "forebay.toml is included already");
    check("forebay.toml", None, "include = 5", "`include` is a list of paths, and this is an integer");
}

#[test]
fn a_change_is_live_unless_its_setting_says_restart() {
    let before = load_text("[gateway]\ntimeout = \"1m\"\nattempt_timeout = \"1s\"").expect("valid");
    let after = load_text(
        "[gateway]\nlisten = \"127.0.0.1:9\"\n[gateway.tls]\ncertificate = \"c\"\npassword = \"p\"",
    )
    .expect("valid");
    let changes: Vec<_> = before
        .changes(&after)
        .into_iter()
        .map(|change| format!("{} {:?} {:?} {}", change.key, change.before, change.after, change.restart))
        .collect();
    check_golden("changes.txt", &format!("{}\n", changes.join("\n")));
    assert_eq!(
        before.restart_needed(&after),
        ["gateway.listen", "gateway.tls.certificate", "gateway.tls.password"]
    );
    assert!(before.changes(&before).is_empty());
}

#[test]
fn a_setting_that_nobody_wrote_is_explained() {
    let loaded = load_text("").expect("valid");
    let check = |key: &str, expected: &str| {
        assert_eq!(loaded.explain(key).expect("known")[0].to_string(), expected);
    };
    check("gateway.rate", "not set, and it has no default");
    check("gateway.tls.password", "not set, and it has no default");
    check("service.orders.retry.attempts", "2   from the default");
}

#[test]
fn a_key_that_does_not_exist_is_explained_by_the_nearest() {
    let loaded = load_text("").expect("valid");
    let error = loaded.explain("gateway.timout").expect_err("unknown");
    assert_eq!(error.to_string(), "unknown key `gateway.timout`; did you mean `gateway.timeout`?");
    assert!(loaded.explain("gateway").expect("a section").len() > 5);
}
