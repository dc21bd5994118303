//! How many jobs of a type to ask for, and when. A pure decision.

use std::time::Duration;

/// Work is asked for this far ahead at least, so that a poll costs little of each job.
const SHORTEST_AHEAD: Duration = Duration::from_millis(25);

/// While the rate of settled jobs is still unknown or small, this many jobs per slot are not too many to hold.
const SLOW_START_PER_SLOT: u64 = 64;

/// The rate may be this much higher than measured; it is what lets a rate grow that was bounded by too few jobs.
const HEADROOM: f64 = 1.5;

/// The largest number of jobs in one answer: beyond this a larger answer saves nothing and only bloats.
const MOST_JOBS: u64 = 4_096;

/// What the decision needs to know of one type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Slots of ready workers that the type may use.
    pub(crate) slots: u64,
    /// Of these, the ones that run nothing.
    pub(crate) free_slots: u64,
    /// Types that share these slots and whose jobs are long or unknown, this one included.
    pub(crate) sharers: u64,
    /// The 90th percentile of the run time; None while nothing is known.
    pub(crate) p90: Option<Duration>,
    /// Jobs of the type settled per second.
    pub(crate) rate: f64,
    /// The round trip of a poll that found jobs.
    pub(crate) round_trip: Duration,
    /// The lease that is asked for.
    pub(crate) lease: Duration,
    /// The mean size of a job in bytes; 0 while unknown.
    pub(crate) job_bytes: u64,
    /// The most bytes that one answer should have.
    pub(crate) byte_budget: u64,
    /// Jobs of the type that are here already or asked for.
    pub(crate) backlog: u64,
    /// Of these, the ones that have run and whose outcomes are on their way.
    pub(crate) settling: u64,
    /// While nothing is known: doubles with each full answer, from 1.
    pub(crate) growth: u64,
}

/// The number of jobs to ask for now; None while enough is here.
pub(crate) fn ask(demand: &Demand) -> Option<u64> {
    if demand.slots == 0 {
        return None;
    }
    if demand.backlog > low_mark(demand) {
        return None;
    }
    let wanted = target(demand).saturating_sub(demand.backlog);
    let bytes = demand.byte_budget.checked_div(demand.job_bytes).unwrap_or(MOST_JOBS);
    Some(wanted.min(MOST_JOBS).min(bytes.max(1)))
}

/// The backlog at and below which a poll is worth its cost: part of it is gone, or a slot has nothing to run.
pub(crate) fn low_mark(demand: &Demand) -> u64 {
    let (target, away) = (target(demand), on_the_way(demand));
    let idle = if demand.p90.is_none() { target } else { demand.slots + away };
    let part = target.saturating_sub(away) * 3 / 5 + away;
    part.max(idle.saturating_sub(1)).min(target.saturating_sub(1))
}

/// Outcomes that are only as late as the way to the engine is long: no slot has them any more, and no other job
/// waits for them. What is late beyond that piles up, and counts.
fn on_the_way(demand: &Demand) -> u64 {
    demand.settling.min((demand.rate * demand.round_trip.as_secs_f64() * HEADROOM) as u64)
}

/// How many jobs of the type should be here, running ones included.
fn target(demand: &Demand) -> u64 {
    let Some(p90) = demand.p90 else {
        // Beyond those that run already: nothing says when they end.
        let more = (demand.free_slots * demand.growth).min(share(demand));
        return if demand.free_slots == 0 { 1 } else { demand.backlog + more };
    };
    let ahead = SHORTEST_AHEAD.max(demand.round_trip * 2);
    let work = per(ahead, p90, demand.slots) + demand.slots;
    let by_lease = per(demand.lease / 4, p90, demand.slots).max(1);
    let by_rate = (demand.rate * ahead.as_secs_f64() * HEADROOM) as u64 + SLOW_START_PER_SLOT * demand.slots;
    let target = work.min(by_lease).min(by_rate).max(1) + on_the_way(demand);
    if demand.backlog == 0 && is_long(p90) { target.min(share(demand)).max(1) } else { target }
}

/// How many runs of this length fit into the span on so many slots.
fn per(span: Duration, run: Duration, slots: u64) -> u64 {
    let runs = span.as_nanos() / run.as_nanos().max(1);
    u64::try_from(runs).unwrap_or(u64::MAX).saturating_mul(slots)
}

/// The part of twice the free slots that a held poll of one of several long types may ask for.
fn share(demand: &Demand) -> u64 {
    (2 * demand.free_slots).div_ceil(demand.sharers.max(1)).max(1)
}

