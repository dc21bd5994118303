//! The engine's own account of what happened to its jobs: the words that a fleet is judged by.

use serde::Serialize;

/// What became of every job and every activation since the start or the last reset.
///
/// `created = completed + errors_thrown + incidents + waiting + in_flight + lost` at any moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Jobs ever made, those of endless types when they are activated first.
    pub created: u64,
    /// Jobs completed.
    pub completed: u64,
    /// Fail commands accepted, hand-backs included.
    pub failed: u64,
    /// Jobs ended by a thrown error that was caught.
    pub errors_thrown: u64,
    /// Jobs that have an incident now.
    pub incidents: u64,
    /// Jobs activated now.
    pub in_flight: u64,
    /// Jobs that can be activated now or after their back-off.
    pub waiting: u64,
    /// Activations, wholly delivered, that ended by their lease although their worker was connected and no
    /// fault cut off one of their commands.
    pub expired: u64,
    /// Activations whose answer, or whose hand-back, was cut off by a fault or a departed client.
    pub undelivered: u64,
    /// Leases that ended after a fault cut off a command of theirs, or with no connection of their worker left.
    pub excused: u64,
    /// With tokens: outcomes for an activation already answered definitely. Without: definite answers beyond
    /// the number of the job's activations. Renewals may cross an outcome on their way and do not count.
    pub settled_twice: u64,
    /// Outcomes whose token belongs to another activation than the one that holds the job.
    pub foreign: u64,
    /// Jobs that are in no state at all.
    pub lost: u64,
    /// Fail commands accepted with the job's retries unchanged: the way to give a job back.
    pub handed_back: u64,
    /// Hand-backs without an error message.
    pub unexplained: u64,
}
