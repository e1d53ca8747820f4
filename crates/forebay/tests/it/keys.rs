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
