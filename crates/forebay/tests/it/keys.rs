//! `forebay keys` and the auth line of `forebay explain request`: what is printed where, and what is left on the disk.

use std::os::unix::fs::PermissionsExt;

use super::Scratch;

/// Exit code, standard output, standard error.
fn run(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = scratch.forebay(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn configured(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.write(
        "forebay.toml",
        "[[route]]\nmatch = \"/*\"\nrespond = \"hello\"\nauth = \"partners\"\n\
         [[route]]\nmatch = \"/open\"\nrespond = \"hello\"\n[auth.partners]\napi_keys = \"keys.toml\"\n"
            .replace("respond = \"hello\"", "respond = { body = \"hello\" }")
            .as_str(),
    );
    scratch
}

#[test]
fn a_key_is_shown_once_and_opens_until_it_is_revoked() {
    let scratch = configured("keys");
    let (code, key, told) = run(&scratch, &["keys", "new", "web", "--expires", "90d"]);
    assert_eq!((code, key.lines().count()), (Some(0), 1), "{told}");
    let key = key.trim();
    let id = &key[4..16];
    assert!(key.starts_with("fbk_") && told.contains(id) && !told.contains(key), "{told}");
    let file = scratch.path().join("keys.toml");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&key[17..]) && text.contains(id), "{text}");
    assert_eq!(run(&scratch, &["keys", "new", "app"]).0, Some(0), "a second one does not harm the first");

    let (_, list, _) = run(&scratch, &["keys", "list"]);
    assert!(list.contains(id) && list.contains("valid") && !list.contains(&key[17..]), "{list}");
    let (_, list, _) = run(&scratch, &["keys", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        (list["keys"].as_array().map(Vec::len), &list["keys"][0]["consumer"]),
        (Some(2), &"web".into())
    );

    let header = format!("x-api-key: {key}");
    let explain = ["explain", "request", "GET", "http://a.example/x", "-H", &header];
    let (_, explained, _) = run(&scratch, &explain);
    assert!(explained.contains("allowed: subject web, consumer web"), "{explained}");
    let (_, explained, _) = run(&scratch, &["explain", "request", "GET", "http://a.example/x"]);
    assert!(explained.contains("refused: 401, no credentials"), "{explained}");
    let (_, explained, _) = run(&scratch, &["explain", "request", "GET", "http://a.example/open"]);
    assert!(explained.contains("auth       none needed"), "{explained}");

    assert_eq!(run(&scratch, &["keys", "revoke", id]).0, Some(0));
    assert_eq!(run(&scratch, &["keys", "revoke", id]).0, Some(1), "it does not count any more");
    let (_, explained, _) = run(&scratch, &explain);
    assert!(explained.contains("refused: 401, unknown credentials"), "{explained}");
    let left: Vec<_> =
        std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing but the two files: {left:?}");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    let scratch = configured("keys-wrong");
    let (code, out, told) = run(&scratch, &["keys", "list"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(told.contains("forebay keys new"), "{told}");
    let (code, told) = scratch.run(&["check"]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("keys.toml: cannot be read") && told.contains("forebay.toml:"), "{told}");
    assert_eq!(run(&scratch, &["keys", "new", "Not A Name"]).0, Some(2));
    scratch.write("keys.toml", "[[key]]\nid = 7\n");
    let (code, _, told) = run(&scratch, &["keys", "new", "web"]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(std::fs::read_to_string(scratch.path().join("keys.toml")).unwrap(), "[[key]]\nid = 7\n");
    scratch.write("other.toml", "");
    let (code, out, told) = run(&scratch, &["keys", "new", "web", "--file", "other.toml"]);
    assert_eq!((code, out.starts_with("fbk_")), (Some(0), true), "{told}");
    scratch.write("forebay.toml", "[[route]]\nmatch = \"/*\"\nredirect = \"/\"\nauth = \"nobody\"\n");
    let (code, told) = scratch.run(&["check"]);
    assert_eq!(code, Some(64));
    assert!(told.contains("`auth` names \"nobody\", and there is no [auth.nobody]"), "{told}");
    assert!(told.contains("\"none\" lets everybody in"), "{told}");
}

#[test]
fn a_wrong_policy_is_told_which_there_are() {
    let scratch = Scratch::new("keys-policy");
    scratch.write(
        "forebay.toml",
        "[auth.partners]\napi_keys = \"keys.toml\"\n[auth.robots]\napi_keys = \"robots.toml\"\n\
         [auth.staff]\nbasic = \"users\"\n",
    );
    let check = |arguments: &[&str], expected: &str| {
        let (code, out, told) = run(&scratch, &[&["keys", "new", "web"], arguments].concat());
        assert_eq!((code, out.as_str(), told.as_str()), (Some(1), "", expected));
    };
    let rest = "  --> forebay.toml\n   = note: policies with keys are: partners, robots\n   \
                = help: name one of them, or a file with --file\n";
    check(&["--policy", "nope"], &format!("error: there is no [auth.nope]\n{rest}"));
    check(&["--policy", "staff"], &format!("error: [auth.staff] has no `api_keys`\n{rest}"));
    check(
        &[],
        "error: several policies have keys: partners, robots\n  --> forebay.toml\n   \
         = note: each has a file of its own, and a key opens for the policy in whose file it is\n   \
         = help: choose one with --policy\n",
    );
    assert_eq!(run(&scratch, &["keys", "new", "web", "--policy", "robots"]).0, Some(0));
    assert!(scratch.path().join("robots.toml").exists());
    scratch.write("forebay.toml", "[auth.staff]\nbasic = \"users\"\n");
    let rest = "  --> forebay.toml\n   \
                = note: keys belong to a policy that knows callers by them, and no policy does\n   \
                = help: add `[auth.NAME]` with `api_keys = \"keys.toml\"`, or name a file with --file\n";
    check(&["--policy", "nope"], &format!("error: there is no [auth.nope]\n{rest}"));
    check(&[], &format!("error: the configuration has no `api_keys`\n{rest}"));
}

#[test]
fn a_life_that_makes_no_sense_makes_no_key() {
    let scratch = configured("keys-life");
    for (life, why) in [
        ("", "it is empty; write how long"),
        ("90", "it has no unit: s, m, h or d; write how long"),
        ("3w", "`w` is no unit: there are s, m, h and d; write how long"),
        ("1y", "`y` is no unit"),
        ("500ms", "`ms` is no unit"),
        ("d", "it is no whole number with a unit"),
        ("1.5d", "it is no whole number with a unit"),
        ("-5d", "it lies in the past"),
        ("2020-01-01", "it is a date; write how long"),
        ("2099-01-01T00:00:00Z", "it is a date; write how long"),
        ("0s", "the key would be over before it is installed; write at least 1m"),
        ("59s", "the key would be over before it is installed; write at least 1m"),
        ("36501d", "it is longer than a hundred years; leave --expires out"),
        ("9999999d", "it is longer than a hundred years"),
        ("99999999999999999999d", "it is longer than a hundred years"),
    ] {
        let (code, out, told) = run(&scratch, &["keys", "new", "web", "--expires", life]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{life}: {told}");
        let expected = format!("error: invalid value '{life}' for '--expires <TIME>': {why}");
        assert!(life.is_empty() || told.starts_with(&expected), "{told}");
        assert!(told.contains(why), "{told}");
    }
    assert!(!scratch.path().join("keys.toml").exists());
    for life in ["1m", "12h", "36500d"] {
        assert_eq!(run(&scratch, &["keys", "new", "web", "--expires", life]).0, Some(0), "{life}");
        assert_eq!(run(&scratch, &["keys", "list"]).0, Some(0), "what is written reads back");
    }
}

#[test]
fn what_cannot_be_done_with_a_file_is_said_once_and_with_a_way_out() {
    let scratch = configured("keys-file");
    let check = |arguments: &[&str], expected: &str| {
        let (code, out, told) = run(&scratch, arguments);
        assert_eq!((code, out.as_str(), told.as_str()), (Some(1), "", expected));
    };
    scratch.write("bad.toml", "[[key]]\nid = 7\n");
    check(
        &["keys", "list", "--file", "bad.toml"],
        "error: bad.toml is no file of keys: line 1: `consumer` is missing in [[key]], and 3 more problems\n   \
         = note: it is as it was: what cannot be read is not written either\n   \
         = help: mend it by hand, or name another file with --file\n",
    );
    check(
        &["keys", "list", "--file", "none.toml"],
        "error: none.toml cannot be read: No such file or directory (os error 2)\n   \
         = note: the file is made with the first key\n   \
         = help: make one with `forebay keys new CONSUMER`, or name another file with --file\n",
    );
    check(
        &["keys", "new", "web", "--file", "none/keys.toml"],
        "error: there is no directory none\n   \
         = note: the file is made with the first key, its directory is not\n   \
         = help: make the directory, or name a file in one that is there\n",
    );
    let (_, key, _) = run(&scratch, &["keys", "new", "web"]);
    let (key, id) = (key.trim(), &key[4..16]);
    check(
        &["keys", "revoke", "web"],
        "error: there is no key with the id \"web\"\n  --> keys.toml\n   \
         = note: the id is the twelve characters behind `fbk_`; names of consumers are none\n   \
         = help: `forebay keys list` shows all of them\n",
    );
    let mistyped = format!("fbk_000000000000{}", &key[16..]);
    let (_, _, told) = run(&scratch, &["keys", "revoke", &mistyped]);
    assert!(
        told.contains("\"000000000000\"") && !told.contains(&key[17..]),
        "a secret is not repeated: {told}"
    );
    assert_eq!(run(&scratch, &["keys", "revoke", key]).0, Some(0), "the whole key names its id");
    let (_, _, told) = run(&scratch, &["keys", "revoke", id]);
    assert!(
        told.starts_with(&format!("error: key {id} of web is revoked already\n  --> keys.toml\n")),
        "{told}"
    );
    assert_eq!(run(&scratch, &["keys", "revoke", ""]).0, Some(2));
    scratch.write("keys.toml", "[[key]]\nid = 7\n");
    let (_, told) = scratch.run(&["check"]);
    assert_eq!(told.matches("error: ").count(), 1, "{told}");
}

#[test]
fn keys_of_a_subject_that_nobody_names_are_a_mistake() {
    let scratch = Scratch::new("nameless");
    let text = |forward: &str| {
        format!(
            "[service.a]\nendpoints = \"127.0.0.1:1\"\n[[route]]\nmatch = \"/*\"\nservice = \"a\"\n\
             auth = \"session\"\nidempotency = \"subject\"\n[auth.session]\nforward = {{ service = \"a\"{forward} }}\n"
        )
    };
    scratch.write("forebay.toml", &text(""));
    let (code, told) = scratch.run(&["check"]);
    assert_eq!(code, Some(64), "{told}");
    for part in [
        "error: `idempotency` tells callers apart by subject, and [auth.session] names none\n",
        "--> forebay.toml:4:9\n",
        "= note: service a says whether a caller may, and without `subject` nobody asks it who that is",
        "= help: name the field of its answer that says who calls",
        "= help: or choose another `scope`",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    scratch.write("forebay.toml", &text(", subject = \"x-auth-user\""));
    let (code, told) = scratch.run(&["check"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_request_is_told_what_its_key_does() {
    let scratch = Scratch::new("explained-key");
    scratch.write(
        "forebay.toml",
        "[service.a]\nendpoints = \"127.0.0.1:1\"\n[[route]]\nmatch = \"/orders\"\nservice = \"a\"\n\
         idempotency = { scope = \"header:x-tenant\", required = true }\n\
         [[route]]\nmatch = \"/other\"\nservice = \"a\"\nidempotency = \"anonymous\"\n\
         [[route]]\nmatch = \"/plain\"\nservice = \"a\"\n",
    );
    let line = |method: &str, path: &str, fields: &[&str]| {
        let url = format!("http://a.example{path}");
        let mut arguments = vec!["explain", "request", method, &url];
        fields.iter().for_each(|field| arguments.extend(["-H", field]));
        let (_, explained, told) = run(&scratch, &arguments);
        assert!(explained.contains("\nservice "), "{explained}{told}");
        explained.lines().find(|line| line.starts_with("key ")).map(str::to_owned)
    };
    let check = |method, path, fields: &[&str], outcome: &str, whose: &str| {
        let expected = format!("{:<10} {outcome:<38} {whose}, kept for 1d", "key");
        assert_eq!(line(method, path, fields), Some(expected));
    };
    let tenants = "a key is that of who sends the same x-tenant, required";
    let key = "idempotency-key: k";
    check("POST", "/orders", &[key, "x-tenant: 7"], "runs once, then its answer is repeated", tenants);
    check("GET", "/orders", &[key], "not looked at: GET takes none", tenants);
    check("POST", "/other", &[], "none: runs each time it is sent", "a key is everybody's");
    for (fields, status) in [(&[key][..], "refused: 400, "), (&[], "refused: 400, ")] {
        let line = line("POST", "/orders", fields).unwrap();
        assert!(line.contains(status), "{line}");
    }
    assert_eq!(line("POST", "/plain", &[key]), None);
}
