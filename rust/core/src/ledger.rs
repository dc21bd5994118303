//! The ledger: every job between its activation and the engine's last word on it, and whose it is meanwhile.
//! Sans-I/O; it knows stages, not sockets.

use std::time::Duration;

use crate::job::{Job, Lease};

/// Names one entry; stays unique when the place is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct JobId {
    index: u32,
    turn: u32,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the core, not given to a worker.
    Waiting,
    /// Given to a worker, under this number of this lane.
    Sent { worker: u64, lane: usize, number: u64 },
    /// An outcome is on its way to the engine.
    Settling,
}

pub(crate) struct Entry {
    pub(crate) job: Job,
    pub(crate) job_type: usize,
    pub(crate) lease: Lease,
    pub(crate) stage: Stage,
    /// The type's `fetch_turn` when it was asked for.
    pub(crate) fetch_turn: u32,
    /// A renewal is on its way.
    pub(crate) renewing: bool,
    /// The engine has said that the job is no longer this fleet's: nothing is sent for it any more.
    pub(crate) disowned: bool,
    /// Processes died while it ran: it runs with nothing else in its process.
    pub(crate) solitary: bool,
}

/// All jobs in flight.
#[derive(Default)]
pub(crate) struct Ledger {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    turn: u32,
    entry: Option<Entry>,
}

impl Ledger {
    pub(crate) fn insert(&mut self, job: Job, job_type: usize, lease: Lease) -> JobId {
        let entry = Entry {
            job,
            job_type,
            lease,
            stage: Stage::Waiting,
            fetch_turn: 0,
            renewing: false,
            disowned: false,
            solitary: false,
        };
        if let Some(index) = self.free.pop()
            && let Some(place) = self.places.get_mut(index as usize)
        {
            place.entry = Some(entry);
            return JobId { index, turn: place.turn };
        }
        let index = self.places.len() as u32;
        self.places.push(Place { turn: 0, entry: Some(entry) });
        JobId { index, turn: 0 }
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Entry> {
        self.places.get(id.index as usize).filter(|place| place.turn == id.turn)?.entry.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: JobId) -> Option<&mut Entry> {
        self.places.get_mut(id.index as usize).filter(|place| place.turn == id.turn)?.entry.as_mut()
    }

    /// Ends a job's time in the ledger.
    pub(crate) fn remove(&mut self, id: JobId) -> Option<Entry> {
        let place = self.places.get_mut(id.index as usize).filter(|place| place.turn == id.turn)?;
        let entry = place.entry.take()?;
        place.turn = place.turn.wrapping_add(1);
        self.free.push(id.index);
        Some(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Every job whose lease is half over at `now` and that is not being settled or renewed.
    pub(crate) fn due(&self, now: Duration) -> Vec<JobId> {
        let due = |entry: &Entry| {
            !entry.renewing && !entry.disowned && entry.stage != Stage::Settling && entry.lease.half() <= now
        };
        self.ids_where(due)
    }

    /// Every job at this stage.
    pub(crate) fn ids_where(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<JobId> {
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| place.entry.as_ref().is_some_and(&wanted))
            .map(|(index, place)| JobId { index: index as u32, turn: place.turn })
            .collect()
    }

    /// Every job.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobId, &Entry)> {
        let places = (0..).zip(&self.places);
        places.filter_map(|(index, place)| Some((JobId { index, turn: place.turn }, place.entry.as_ref()?)))
    }

    /// The longest time until the next lease needs a look.
    pub(crate) fn shortest_lease(&self) -> Option<Duration> {
        let entries = self.places.iter().filter_map(|place| place.entry.as_ref());
        entries.map(|entry| entry.lease.end.saturating_sub(entry.lease.received_at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn job() -> Job {
        Job::new(Bytes::from_static(b"{\"key\":7}"), 7..8, None, 3, None)
    }

    fn lease(received: u64, end: u64) -> Lease {
        Lease { received_at: Duration::from_secs(received), end: Duration::from_secs(end) }
    }

    #[test]
    fn a_job_is_due_at_half_its_lease_until_it_is_settling() {
        let mut ledger = Ledger::default();
        let id = ledger.insert(job(), 0, lease(10, 20));
        assert!(ledger.due(Duration::from_secs(14)).is_empty());
        assert_eq!(ledger.due(Duration::from_secs(15)), [id]);
        ledger.get_mut(id).unwrap().stage = Stage::Settling;
        assert!(ledger.due(Duration::from_secs(15)).is_empty());
    }

    proptest! {
        #[test]
        fn an_id_never_names_another_job(steps in proptest::collection::vec(any::<(bool, u8)>(), 0..200)) {
            let mut ledger = Ledger::default();
            let mut live: Vec<JobId> = Vec::new();
            let mut dead: Vec<JobId> = Vec::new();
            for (insert, pick) in steps {
                if insert || live.is_empty() {
                    live.push(ledger.insert(job(), 0, lease(0, 1)));
                } else {
                    let id = live.swap_remove(pick as usize % live.len());
                    prop_assert!(ledger.remove(id).is_some());
                    dead.push(id);
                }
                prop_assert_eq!(ledger.len(), live.len());
                prop_assert!(live.iter().all(|id| ledger.get(*id).is_some()));
                prop_assert!(dead.iter().all(|id| ledger.get(*id).is_none()));
            }
        }
    }
}
