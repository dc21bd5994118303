//! Watch: looks at each worker's flight recorder for jobs over their time limit and for processes that do not move.
//! It costs a few loads of memory for each worker and look; whoever asks the system about a process is told of
//! suspects only.

mod limits;
mod suspicion;

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::job::now;
use crate::state::{Blame, WorkerState};

pub(crate) use limits::interval;
pub(crate) use suspicion::{OverLimit, Suspicion};

/// Between two looks at everything, unless the settings ask for them more often.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// The shortest time between two looks.
pub(crate) const MOST_OFTEN: Duration = Duration::from_millis(20);

/// Looks at limits as often as the shortest one asks for, and at everything else each second or as set.
pub(crate) async fn watch_workers(fleet: Rc<Fleet>) {
    let mut next = now() + fleet.watch_every;
    loop {
        let pause = fleet.look_every.get().min(next.saturating_sub(now()));
        sleep(pause).await;
        fleet.look_at_limits();
        let time = now();
        if time >= next {
            next = time + fleet.watch_every;
            fleet.audit_books();
            fleet.look_at_workers(time);
            fleet.outcomes.look(&fleet, time);
            fleet.tasks.look();
            fleet.transport.look_at_certificates();
            fleet.events.beat();
        }
    }
}

impl Fleet {
    /// Adds to what a worker is killed for.
    fn blame(&self, worker: u64, blame: Blame) {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return };
        match (&mut owner.blame, blame) {
            (Some(Blame::Overdue(known)), Blame::Overdue(more)) => known.extend(more),
            (present, blame) => *present = Some(blame),
        }
    }

    /// Gives a worker that is about to be killed nothing more, and its unstarted jobs to others.
    fn retreat(self: &Rc<Self>, worker: u64) {
        if let Some(owner) = self.state.borrow_mut().worker(worker) {
            owner.state = WorkerState::Broken;
        }
        let taken = self.take_unstarted(worker);
        self.put_back(taken);
    }

    /// The watchdog is about to kill this worker.
    pub(crate) fn condemn(self: &Rc<Self>, worker: u64, blameless: bool) {
        let over = self.state.borrow().told_jobs(worker);
        if blameless {
            self.blame(worker, Blame::Nobody);
        } else if !over.is_empty() {
            self.blame(worker, Blame::Overdue(over));
        }
        self.retreat(worker);
    }

    /// The watchdog says that this worker does not move, or does so again.
    pub(crate) fn shun(self: &Rc<Self>, worker: u64, shunned: bool) {
        let mut state = self.state.borrow_mut();
        let Some(owner) = state.worker(worker) else { return };
        owner.shunned = shunned;
        owner.lanes.iter_mut().for_each(|lane| lane.ignores = false);
        drop(state);
        if shunned {
            let taken = self.take_unstarted(worker);
            self.put_back(taken);
        } else {
            self.dispatch_all();
            self.wake_pollers();
        }
    }
}

/// A length of time for people.
fn say(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{} s", (seconds * 100.0).round() / 100.0)
    } else {
        format!("{seconds:.0} s")
    }
}