/// Whether a run of this length fills a wake of its own, so that a held poll should not ask for many.
pub(crate) fn is_long(p90: Duration) -> bool {
    p90 >= Duration::from_millis(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand() -> Demand {
        Demand {
            slots: 2,
            free_slots: 2,
            sharers: 1,
            p90: None,
            rate: 0.0,
            round_trip: Duration::from_millis(1),
            lease: Duration::from_secs(60),
            job_bytes: 0,
            byte_budget: 1 << 26,
            backlog: 0,
            settling: 0,
            growth: 1,
        }
    }

    #[test]
    fn an_unknown_type_starts_at_one_per_free_slot_and_doubles() {
        assert_eq!(ask(&demand()), Some(2));
        assert_eq!(ask(&Demand { growth: 2, ..demand() }), Some(4));
    }

    #[test]
    fn an_unknown_type_fills_the_free_slots_beside_jobs_that_run() {
        let running = Demand { slots: 16, free_slots: 6, backlog: 10, ..demand() };
        assert_eq!(ask(&running), Some(6));
        assert_eq!(ask(&Demand { free_slots: 0, backlog: 16, ..running }), None);
    }

    #[test]
    fn a_free_slot_of_a_long_type_is_worth_a_poll() {
        let long = Demand { slots: 16, p90: Some(Duration::from_secs(2)), ..demand() };
        assert_eq!(ask(&Demand { free_slots: 1, backlog: 15, ..long }), Some(1));
        assert_eq!(ask(&Demand { free_slots: 0, backlog: 16, ..long }), None);
    }

    #[test]
    fn twenty_four_types_on_four_slots_do_not_ask_for_more_than_one_each() {
        let crowded = Demand { slots: 4, free_slots: 4, sharers: 24, ..demand() };
        assert_eq!(ask(&crowded), Some(1));
        let known = Demand { p90: Some(Duration::from_secs(1)), ..crowded };
        assert_eq!(ask(&known), Some(1));
    }

    #[test]
    fn long_jobs_are_not_hoarded() {
        let long = Demand { p90: Some(Duration::from_millis(20)), backlog: 2, free_slots: 0, ..demand() };
        assert_eq!(ask(&long), Some(2));
        assert_eq!(ask(&Demand { backlog: 4, ..long }), None);
    }

    #[test]
    fn short_jobs_are_asked_for_ahead_of_a_slow_engine() {
        let near = Demand { p90: Some(Duration::from_micros(5)), rate: 20_000.0, ..demand() };
        let far = Demand { round_trip: Duration::from_millis(50), ..near };
        assert!(ask(&far) > ask(&near));
        assert_eq!(ask(&near), Some(750 + 128));
    }

    #[test]
    fn outcomes_on_a_long_way_take_no_room_but_outcomes_that_pile_up_do() {
        let far = Demand {
            p90: Some(Duration::from_micros(5)),
            rate: 20_000.0,
            round_trip: Duration::from_millis(25),
            backlog: 1_200,
            ..demand()
        };
        assert_eq!(ask(&far), None);
        assert_eq!(ask(&Demand { settling: 500, ..far }), Some(20_000 * 75 / 1000 + 128 + 500 - 1_200));
        let piled = Demand { settling: 10_000, backlog: 10_700, ..far };
        assert_eq!(ask(&piled), None);
    }

    #[test]
    fn a_quarter_of_the_lease_bounds_what_is_held() {
        let tight = Demand {
            p90: Some(Duration::from_millis(2)),
            lease: Duration::from_millis(40),
            round_trip: Duration::from_secs(1),
            backlog: 1,
            ..demand()
        };
        assert_eq!(ask(&tight), Some(9));
    }

    #[test]
    fn the_byte_budget_bounds_an_answer() {
        let big = Demand {
            p90: Some(Duration::from_micros(5)),
            rate: 50_000.0,
            job_bytes: 100_000,
            byte_budget: 4_000_000,
            ..demand()
        };
        assert_eq!(ask(&big), Some(40));
    }

    #[test]
    fn nothing_is_asked_for_above_the_low_water_mark_or_without_workers() {
        let busy = Demand { p90: Some(Duration::from_micros(5)), rate: 20_000.0, backlog: 900, ..demand() };
        assert_eq!(ask(&busy), None);
        assert_eq!(ask(&Demand { slots: 0, ..demand() }), None);
    }
}
