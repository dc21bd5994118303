//! One live job.

use std::rc::Rc;

use super::{Batch, Blueprint};

/// Where a live job stands. Jobs that ended are forgotten, except for the numbers in the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Can be activated.
    Waiting,
    /// Leased to a worker.
    Activated,
    /// Failed with tries left; waits for its back-off.
    BackingOff,
    /// Failed with no tries left: an incident.
    Incident,
    /// An error was thrown that nothing catches: an incident.
    ErrorThrown,
}

/// A job that was activated or singled out at least once.
pub(crate) struct Job {
    pub(crate) blueprint: Rc<Blueprint>,
    pub(crate) state: State,
    pub(crate) retries: i32,
    pub(crate) priority: i32,
    /// Number of its last activation; 0 before the first.
    pub(crate) seq: u64,
    /// End of the lease or of the back-off, in engine time.
    pub(crate) until: u64,
    pub(crate) activations: u32,
    /// Activations without a token that were not answered definitely yet.
    pub(crate) unanswered: u32,
    /// Activated with a lease once: served to leasing workers only, from then on.
    pub(crate) leased: bool,
    /// A fault cut off a command of the current activation.
    pub(crate) cut: bool,
    /// The current activation is counted as undelivered.
    pub(crate) undelivered: bool,
    /// Commands of the current activation that a fault refused.
    pub(crate) refused: u16,
    /// The answer that carried the current activation.
    pub(crate) batch: Option<Rc<Batch>>,
    pub(crate) notes: Option<Box<Notes>>,
}

/// What a few jobs carry beside the rest.
#[derive(Default)]
pub(crate) struct Notes {
    /// The variables after a failure wrote some, instead of the blueprint's.
    pub(crate) variables: Option<String>,
    /// Words of the last failure or error.
    pub(crate) message: Option<String>,
    /// Code of the last thrown error.
    pub(crate) error_code: Option<String>,
}

impl Job {
    pub(crate) fn new(blueprint: Rc<Blueprint>) -> Self {
        Self {
            state: State::Waiting,
            retries: blueprint.jobs.retries,
            priority: blueprint.jobs.priority,
            seq: 0,
            until: 0,
            activations: 0,
            unanswered: 0,
            leased: false,
            cut: false,
            undelivered: false,
            refused: 0,
            batch: None,
            notes: None,
            blueprint,
        }
    }

    /// The variables as JSON text.
    pub(crate) fn variables(&self) -> &str {
        let written = self.notes.as_ref().and_then(|notes| notes.variables.as_deref());
        written.unwrap_or(&self.blueprint.jobs.variables)
    }

    pub(crate) fn notes(&mut self) -> &mut Notes {
        self.notes.get_or_insert_default()
    }
}
