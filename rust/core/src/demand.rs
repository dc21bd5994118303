//! Demand: what the books say of a type's work, for the decision how many jobs to ask for.

use std::time::Duration;

use crate::ask::{self, Demand};
use crate::state::{Pool, State};

impl State {
    /// What decides how many jobs of a type to ask for; None while nobody may run it.
    pub(crate) fn demand(&self, job_type: usize, byte_budget: u64) -> Option<Demand> {
        let (pool_index, type_index) = self.home(job_type)?;
        let pool = self.pools.get(pool_index).filter(|pool| pool.paused.is_none())?;
        let kind = self.types.get(job_type)?;
        let own = pool.types.get(type_index)?;
        let lane_slots = pool.lanes.get(own.lane)?.slots;
        let slots = own.slots.min(lane_slots);
        let ready = || pool.workers.iter().filter(|worker| worker.is_usable());
        let busy: usize =
            ready().filter_map(|worker| worker.lanes.get(own.lane)).map(|lane| lane.jobs.min(slots)).sum();
        let total = slots * ready().count();
        let backlog = kind.here() + kind.asked;
        // Counted only where it decides: with hundreds of types the count is most of the cost.
        let shares = kind.run.p90_ns().is_none() || backlog == 0;
        let sharers = if shares { self.sharers(pool, own.lane) } else { 1 };
        Some(Demand {
            slots: total as u64,
            free_slots: total.saturating_sub(busy) as u64,
            sharers: sharers as u64,
            p90: kind.run.p90_ns().map(Duration::from_nanos),
            rate: kind.rate.per_second(),
            round_trip: kind.round_trip,
            lease: kind.lease,
            job_bytes: kind.job_bytes as u64,
            byte_budget,
            backlog,
            settling: kind.settling,
            growth: kind.growth,
        })
    }

    /// How many types of a lane have long or unknown jobs.
    fn sharers(&self, pool: &Pool, lane: usize) -> usize {
        let long = |index: usize| {
            let p90 = self.types.get(index).and_then(|kind| kind.run.p90_ns());
            p90.is_none_or(|p90| ask::is_long(Duration::from_nanos(p90)))
        };
        pool.types.iter().filter(|other| other.lane == lane && long(other.job_type)).count()
    }
}
