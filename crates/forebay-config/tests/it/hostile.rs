//! Nothing that a file can hold makes the library panic, and no message is lost.

use forebay_config::{Inputs, Style, load};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::shop::{Root, load_text};

fn load_bytes(bytes: &[u8]) -> usize {
    let read = |_: &std::path::Path| Ok(bytes.to_vec());
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
    match load::<Root>(inputs) {
        Ok(loaded) => loaded.effective_redacted().to_string().len(),
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            diagnostics.render(Style { color: true, ..Style::default() }).len()
                + diagnostics.to_json().to_string().len()
        }
    }
}

const TOML_LIKE: &str = "(\\[\\[?(gateway|service|route|x)\\]?\\]\n|(listen|timeout|match|queue|retry) ?= ?|\
    [a-z.=\"'\\[\\]{}, \n\t#0-9_$é日-]){0,60}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        load_bytes(&bytes);
    }

    #[test]
    fn arbitrary_toml_like_text_never_panics(text in TOML_LIKE) {
        load_bytes(text.as_bytes());
    }

    #[test]
    fn a_valid_file_with_one_byte_changed_never_panics(at in 0usize..600, byte: u8) {
        let mut bytes = include_bytes!("../golden/wrong_values.toml").to_vec();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        load_bytes(&bytes);
    }
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    let text = format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(load_text(&text).is_err());
    let text = format!("a = {}1{}", "{ b = ".repeat(10_000), " }".repeat(10_000));
    assert!(load_text(&text).is_err());
    let text = format!("a{} = 1", ".b".repeat(10_000));
    assert!(load_text(&text).is_err());
}

#[test]
fn bytes_that_are_not_utf8_are_pointed_at() {
    let read = |_: &std::path::Path| Ok(b"a = 1\nb = \"\xff\"\n".to_vec());
    let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
    let diagnostics = load::<Root>(inputs).expect_err("not UTF-8");
    assert!(diagnostics.to_string().starts_with("error: this is not UTF-8\n  --> forebay.toml:2:6\n"));
}
