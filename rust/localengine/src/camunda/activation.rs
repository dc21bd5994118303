//! Activation: reads the request, fills the answer, holds polls that find nothing.

use std::rc::Rc;

use bytes::Bytes;

use super::request::Request;
use super::tenants::{self, Tenants};
use super::{Intake, Verdict, render};
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

/// A checked activation request.
pub(crate) struct Ask {
    pub(crate) job_type: String,
    max: u32,
    lease_ms: u64,
    pub(super) worker: Rc<str>,
    /// Empty fetches everything.
    pub(super) fetch: Vec<String>,
    /// None does not wait.
    hold_ms: Option<u64>,
    tenants: Tenants,
    pub(super) with_lease: bool,
}

/// The answer of a poll that found nothing.
pub(crate) fn no_jobs() -> Answer {
    Answer::json(200, Bytes::from_static(b"{\"jobs\":[]}"))
}

/// Answers an activation request now, or holds it.
pub(super) fn activate(state: &mut State, intake: &Intake<'_>) -> Verdict {
    let ask = match read(state, intake) {
        Ok(ask) => ask,
        Err(answer) => return answer.into(),
    };
    if let Some(reply) = fill(state, intake.now, &ask) {
        return reply.into();
    }
    let Some(hold_ms) = ask.hold_ms else { return no_jobs().into() };
    let held = Held::new(ask, intake.now.saturating_add(hold_ms));
    state.polls.add(held.clone(), intake.now);
    Verdict::Hold(held)
}

/// Gives jobs that became activatable to the polls that wait for them, in their order of arrival.
pub(crate) fn serve_held(state: &mut State, now: u64) {
    while let Some(job_type) = state.store.take_ready() {
        let mut place = 0;
        while state.store.has_waiting(&job_type)
            && let Some(held) = state.polls.at(&job_type, place)
        {
            if held.departed.get() && held.until <= now {
                state.polls.remove_at(&job_type, place);
                continue;
            }
            let Some(reply) = fill(state, now, &held.ask) else {
                place += 1;
                continue;
            };
            state.polls.remove_at(&job_type, place);
            match reply.batch {
                Some(batch) if held.departed.get() => state.store.undelivered(&batch, false),
                _ => held.answer(reply),
            }
        }
    }
}

fn read(state: &mut State, intake: &Intake<'_>) -> Result<Ask, Answer> {
    let settings = &state.settings;
    let path = intake.head.path;
    let mut request = Request::read(settings, path, intake.body, &ACTIVATION)?;
    let limit = i64::from(i32::MAX);
    let job_type = request.text("type")?.unwrap_or_default();
    let max = request.int("maxJobsToActivate", limit)?;
    let timeout = request.int("timeout", i64::MAX)?;
    let hold = request.int("requestTimeout", i64::MAX)?.unwrap_or(0);
    if job_type.trim().is_empty() {
        request.complain("No type provided.".into());
    }
    for (name, value) in [("maxJobsToActivate", max), ("timeout", timeout)] {
        match value {
            None => request.complain(format!("No {name} provided.")),
            Some(value) if value < 1 => {
                request.complain(format!("The value for {name} is '{value}' but must be greater than 0."));
            }
            Some(_) => {}
        }
    }
    let tenants = tenants::read(&mut request, settings)?;
    request.check()?;
    let worker = request.text("worker")?.unwrap_or_default();
    Ok(Ask {
        job_type: job_type.into_owned(),
        max: max.unwrap_or(1) as u32,
        lease_ms: timeout.unwrap_or(1) as u64,
        worker: state.presence.note(intake.caller, &worker),
        fetch: request.texts("fetchVariable")?,
        hold_ms: match hold {
            0 => Some(settings.default_hold_ms),
            hold => u64::try_from(hold).ok(),
        },
        tenants,
        with_lease: settings.dialect >= V8_10 && request.flag("withLease")?,
    })
}

/// Activates what there is. None when there is nothing.
fn fill(state: &mut State, now: u64, ask: &Ask) -> Option<Reply> {
    if !state.store.has_waiting(&ask.job_type) {
        return None;
    }
    let tenants = ask.tenants.names(state);
    let pick = Pick {
        job_type: &ask.job_type,
        tenants: &tenants,
        max: ask.max,
        lease_ms: ask.lease_ms,
        worker: ask.worker.clone(),
        with_lease: ask.with_lease,
        lease_only_too: ask.with_lease || state.settings.dialect < V8_10,
    };
    let mut page = render::Page::new(&state.settings, state.seed, ask, state.answer_bytes);
    let batch = state.store.activate(&pick, now, |view| page.push(view))?;
    let body = page.finish();
    // The next one will be about as large: growing it step by step would copy it over and over.
    state.answer_bytes = body.len().clamp(1 << 10, 1 << 20) + (1 << 10);
    Some(Reply { answer: Answer::json(200, body), batch: Some(batch), mark: None })
}
