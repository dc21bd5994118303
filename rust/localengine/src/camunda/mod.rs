//! Camunda's REST v2 job API over the store: routes, request checks, answers, in the dialects of 8.6 to 8.10.

mod activation;
mod command;
mod gate;
mod json;
mod outcome;
pub(crate) mod problem;
mod render;
mod request;
mod result;
mod route;
mod tenants;
mod token;
mod topology;
mod update;

use std::rc::Rc;

use crate::faults::{Plan, Subject, Target};
use crate::http::{Head, Reply};
use crate::polls::Held;
use crate::presence::Caller;
use crate::shared::State;

pub(crate) use activation::{Ask, no_jobs, serve_held};
use command::{Command, Kind};
use route::Route;

/// One request as it came in.
pub(crate) struct Intake<'a> {
    pub(crate) now: u64,
    pub(crate) caller: &'a Caller,
    pub(crate) head: &'a Head<'a>,
    pub(crate) body: &'a [u8],
}

/// What becomes of a request.
pub(crate) enum Verdict {
    /// It is answered now.
    Reply(Reply),
    /// It is a poll that waits for a job.
    Hold(Rc<Held>),
}

impl<T: Into<Reply>> From<T> for Verdict {
    fn from(reply: T) -> Self {
        Self::Reply(reply.into())
    }
}

/// Applies one request to the state.
pub(crate) fn handle(state: &mut State, intake: &Intake<'_>) -> Verdict {
    let path = intake.head.path;
    if let Err(answer) = gate::check(&state.settings, intake) {
        return answer.into();
    }
    let dialect = state.settings.dialect;
    match route::find(intake.head.method, path) {
        Route::Activate => activation::activate(state, intake),
        Route::Job { key, kind } => match key.parse() {
            Ok(key) => {
                let command = Command { kind, key, path, body: intake.body, caller: intake.caller };
                command::apply(state, intake.now, &command).into()
            }
            Err(_) => problem::bad_request(path, &format!("Failed to convert '{key}' to a key")).into(),
        },
        Route::Topology => topology::topology(dialect).into(),
        Route::Status => topology::status(dialect, path).into(),
        Route::WrongMethod => problem::router(dialect, 405, "Method Not Allowed", path).into(),
        Route::Unknown => problem::router(dialect, 404, "Not Found", path).into(),
    }
}

/// Draws the faults of a request.
pub(crate) fn plan(state: &mut State, head: &Head<'_>) -> Plan {
    let path = head.path;
    let (target, key) = match route::find(head.method, path) {
        Route::Activate => (Target::Activate, None),
        Route::Job { key, kind } => match kind {
            Kind::Complete => (Target::Complete, key.parse().ok()),
            Kind::Fail => (Target::Fail, key.parse().ok()),
            Kind::Error => (Target::Error, key.parse().ok()),
            Kind::Update => (Target::Update, key.parse().ok()),
            Kind::Resolve => return Plan::default(),
        },
        Route::Topology | Route::Status => (Target::Topology, None),
        Route::WrongMethod | Route::Unknown => return Plan::default(),
    };
    let State { store, faults, settings, .. } = state;
    let job_type = key.and_then(|key| store.job_type(key));
    faults.draw(&Subject { target, job_type, dialect: settings.dialect, path })
}

/// Tells the account that a fault cut off a request before it had an effect.
pub(crate) fn note_cut(state: &mut State, head: &Head<'_>, body: &[u8]) {
    if let Route::Job { key, kind } = route::find(head.method, head.path)
        && let Ok(key) = key.parse()
    {
        outcome::note_cut(state, kind, key, body);
    }
}

/// Tells the account that a fault refused a request. What a gateway says in the engine's place leaves open whether a
/// failure had its effect, and repeating one could hit the next holder: to the account its answer is cut off.
pub(crate) fn note_refusal(state: &mut State, head: &Head<'_>, body: &[u8], status: u16) {
    if let Route::Job { key, kind } = route::find(head.method, head.path)
        && let Ok(key) = key.parse()
    {
        state.store.note_refusal(key);
        if kind == Kind::Fail && matches!(status, 502 | 504) {
            outcome::note_cut(state, kind, key, body);
        }
    }
}
