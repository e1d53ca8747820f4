//! No secret is ever printed, however broken the file around it is.

use std::collections::BTreeMap;
use std::path::Path;

use forebay_config::{Inputs, Name, Secret, Settings, Style, load};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Secrets in every position.
#[expect(dead_code, reason = "only printed")]
#[derive(Debug, Clone, Settings)]
struct Vault {
    /// One.
    password: Option<Secret>,
    /// By name.
    tokens: BTreeMap<Name, Secret>,
    /// In a row.
    #[setting(default = [])]
    keys: Vec<Secret>,
    /// Of another type.
    #[setting(secret, default = 0, max = 9)]
    pin: u32,
    /// A whole section.
    #[setting(secret)]
    account: Option<Account>,
    /// Either way.
    owner: Option<Owner>,
    /// Shown.
    #[setting(default = "")]
    fields: String,
}

/// Secret as a whole.
#[expect(dead_code, reason = "only printed")]
#[derive(Debug, Clone, Settings)]
struct Account {
    /// Who.
    #[setting(max_length = 3)]
    user: String,
    /// Which.
    number: u8,
}

/// By name, or with all that belongs to it.
#[expect(dead_code, reason = "only printed")]
#[derive(Debug, Clone, Settings)]
enum Owner {
    /// Found elsewhere.
    Name(Name),
    /// Complete.
    Known(Known),
}

/// An owner with a key.
#[expect(dead_code, reason = "only printed")]
#[derive(Debug, Clone, Settings)]
struct Known {
    /// Opens the door.
    key: Secret,
}

const VALID: &str = r#"
password = "hush-1"
keys = ["hush-2", "hush-3"]
fields = "seen"
[tokens]
a = "hush-4"
b = '''
hush-5
'''
"#;

/// Everything that the library would print about a file.
fn printed(text: &str) -> String {
    let read = |_: &Path| Ok(text.as_bytes().to_vec());
    let inputs = Inputs { file: Some("vault.toml".into()), files: &read, ..Inputs::default() };
    match load::<Vault>(inputs) {
        Ok(loaded) => {
            let explained = loaded.explain("tokens").unwrap_or_default();
            format!(
                "{loaded:?} {} {explained:?} {}",
                loaded.effective_redacted(),
                loaded.effective_redacted().to_json()
            )
        }
        Err(diagnostics) => {
            let drawn = diagnostics.render(Style { color: true, ..Style::default() });
            format!("{drawn} {diagnostics:?} {}", diagnostics.to_json())
        }
    }
}

#[track_caller]
fn check(text: &str) {
    let printed = printed(text);
    assert!(!printed.contains("hush"), "{printed}");
}

#[test]
fn secrets_of_a_valid_file_are_hidden() {
    check(VALID);
    assert!(printed(VALID).contains("seen"));
}

#[test]
fn a_secret_inside_a_table_that_lost_is_hidden() {
    let read = |_: &Path| Ok(b"owner = { key = 'hush' }".to_vec());
    let set = vec!["owner=alice".to_owned()];
    let inputs = Inputs { file: Some("vault.toml".into()), files: &read, set, ..Inputs::default() };
    let explained = load::<Vault>(inputs).expect("valid").explain("owner").expect("known");
    let expected = "\"alice\"   from the command line: --set owner\n    over [redacted]   vault.toml:1:9";
    assert_eq!(explained[0].to_string(), expected);
}

#[test]
fn secrets_beside_a_mistake_are_hidden() {
    check("account = { user = \"hush\", number = 5 }");
    check("[account]\nuser \"hush\"\nnumber = hush");
    check("account = { user = \"abc\", number = \"hush\" }");
    check("pin = \"hush\"");
    check("password = hush");
    check("password = \"hush\npin = 5");
    check("password = \"hush\"\npassword = \"hush\"");
    check("pasword = \"hush\"\n= 5");
    check("tokens = { a = \"hush\", B = \"hush\", c = [\"hush\"] }");
    check("[tokens]\na \"hush\"\nb = hush\nc == \"hush\"");
    check("keys = [\"hush\", hush, 5");
    check("keys = [\n\"hush\",\nhush,\n5\n");
    check("[vault]\na = { b = [\"hush\"] } }");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn secrets_of_a_damaged_file_are_hidden(at in 0..VALID.len(), damage in "[\\[\\]{}=\"'\n#., a]?", cut in 0usize..3) {
        let mut text = VALID.to_owned();
        text.replace_range(at..(at + cut).min(VALID.len()), &damage);
        let printed = printed(&text);
        for secret in ["hush-1", "hush-2", "hush-3", "hush-4", "hush-5"] {
            prop_assert!(!printed.contains(secret), "{}\n---\n{}", text, printed);
        }
    }
}
