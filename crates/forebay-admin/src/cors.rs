//! `/cors`: which pages of other origins were denied, as far as it is remembered.

use forebay_http::problem::Problem;
use serde_json::json;

use crate::asked::{Asked, Format};
use crate::reply::Reply;
use crate::state::{AdminState, Denied};
use crate::table::write_table;

pub(crate) fn cors(state: &AdminState, asked: Asked<'_>) -> Result<Reply, Problem> {
    let format = asked.format()?;
    let denied = (state.denied)();
    Ok(match format {
        Format::Json => Reply::json(&json!({
            "denied": denied.iter().map(document).collect::<Vec<_>>(),
        })),
        Format::Text if denied.is_empty() => Reply::text("no page of another origin was denied\n"),
        Format::Text => Reply::text(text(&denied)),
    })
}

fn document(denied: &Denied) -> serde_json::Value {
    let Denied { policy, origin, method, headers, count } = denied;
    json!({ "policy": policy, "origin": origin, "method": method, "headers": headers, "count": count })
}

fn text(denied: &[Denied]) -> String {
    let heading = ["POLICY", "ORIGIN", "METHOD", "HEADERS", "TIMES"].map(str::to_owned).to_vec();
    let row = |denied: &Denied| {
        let Denied { policy, origin, method, headers, count } = denied.clone();
        vec![policy, origin, method, headers.join(", "), count.to_string()]
    };
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(denied.iter().map(row)).collect();
    let mut text = "denied, the most frequent of each policy first\n".to_owned();
    write_table(&mut text, &rows);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_table() {
        let denied = Denied {
            policy: "shop".to_owned(),
            origin: "https://a.example".to_owned(),
            method: "PUT".to_owned(),
            headers: vec!["x-a".to_owned(), "x-b".to_owned()],
            count: 7,
        };
        let expected = "denied, the most frequent of each policy first\n  \
            POLICY  ORIGIN             METHOD  HEADERS   TIMES\n  \
            shop    https://a.example  PUT     x-a, x-b  7\n";
        assert_eq!(text(&[denied]), expected);
    }
}
