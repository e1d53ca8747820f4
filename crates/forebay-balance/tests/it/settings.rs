//! What may be written in a `[service.NAME]` table about balancing, and what is said about mistakes.

use std::path::Path;
use std::time::Duration;

use forebay_balance::{BalanceSettings, HashKey, Policy, SameSite};
use forebay_config::{Inputs, Settings, load};

/// One table with what balancing reads.
#[derive(Debug, Settings)]
struct Root {
    /// Who answers.
    service: BalanceSettings,
}

fn read(settings: &str) -> Result<BalanceSettings, String> {
    let file = format!("[service]\n{settings}\n");
    let files = |_: &Path| Ok(file.as_bytes().to_vec());
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &files, ..Inputs::default() };
    load::<Root>(inputs).map(|loaded| loaded.value.service).map_err(|problems| problems.to_string())
}

#[test]
fn the_default_is_least_request() {
    let settings = read("").unwrap();
    assert_eq!(settings.balance().policy, Policy::LeastRequest);
    assert_eq!(settings.balance().panic_threshold, forebay_balance::PANIC_THRESHOLD);
    assert!(settings.sticky().is_none() && settings.hash_key().is_none());
}

#[test]
fn short_and_long_forms_are_read() {
    let settings = read("balance = \"maglev\"\nhash = \"header:X-User\"").unwrap();
    assert_eq!(settings.hash_key(), Some(HashKey::Header("x-user".into())));
    assert_eq!(settings.balance().headroom, forebay_balance::HEADROOM);
    let settings = read("balance = \"ring-hash\"\nhash = { key = \"path:id\", headroom = \"50%\" }").unwrap();
    assert_eq!(
        (settings.hash_key(), settings.balance().headroom.fraction()),
        (Some(HashKey::Path("id".into())), 0.5)
    );
    assert_eq!(read("balance = \"maglev\"").unwrap().hash_key(), Some(HashKey::Address));
    assert_eq!(&*read("sticky = \"sid\"").unwrap().sticky().unwrap().cookie, "sid");
    let sticky = "sticky = { secret = \"s\", ttl = \"1h\", same_site = \"strict\", path = \"/app\" }";
    let sticky = read(sticky).unwrap().sticky().unwrap();
    assert_eq!(
        (&*sticky.cookie, sticky.ttl, sticky.same_site),
        ("forebay", Some(Duration::from_secs(3600)), SameSite::Strict)
    );
    let settings = read("slow_start = \"30s\"\nzone = \"eu-1a\"\npanic_threshold = \"0%\"").unwrap();
    assert_eq!(settings.balance().zone.as_deref(), Some("eu-1a"));
}

#[test]
fn what_a_policy_cannot_honour_is_an_error() {
    let check = |settings: &str, expected: &str| {
        let error = read(settings).expect_err(settings);
        assert!(error.contains(expected), "{error}");
    };
    check("hash = \"address\"", "least-request does not look at a key");
    check("balance = \"maglev\"\nslow_start = \"30s\"", "maglev has no slow start");
    check("balance = \"ring-hash\"\nzone = \"a\"", "ring-hash prefers no zone");
    check("balance = \"least_request\"", "write one of least-request, peak-ewma, round-robin");
    check("balance = \"maglev\"\nhash = \"x-user\"", "unknown hash key `x-user`");
    check("sticky = \"a b\"", "is no name for a cookie");
    check("sticky = { path = \"app\" }", "does not begin with a slash");
    check("sticky = { same_site = \"none\", secure = false }", "browsers drop");
    check("sticky = \"__Host-sid\"", "browsers drop");
    check("panic_threshold = \"50\"", "has no percent sign");
}
