//! Activation: reads the request, fills the answer, holds polls that find nothing.

use std::rc::Rc;

use bytes::Bytes;

use super::request::Request;
use super::{Verdict, render};
use crate::http::{Answer, Reply};
use crate::options::Dialect::{self, V8_6, V8_10};
use crate::polls::Held;
use crate::shared::State;
use crate::store::Pick;

const ACTIVATION: [(&str, Dialect); 9] = [
    ("type", V8_6),
    ("maxJobsToActivate", V8_6),
    ("timeout", V8_6),
    ("worker", V8_6),
    ("fetchVariable", V8_6),
    ("requestTimeout", V8_6),
    ("tenantIds", V8_6),
    ("tenantFilter", V8_10),
    ("withLease", V8_10),
];

/// How long a poll is held that does not say, as the gateway's default.
const DEFAULT_HOLD_MS: u64 = 10_000;

/// A checked activation request.
pub(crate) struct Ask {
    pub(crate) job_type: String,
    max: u32,
    lease_ms: u64,
    worker: Rc<str>,
    /// Empty fetches everything.
    pub(super) fetch: Vec<String>,
    /// None does not wait.
    hold_ms: Option<u64>,
    tenants: Vec<String>,
    pub(super) with_lease: bool,
}

/// The answer of a poll that found nothing.
pub(crate) fn no_jobs() -> Answer {
    Answer::json(200, Bytes::from_static(b"{\"jobs\":[]}"))
}

/// Answers an activation request now, or holds it.
pub(super) fn activate(state: &mut State, now: u64, path: &str, body: &[u8]) -> Verdict {
    let ask = match read(state.settings.dialect, path, body) {
        Ok(ask) => ask,
        Err(answer) => return answer.into(),
    };
    if let Some(reply) = fill(state, now, &ask) {
        return reply.into();
    }
    let Some(hold_ms) = ask.hold_ms else { return no_jobs().into() };
    let held = Held::new(ask, now.saturating_add(hold_ms));
    state.polls.add(held.clone(), now);
    Verdict::Hold(held)
}

/// Gives jobs that became activatable to the polls that wait for them.
pub(crate) fn serve_held(state: &mut State, now: u64) {
    while let Some(job_type) = state.store.take_ready() {
        for held in state.polls.waiting_for(&job_type) {
            if held.departed.get() && held.until <= now {
                continue;
            }
            if let Some(reply) = fill(state, now, &held.ask) {
                state.polls.remove(&held);
                match reply.batch {
                    Some(batch) if held.departed.get() => state.store.undelivered(&batch, false),
                    _ => held.answer(reply),
                }
            }
        }
    }
}

fn read(dialect: Dialect, path: &str, body: &[u8]) -> Result<Ask, Answer> {
    let mut request = Request::read(dialect, path, body, &ACTIVATION)?;
    let limit = i64::from(i32::MAX);
    let job_type = request.text("type")?.unwrap_or_default();
    let max = request.int("maxJobsToActivate", limit)?;
    let timeout = request.int("timeout", i64::MAX)?;
    let hold = request.int("requestTimeout", i64::MAX)?.unwrap_or(0);
    if job_type.trim().is_empty() {
        request.complain("No type provided.".into());
    }
    for (name, value) in [("maxJobsToActivate", max), ("timeout", timeout)] {
        if value.is_none() {
            request.complain(format!("No {name} provided."));
        } else if value < Some(1) {
            request.complain(format!("The value for {name} is '{}' but must be > 0.", value.unwrap_or(0)));
        }
    }
    request.check()?;
    Ok(Ask {
        job_type: job_type.into_owned(),
        max: max.unwrap_or(1) as u32,
        lease_ms: timeout.unwrap_or(1) as u64,
        worker: request.text("worker")?.unwrap_or_default().into(),
        fetch: request.texts("fetchVariable")?,
        hold_ms: match hold {
            0 => Some(DEFAULT_HOLD_MS),
            hold => u64::try_from(hold).ok(),
        },
        tenants: request.texts("tenantIds")?,
        with_lease: dialect >= V8_10 && request.flag("withLease")?,
    })
}

/// Activates what there is. None when there is nothing.
fn fill(state: &mut State, now: u64, ask: &Ask) -> Option<Reply> {
    let tenants: Vec<&str> = ask.tenants.iter().map(String::as_str).collect();
    let pick = Pick {
        job_type: &ask.job_type,
        tenants: if tenants.is_empty() { &["<default>"] } else { &tenants },
        max: ask.max,
        lease_ms: ask.lease_ms,
        worker: ask.worker.clone(),
        with_lease: ask.with_lease,
    };
    let mut page = render::Page::new(state.settings.dialect, state.seed, ask, &pick.worker);
    let batch = state.store.activate(&pick, now, |view| page.push(view))?;
    Some(Reply { answer: Answer::json(200, page.finish()), batch: Some(batch), mark: None })
}
