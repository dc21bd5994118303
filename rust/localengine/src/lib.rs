//! The embedded engine. Owns one job store and the wire dialects over it; knows nothing of fleets.
//!
//! One native thread with one current-thread runtime carries everything, so its state needs no lock. It speaks
//! Camunda's REST v2 job API (activation with long poll, completion, failure, error, update, resolution of
//! incidents, topology, status) as 8.6, 8.8 and 8.10 do, and beside it an API of its own:
//!
//! | request | body | does |
//! |---|---|---|
//! | `POST /local/jobs` | `type`, `count`, `variables`, `headers`, `retries`, `priority`, `tenant_id`, `kind`, `listener_event_type`, `user_task`, `tags`, `business_id`, `process_id`, `element_id` | adds jobs, answers `keys` (first and last) and `count` |
//! | `GET /local/jobs?type=&state=&limit=`, `GET /local/jobs/{key}` | | shows jobs: `waiting`, `activated`, `backing_off`, `incident`, `uncaught_error`, and the last ended ones: `completed`, `error_thrown` |
//! | `POST /local/endless`, `DELETE /local/endless/{type}` | as for jobs, without `count` | makes jobs of a type up on demand |
//! | `GET /account` | | the [`Account`] |
//! | `POST`, `GET`, `DELETE /local/faults` | `seed`, `faults`: a list of [`Fault`] | replaces, shows with how often each fired, clears |
//! | `POST`, `GET /local/settings` | fields of [`Settings`] | changes the given ones, shows all |
//! | `POST`, `GET /local/clock` | `advance_ms` | moves engine time forward, shows it |
//! | `GET /local/polls` | | how many polls are `held`, and how many of them for clients that left |
//! | `POST /local/reset` | | forgets jobs, account and faults |
//!
//! An unknown or impossible field is a 400 that names it. Keys of process instances, elements and incidents are
//! the job's key plus 2^48, 2^49 and 2^50.

mod account;
mod admin;
mod camunda;
mod engine;
mod faults;
mod http;
mod options;
mod polls;
mod presence;
mod shared;
mod store;

pub use account::Account;
pub use engine::Engine;
pub use faults::{Fault, FaultKind, Target};
pub use options::{Dialect, Options, Settings, TlsOptions};
pub use store::NewJobs;
