//! Settings, faults, clock, reset.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Call;
use crate::faults::Fault;
use crate::http::Answer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultSet {
    #[serde(default)]
    seed: Option<u64>,
    faults: Vec<Fault>,
}

/// `POST /local/faults`: replaces all faults.
pub(super) fn set_faults(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let set: FaultSet = call.read()?;
    if let Some(complaint) = set.faults.iter().find_map(Fault::complaint) {
        return Err(call.refuse(&complaint));
    }
    call.state.faults.set(set.faults, set.seed);
    Ok(faults(call))
}

/// `GET /local/faults`: the faults in force, with how many requests each saw and struck.
pub(super) fn faults(call: &Call<'_>) -> Answer {
    super::json(&json!({ "faults": call.state.faults.report() }))
}

/// `DELETE /local/faults`.
pub(super) fn clear_faults(call: &mut Call<'_>) -> Answer {
    call.state.faults.set(Vec::new(), None);
    Answer::NO_CONTENT
}

/// `POST /local/settings`: changes the fields given.
pub(super) fn set_settings(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let changes: Map<String, Value> = call.read()?;
    let settings = call.state.settings.merged(changes).map_err(|error| call.refuse(&error))?;
    call.state.store.keep_history(settings.history);
    call.state.settings = settings;
    Ok(super::json(&call.state.settings))
}

/// `GET /local/polls`: how many are held, and how many of them for clients whose departure went unnoticed.
pub(super) fn polls(call: &Call<'_>) -> Answer {
    let (held, departed) = call.state.polls.count();
    super::json(&json!({ "held": held, "departed": departed }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

/// `POST /local/clock`: moves engine time forward; leases and back-offs that are due then end.
pub(super) fn set_clock(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let Advance { advance_ms } = call.read()?;
    call.shared.advance(call.state, advance_ms);
    Ok(clock(call))
}

/// `GET /local/clock`: engine time, as in deadlines.
pub(super) fn clock(call: &Call<'_>) -> Answer {
    super::json(&json!({ "now": call.shared.clock.now() }))
}

/// `POST /local/reset`: forgets all jobs, the account and the faults.
pub(super) fn reset(call: &mut Call<'_>) -> Result<Answer, Answer> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let Nothing {} = call.read()?;
    call.state.store.reset();
    call.state.faults.set(Vec::new(), None);
    Ok(Answer::NO_CONTENT)
}
