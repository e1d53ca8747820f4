//! What holds of every body and target, whatever is in it.

use forebay_http::Method;

use super::options::Options;
use super::{registration, routes};
use crate::query::Query;

/// Whatever a registration says, its numbers are within their bounds.
pub(crate) fn service(body: &[u8]) {
    if let Ok(read) = registration::service(body, false) {
        assert!(!read.service.is_empty());
        assert!(
            read.weights.passing <= registration::WEIGHT_MAX
                && read.weights.warning <= registration::WEIGHT_MAX
        );
        read.checks.iter().for_each(within_bounds);
    }
}

pub(crate) fn check(body: &[u8]) {
    if let Ok(read) = registration::check(body) {
        assert!(read.spec.id.is_some() && !read.spec.name.is_empty());
        within_bounds(&read.spec);
    }
}

pub(crate) fn update(body: &[u8]) {
    // Read or refused.
    let _ = registration::update(body);
}

/// A path with a query: what is routed has a name exactly when its route wants one.
pub(crate) fn target(target: &str) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    for method in [Method::Get, Method::Put] {
        if let Ok((route, name)) = routes::find(method, path) {
            assert_eq!(route.path.ends_with('/'), !name.is_empty(), "{path}");
        }
    }
    if let Ok(query) = Query::parse(query)
        && let Ok(options) = Options::read(&query, "dc1")
    {
        let patience = options.patience(&mut fastrand::Rng::with_seed(1));
        assert!(patience >= options.wait && patience.as_secs() <= 640, "{patience:?}");
    }
}

fn within_bounds(spec: &crate::check::CheckSpec) {
    use crate::check::CheckKind;
    let least = match &spec.kind {
        CheckKind::Ttl(ttl) => *ttl,
        CheckKind::Http(check) => check.interval.min(check.timeout),
        CheckKind::Tcp(check) => check.interval.min(check.timeout),
    };
    assert!(!least.is_zero(), "a check without a pause");
}
