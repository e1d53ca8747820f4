//! A request as the two HTTP APIs see it: decoded, its body whole. Bounds both; answers neither.

use std::future::poll_fn;
use std::time::Duration;

use forebay_http::body::Incoming;
use forebay_http::problem::{Fault, Problem};
use forebay_http::reader::{Piece, ReadError};
use forebay_http::timer::Timer;
use forebay_http::{Fields, Method, RequestHead};

use crate::query::Query;

/// A registration with dozens of checks and full metadata takes a quarter of it.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Everybody who asks is on this machine.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// As it was sent: segments are decoded by who knows where they end.
    pub(crate) path: String,
    pub(crate) query: Query,
    /// Whether `Accept` begins with text: what `curl -H 'Accept: text/plain'` asks for.
    pub(crate) wants_text: bool,
    /// `X-Consul-Namespace` and `X-Consul-Partition`, which say what `ns` and `partition` of a query say.
    pub(crate) places: [String; 2],
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Reads the head; the body is empty until [`collect`] has it.
    pub(crate) fn read(head: &RequestHead) -> Result<Asked, Problem> {
        let query = Query::parse(head.query().unwrap_or_default()).map_err(|why| {
            let detail = format!("the query cannot be read: {why}; write `%25` for a `%`");
            Problem::new(400, "bad-query", Fault::Client, detail)
        })?;
        let accept = head.fields().value("accept").unwrap_or_default();
        let place =
            |name| String::from_utf8_lossy(head.fields().value(name).unwrap_or_default()).trim().to_owned();
        Ok(Asked {
            method: head.method(),
            path: head.path().to_owned(),
            query,
            wants_text: accept.starts_with(b"text/plain"),
            places: ["x-consul-namespace", "x-consul-partition"].map(place),
            body: Vec::new(),
        })
    }
}

/// Takes the whole body.
///
/// # Errors
/// 413 when it is larger than [`BODY_BYTES_MAX`], 408 when it does not come in time, 400 when it breaks off.
pub(crate) async fn collect(body: &mut Incoming<'_>, timer: &Timer) -> Result<Vec<u8>, Problem> {
    body.limit(BODY_BYTES_MAX as u64);
    let mut whole = Vec::new();
    let collecting = async {
        loop {
            match poll_fn(|cx| body.poll_piece(cx)).await? {
                Piece::Data(count) => {
                    whole.extend_from_slice(&body.piece()[..count]);
                    body.consume(count);
                }
                Piece::End => return Ok(()),
            }
        }
    };
    match timer.within(timer.now() + BODY_TIME, collecting).await {
        Some(Ok(())) => Ok(whole),
        Some(Err(error)) => Err(broken(&error)),
        None => Err(Problem::body_timeout()),
    }
}

/// The refusal of a body that is larger than [`BODY_BYTES_MAX`].
pub(crate) fn too_large() -> Problem {
    let detail = format!("a body may have {BODY_BYTES_MAX} bytes here, and this one has more");
    Problem::new(413, "body-too-large", Fault::Client, detail)
}

fn broken(error: &ReadError) -> Problem {
    match error {
        ReadError::TooLarge => too_large(),
        error => Problem::new(400, "broken-body", Fault::Client, format!("the body broke off: {error}")),
    }
}
