//! Dispatch by expected work: which worker gets the next jobs of a type, and how many. A pure decision over a
//! view of each worker's lane; it knows neither sockets nor the ledger.

/// The work that one wake of a worker carries. Short jobs travel together until they are worth this much.
const WAKE_NS: u64 = 1_000_000;

/// A lane is filled up to this much work, so that it need not wait for the core between two wakes.
const WINDOW_NS: u64 = 2 * WAKE_NS;

/// Runs longer than this gain nothing measurable from a job that waits beside them.
const PREFETCH_LIMIT_NS: u64 = 20_000_000;

/// The largest number of jobs in one lane of one worker, running or waiting, beyond its slots.
const MOST_JOBS: usize = 256;

/// The largest number of bytes that wait in one lane, unless a single job is larger.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What the decision needs to know of one worker's lane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LaneView {
    /// Jobs that can run at the same time.
    pub(crate) slots: usize,
    /// Jobs given and not yet returned.
    pub(crate) jobs: usize,
    /// Of these, the ones expected to run long, or for an unknown time.
    pub(crate) long: usize,
    /// The expected work of the others.
    pub(crate) short_ns: u64,
    /// Jobs of the type in question.
    pub(crate) of_type: usize,
    /// Bytes of the jobs given.
    pub(crate) bytes: usize,
    /// Nothing has started here for a while although jobs wait.
    pub(crate) stuck: bool,
}

/// The type whose jobs wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    /// Jobs that wait.
    pub(crate) jobs: usize,
    /// The mean run time; None while nothing is known.
    pub(crate) mean_ns: Option<u64>,
    /// The most jobs of this type at once in one process.
    pub(crate) slots: usize,
}

/// Whether a job with this expected run time counts as long.
pub(crate) fn is_long(mean_ns: Option<u64>) -> bool {
    mean_ns.is_none_or(|mean| mean >= WAKE_NS)
}

/// The lane that gets jobs next, and how many; None while they wait better in the core.
pub(crate) fn pick(waiting: Waiting, lanes: impl Iterator<Item = LaneView>) -> Option<(usize, usize)> {
    if waiting.jobs == 0 {
        return None;
    }
    let open = lanes.enumerate().filter(|(_, lane)| !lane.stuck && room(&waiting, lane) > 0);
    if is_long(waiting.mean_ns) { pick_long(waiting, open) } else { pick_short(waiting, open) }
}

/// How many more jobs of the type the lane may hold, whatever they cost.
fn room(waiting: &Waiting, lane: &LaneView) -> usize {
    if lane.bytes >= MOST_BYTES {
        return 0;
    }
    let most = lane.slots + MOST_JOBS;
    // A cap below the lane's slots is a promise to the handler's author: no prefetch beyond it.
    let of_type = if waiting.slots < lane.slots { waiting.slots } else { most };
    most.saturating_sub(lane.jobs).min(of_type.saturating_sub(lane.of_type))
}

/// Short jobs: top up the busiest lane that still has room for a wake's worth, before another is woken.
fn pick_short(waiting: Waiting, open: impl Iterator<Item = (usize, LaneView)>) -> Option<(usize, usize)> {
    let mean_ns = waiting.mean_ns.unwrap_or(WAKE_NS).max(100);
    let free = |lane: &LaneView| lane.slots.saturating_sub(lane.long) as u64;
    let hungry = open.filter(|(_, lane)| lane.short_ns < WAKE_NS * free(lane));
    let (index, lane) = hungry.max_by_key(|(index, lane)| (lane.short_ns, usize::MAX - index))?;
    let work_ns = (WINDOW_NS * free(&lane)).saturating_sub(lane.short_ns);
    let count = work_ns.div_ceil(mean_ns).max(1) as usize;
    Some((index, count.min(waiting.jobs).min(room(&waiting, &lane))))
}

/// Long jobs: one to the freest lane; beside running ones only where the wait for the core would show.
fn pick_long(waiting: Waiting, open: impl Iterator<Item = (usize, LaneView)>) -> Option<(usize, usize)> {
    let prefetch = match waiting.mean_ns {
        Some(mean) if mean < PREFETCH_LIMIT_NS => |slots: usize| slots.div_ceil(8),
        _ => |_: usize| 0,
    };
    let open = open.filter(|(_, lane)| lane.long < lane.slots + prefetch(lane.slots));
    let load = |lane: &LaneView| (lane.long * 1024 / lane.slots.max(1), lane.short_ns);
    let (index, _) = open.min_by_key(|(index, lane)| (load(lane), *index))?;
    Some((index, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(slots: usize) -> LaneView {
        LaneView { slots, ..LaneView::default() }
    }

    fn waiting(jobs: usize, mean_ns: u64) -> Waiting {
        Waiting { jobs, mean_ns: Some(mean_ns), slots: usize::MAX }
    }

    #[test]
    fn short_jobs_go_to_one_woken_worker_before_the_next_is_woken() {
        let idle = lane(1);
        let warm = LaneView { jobs: 10, short_ns: 100_000, ..lane(1) };
        let full = LaneView { jobs: 200, short_ns: WINDOW_NS, ..lane(1) };
        assert_eq!(pick(waiting(50, 10_000), [idle, full, warm].into_iter()), Some((2, 50)));
        assert_eq!(pick(waiting(50, 10_000), [idle, full].into_iter()), Some((0, 50)));
        assert_eq!(pick(waiting(50, 10_000), [full, full].into_iter()), None);
    }

    #[test]
    fn a_short_job_never_queues_behind_a_long_one() {
        let running_long = LaneView { jobs: 1, long: 1, ..lane(1) };
        assert_eq!(pick(waiting(5, 10_000), [running_long].into_iter()), None);
        let one_of_four = LaneView { jobs: 1, long: 1, ..lane(4) };
        assert_eq!(pick(waiting(5, 10_000), [running_long, one_of_four].into_iter()), Some((1, 5)));
    }

    #[test]
    fn long_jobs_spread_over_all_workers_first() {
        let running = LaneView { jobs: 1, long: 1, ..lane(1) };
        assert_eq!(pick(waiting(9, 5_000_000), [running, lane(1)].into_iter()), Some((1, 1)));
        assert_eq!(pick(waiting(9, 5_000_000), [running, running].into_iter()), Some((0, 1)));
        assert_eq!(pick(waiting(9, 50_000_000), [running, running].into_iter()), None);
    }

    #[test]
    fn an_unknown_type_gets_a_free_slot_and_no_prefetch() {
        let unknown = Waiting { jobs: 9, mean_ns: None, slots: 1 };
        let running = LaneView { jobs: 1, long: 1, ..lane(1) };
        assert_eq!(pick(unknown, [running, lane(1)].into_iter()), Some((1, 1)));
        assert_eq!(pick(unknown, [running].into_iter()), None);
    }

    #[test]
    fn a_types_own_slots_are_never_exceeded() {
        let two_of_type = LaneView { jobs: 2, of_type: 2, short_ns: 20, ..lane(8) };
        let capped = Waiting { jobs: 9, mean_ns: Some(10), slots: 3 };
        assert_eq!(pick(capped, [two_of_type].into_iter()), Some((0, 1)));
        assert_eq!(pick(Waiting { slots: 2, ..capped }, [two_of_type].into_iter()), None);
    }

    #[test]
    fn a_stuck_or_overfull_lane_gets_nothing() {
        let stuck = LaneView { stuck: true, ..lane(1) };
        let heavy = LaneView { bytes: MOST_BYTES, jobs: 1, ..lane(1) };
        assert_eq!(pick(waiting(5, 10_000), [stuck, heavy].into_iter()), None);
    }
}
