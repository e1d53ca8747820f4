//! What to change where no configuration of ours decides: at the server that answered, or in the script.

use super::call::Call;
use super::checks::Block;

/// One order for whoever runs the server, or writes the script.
pub(super) fn of_server(call: &Call, block: Block, detail: &str) -> String {
    let origin = &call.origin;
    match block {
        Block::DisallowedByMode => "leave out `mode: \"same-origin\"`".into(),
        Block::CorsDisabledScheme => "call an http or https URL".into(),
        Block::MissingAllowOriginHeader => {
            format!("send Access-Control-Allow-Origin: {origin} with every response, errors included")
        }
        Block::PreflightMissingAllowOriginHeader => {
            format!("answer OPTIONS with Access-Control-Allow-Origin: {origin}")
        }
        Block::WildcardOriginNotAllowed | Block::PreflightWildcardOriginNotAllowed => {
            format!("send {origin} instead of `*`, and Vary: Origin")
        }
        Block::MultipleAllowOriginValues | Block::PreflightMultipleAllowOriginValues => {
            "let one of those that set it do so alone: the proxy or the service".into()
        }
        Block::InvalidAllowOriginValue
        | Block::AllowOriginMismatch
        | Block::PreflightInvalidAllowOriginValue
        | Block::PreflightAllowOriginMismatch => {
            format!("send {origin}, letter by letter, and Vary: Origin where it depends on the request")
        }
        Block::InvalidAllowCredentials | Block::PreflightInvalidAllowCredentials => {
            "send Access-Control-Allow-Credentials: true".into()
        }
        Block::PreflightInvalidStatus => {
            "answer preflights with 204 before authentication and routing look at them".into()
        }
        Block::PreflightDisallowedRedirect => "call the URL that it redirects to".into(),
        Block::InvalidAllowMethodsPreflightResponse | Block::InvalidAllowHeadersPreflightResponse => {
            "separate names by commas".into()
        }
        Block::MethodDisallowedByPreflightResponse => {
            of_script(call).unwrap_or_else(|| format!("add {detail} to Access-Control-Allow-Methods"))
        }
        Block::HeaderDisallowedByPreflightResponse => {
            format!("add {detail} to Access-Control-Allow-Headers")
        }
        Block::RedirectContainsCredentials => "redirect to a URL without a user in it".into(),
        Block::ForbiddenMethod | Block::NoCorsMethod => "use another method, or mode cors".into(),
        Block::TooManyRedirects => "end the circle of redirects".into(),
        Block::InvalidRedirect => "redirect to an http or https URL".into(),
    }
}

/// What to change in the script, where neither server nor configuration could help.
pub(super) fn of_script(call: &Call) -> Option<String> {
    if crate::names::is_forbidden_method(&call.method) {
        return Some(format!("use another method than {}", call.method));
    }
    let upper = call.method.to_ascii_uppercase();
    let meant = upper == "PATCH" && call.method != upper;
    meant.then(|| {
        format!("write {upper} in the script: browsers leave its letter case alone, and servers mind it")
    })
}
