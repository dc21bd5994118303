//! Which operation a method and a path name.

use super::command::Kind;
use crate::http::Method;

/// See the module.
pub(super) enum Route<'a> {
    Activate,
    Job { key: &'a str, kind: Kind },
    Topology,
    Status,
    WrongMethod,
    Unknown,
}

/// A hand-made match: it costs less than a router's tree, and the paths are few.
pub(super) fn find<'a>(method: Method, path: &'a str) -> Route<'a> {
    let (expected, route) = match path {
        "/v2/jobs/activation" => (Method::Post, Route::Activate),
        "/v2/topology" => (Method::Get, Route::Topology),
        "/v2/status" => (Method::Get, Route::Status),
        _ => match path.strip_prefix("/v2/").and_then(command) {
            Some((expected, key, kind)) => (expected, Route::Job { key, kind }),
            None => return Route::Unknown,
        },
    };
    if method == expected { route } else { Route::WrongMethod }
}

fn command(rest: &str) -> Option<(Method, &str, Kind)> {
    let Some(rest) = rest.strip_prefix("jobs/") else {
        let key = rest.strip_prefix("incidents/")?.strip_suffix("/resolution")?;
        return Some((Method::Post, key, Kind::Resolve));
    };
    let (key, verb) = rest.split_once('/').unwrap_or((rest, ""));
    let (method, kind) = match verb {
        "completion" => (Method::Post, Kind::Complete),
        "failure" => (Method::Post, Kind::Fail),
        "error" => (Method::Post, Kind::Error),
        "" => (Method::Patch, Kind::Update),
        _ => return None,
    };
    Some((method, key, kind))
}
