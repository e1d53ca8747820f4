//! `/metrics`: every family of the registry, in the format the scraper prefers.

use forebay_http::problem::Problem;
use forebay_telemetry::metrics::Exposition;

use crate::asked::Asked;
use crate::reply::Reply;
use crate::state::AdminState;

pub(crate) fn metrics(state: &AdminState, asked: Asked<'_>) -> Result<Reply, Problem> {
    let exposition = Exposition::negotiate(asked.accept().as_deref());
    Ok(Reply::of_type(exposition.content_type(), state.registry.expose(exposition)))
}
