//! What is generated from the declarations: schema, reference, template, and the check of the declarations.

use forebay_config::{
    Diagnostics, Kind, Name, Settings, check_declarations, json_schema, reference, template,
};

use crate::golden::check_golden;
use crate::shop::{Root, load_text};

#[test]
fn the_template_loads_as_it_is_and_when_everything_is_uncommented() {
    let text = template::<Root>();
    check_golden("template.md", &format!("```toml\n{text}```\n"));
    load_text(&text).expect("all comments");
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    let uncommented: String = text.lines().map(uncomment).collect();
    let missing =
        |diagnostics: Diagnostics| diagnostics.iter().map(|one| one.message().to_owned()).collect::<Vec<_>>();
    // Only what a template cannot know.
    let expected = ["the environment variable VARIABLE is not set"; 2];
    assert_eq!(load_text(&uncommented).map_or_else(missing, |_| Vec::new()), expected);
}

#[test]
fn the_reference_names_every_setting() {
    check_golden("reference.md", &reference::<Root>());
}

#[test]
fn the_schema_describes_the_file() {
    let schema = json_schema::<Root>();
    check_golden("schema.json", &format!("{schema:#}\n"));
}

#[test]
fn sound_declarations_pass() {
    assert_eq!(check_declarations::<Root>(), Vec::<String>::new());
}

/// Everything that can be declared wrongly.
#[expect(dead_code, reason = "only its declaration is looked at")]
#[derive(Debug, Settings)]
struct Wrong {
    /// Does not parse.
    #[setting(default = "15 parsecs")]
    timeout: std::time::Duration,
    /// Has bounds without an order.
    #[setting(default = "a", min = "a")]
    name: Name,
    /// Refers to nothing.
    #[setting(refers_to = "nowhere")]
    service: Option<Name>,
    /// Is the same variable as the next.
    #[setting(name = "a-b")]
    first: bool,
    /// Is the same variable as the former.
    #[setting(name = "a_b")]
    second: bool,
    /// Has a length without a length.
    #[setting(default = 5, max_length = 3)]
    count: u8,
    /// Is taken.
    include: String,
}

#[test]
fn wrong_declarations_are_told() {
    let expected = [
        "`include` at the top level is taken",
        "default of timeout: `timeout` is a duration, and \"15 parsecs\" has the unknown unit `parsecs`",
        "name has bounds and its type no order",
        "service refers to [nowhere.NAME], and there is no such table",
        "`a_b` stands twice in []",
        "count has bounds on its length and its type has none",
    ];
    assert_eq!(check_declarations::<Wrong>(), expected);
    assert_eq!(Kind::List.noun(), "a list");
}
