//! Which operation a method and a path name.

use hyper::Method;

use super::command::Kind;

/// See the module.
pub(super) enum Route<'a> {
    Activate,
    Job { key: &'a str, command: Kind },
    Topology,
    Status,
    WrongMethod,
    Unknown,
}

/// A hand-made match: it costs less than a router's tree, and the paths are few.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let (expected, route) = match path {
        "/v2/jobs/activation" => (Method::POST, Route::Activate),
        "/v2/topology" => (Method::GET, Route::Topology),
        "/v2/status" => (Method::GET, Route::Status),
        _ => match path.strip_prefix("/v2/jobs/") {
            Some(rest) => match job(rest) {
                Some(found) => found,
                None => return Route::Unknown,
            },
            None => return Route::Unknown,
        },
    };
    if *method == expected { route } else { Route::WrongMethod }
}

fn job(rest: &str) -> Option<(Method, Route<'_>)> {
    let (key, verb) = rest.split_once('/').unwrap_or((rest, ""));
    let (method, command) = match verb {
        "completion" => (Method::POST, Kind::Complete),
        "failure" => (Method::POST, Kind::Fail),
        "error" => (Method::POST, Kind::Error),
        "" => (Method::PATCH, Kind::Update),
        _ => return None,
    };
    Some((method, Route::Job { key, command }))
}
