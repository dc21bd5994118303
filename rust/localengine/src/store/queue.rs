//! The waiting jobs of one type and tenant: highest priority first, then by key, as a Camunda partition does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::Blueprint;

/// The next job to activate.
pub(super) enum Next {
    /// First activation of a job that was added.
    Fresh(u64, Rc<Blueprint>),
    /// A job that was activated before.
    Returned(u64),
    /// A job still to be made up.
    Endless(Rc<Blueprint>),
}

/// Jobs never activated so far, kept as ranges so that a million costs as much as one.
struct Range {
    first: u64,
    count: u64,
    blueprint: Rc<Blueprint>,
}

#[derive(Default)]
struct Level {
    fresh: VecDeque<Range>,
    returned: BTreeSet<u64>,
    /// Returned jobs that were leased once: only for activations with a lease.
    leased: BTreeSet<u64>,
}

/// See the module.
pub(super) struct Queue {
    pub(super) job_type: Rc<str>,
    pub(super) endless: Option<Rc<Blueprint>>,
    pub(super) waiting: u64,
    levels: BTreeMap<Reverse<i32>, Level>,
}

impl Queue {
    pub(super) fn new(job_type: Rc<str>) -> Self {
        Self { job_type, endless: None, waiting: 0, levels: BTreeMap::new() }
    }

    /// Appends new jobs; their keys are higher than all before.
    pub(super) fn add(&mut self, first: u64, count: u64, blueprint: Rc<Blueprint>) {
        self.waiting += count;
        let level = self.levels.entry(Reverse(blueprint.jobs.priority)).or_default();
        level.fresh.push_back(Range { first, count, blueprint });
    }

    /// Takes a job back that was activated before.
    pub(super) fn put_back(&mut self, key: u64, priority: i32, leased: bool) {
        self.waiting += 1;
        let level = self.levels.entry(Reverse(priority)).or_default();
        if leased {
            level.leased.insert(key)
        } else {
            level.returned.insert(key)
        };
    }

    /// Removes a returned job; false when it does not wait here.
    pub(super) fn remove(&mut self, key: u64, priority: i32) -> bool {
        let Some(level) = self.levels.get_mut(&Reverse(priority)) else { return false };
        let found = level.returned.remove(&key) || level.leased.remove(&key);
        if found {
            self.waiting -= 1;
        }
        found
    }

    /// The next job, lease-only ones included or not.
    pub(super) fn pop(&mut self, lease_only_too: bool) -> Option<Next> {
        if self.waiting == 0 {
            return self.endless.clone().map(Next::Endless);
        }
        let mut emptied = None;
        let mut next = None;
        for (priority, level) in &mut self.levels {
            next = level.pop(lease_only_too);
            if level.is_empty() {
                emptied = Some(*priority);
            }
            if next.is_some() {
                break;
            }
        }
        if let Some(priority) = emptied {
            self.levels.remove(&priority);
        }
        if next.is_none() {
            return self.endless.clone().map(Next::Endless);
        }
        self.waiting -= 1;
        next
    }

    /// The blueprint of a job that waits for its first activation.
    pub(super) fn fresh(&self, key: u64) -> Option<&Blueprint> {
        self.levels.values().find_map(|level| {
            let index = level.fresh.partition_point(|range| range.first + range.count <= key);
            level.fresh.get(index).filter(|range| range.first <= key).map(|range| &*range.blueprint)
        })
    }

    /// Up to `limit` jobs of each addition that wait for their first activation.
    pub(super) fn all_fresh(&self, limit: usize) -> impl Iterator<Item = (u64, &Blueprint)> {
        let ranges = self.levels.values().flat_map(|level| &level.fresh);
        ranges.flat_map(move |range| {
            let keys = range.first..range.first + range.count;
            keys.take(limit).map(|key| (key, &*range.blueprint))
        })
    }

    /// Cuts one never activated job out of its range and leaves it among the returned ones.
    pub(super) fn single_out(&mut self, key: u64) -> Option<Rc<Blueprint>> {
        self.levels.values_mut().find_map(|level| level.single_out(key))
    }
}

impl Level {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty() && self.leased.is_empty()
    }

    fn pop(&mut self, lease_only_too: bool) -> Option<Next> {
        let leased = if lease_only_too { self.leased.first() } else { None };
        let returned = [leased, self.returned.first()].into_iter().flatten().min().copied();
        if let Some(key) = returned
            && self.fresh.front().is_none_or(|range| key < range.first)
        {
            if !self.returned.remove(&key) {
                self.leased.remove(&key);
            }
            return Some(Next::Returned(key));
        }
        let range = self.fresh.front_mut()?;
        let key = range.first;
        range.first += 1;
        range.count -= 1;
        let blueprint = range.blueprint.clone();
        if range.count == 0 {
            self.fresh.pop_front();
        }
        Some(Next::Fresh(key, blueprint))
    }

    fn single_out(&mut self, key: u64) -> Option<Rc<Blueprint>> {
        let index = self.fresh.partition_point(|range| range.first + range.count <= key);
        let range = self.fresh.get_mut(index).filter(|range| range.first <= key)?;
        let blueprint = range.blueprint.clone();
        let after = range.first + range.count - key - 1;
        range.count = key - range.first;
        let emptied = range.count == 0;
        if after > 0 {
            let rest = Range { first: key + 1, count: after, blueprint: blueprint.clone() };
            self.fresh.insert(index + 1, rest);
        }
        if emptied {
            self.fresh.remove(index);
        }
        self.returned.insert(key);
        Some(blueprint)
    }
}
