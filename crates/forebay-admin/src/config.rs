//! `/config`: the configuration in force as it arrived, redacted.

use forebay_http::problem::Problem;

use crate::asked::{Asked, Format};
use crate::reply::Reply;
use crate::state::AdminState;

pub(crate) fn config(state: &AdminState, asked: Asked<'_>) -> Result<Reply, Problem> {
    let format = asked.format()?;
    let effective = (state.configuration)();
    Ok(match format {
        Format::Json => Reply::json(&effective.to_json()),
        Format::Text => Reply::text(effective.to_string()),
    })
}
