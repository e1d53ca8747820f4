//! `/generation`: which configuration is in force, and what became of the latest attempt to replace it.

use std::time::SystemTime;

use forebay_http::problem::Problem;
use forebay_telemetry::date;
use serde_json::{Value, json};

use crate::asked::{Asked, Format};
use crate::reply::Reply;
use crate::state::{AdminState, GenerationStatus, Reload};

pub(crate) fn generation(state: &AdminState, asked: Asked<'_>) -> Result<Reply, Problem> {
    let format = asked.format()?;
    let status = (state.generation)();
    Ok(match format {
        Format::Json => Reply::json(&document(&status)),
        Format::Text => Reply::text(text(&status)),
    })
}

fn document(status: &GenerationStatus) -> Value {
    let reload = |reload: &Reload| {
        json!({
            "at": rfc3339(reload.at),
            "accepted": reload.outcome.is_ok(),
            "errors": reload.outcome.as_ref().err(),
        })
    };
    json!({
        "number": status.number,
        "since": rfc3339(status.since),
        "last_reload": status.last_reload.as_ref().map(reload),
    })
}

fn text(status: &GenerationStatus) -> String {
    let number = status.number;
    let mut text = format!("generation   {number}\nsince        {}\nlast reload  ", rfc3339(status.since));
    match &status.last_reload {
        None => text.push_str("none yet\n"),
        Some(Reload { at, outcome: Ok(()) }) => text.push_str(&format!("accepted {}\n", rfc3339(*at))),
        Some(Reload { at, outcome: Err(errors) }) => {
            let at = rfc3339(*at);
            text.push_str(&format!(
                "rejected {at}; generation {number} stays in force\n\n{}\n",
                errors.trim_end()
            ));
        }
    }
    text
}

fn rfc3339(time: SystemTime) -> String {
    date::rfc3339(time).iter().map(|&byte| char::from(byte)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn status(outcome: Option<Result<(), String>>) -> GenerationStatus {
        let since = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = since + Duration::from_secs(60);
        GenerationStatus { number: 4, since, last_reload: outcome.map(|outcome| Reload { at, outcome }) }
    }

    #[track_caller]
    fn check(outcome: Option<Result<(), String>>, expected: &str) {
        assert_eq!(text(&status(outcome)), expected);
    }

    #[test]
    fn it_says_how_the_last_reload_went() {
        let head = "generation   4\nsince        2027-01-15T08:00:00.000Z\n";
        check(None, &format!("{head}last reload  none yet\n"));
        check(Some(Ok(())), &format!("{head}last reload  accepted 2027-01-15T08:01:00.000Z\n"));
        check(
            Some(Err("error: unknown key `timout`\n".to_owned())),
            &format!(
                "{head}last reload  rejected 2027-01-15T08:01:00.000Z; generation 4 stays in force\n\n\
                 error: unknown key `timout`\n"
            ),
        );
    }

    #[test]
    fn a_program_reads_the_same() {
        let rejected = document(&status(Some(Err("error: no".to_owned()))));
        assert_eq!(
            rejected,
            json!({
                "number": 4,
                "since": "2027-01-15T08:00:00.000Z",
                "last_reload": {
                    "at": "2027-01-15T08:01:00.000Z", "accepted": false, "errors": "error: no",
                },
            })
        );
        assert_eq!(document(&status(None))["last_reload"], Value::Null);
        assert_eq!(document(&status(Some(Ok(()))))["last_reload"]["errors"], Value::Null);
    }
}
