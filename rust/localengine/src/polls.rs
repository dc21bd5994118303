//! Held polls: activation requests that wait for a job. Owns who waits for what, in order of arrival.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

use rustc_hash::FxHashMap;

use crate::camunda::Ask;
use crate::http::Reply;

/// Held polls of one type beyond which those without a client are swept: they are met in passing otherwise.
const SWEEP_OVER: usize = 64;

/// One held poll.
pub(crate) struct Held {
    pub(crate) ask: Ask,
    /// End of the hold, in engine time.
    pub(crate) until: u64,
    /// Its client is gone and the engine did not notice.
    pub(crate) departed: Cell<bool>,
    reply: RefCell<Option<Reply>>,
    waker: RefCell<Option<Waker>>,
}

impl Held {
    pub(crate) fn new(ask: Ask, until: u64) -> Rc<Self> {
        Rc::new(Self {
            ask,
            until,
            departed: Cell::new(false),
            reply: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    /// Ends the wait with this reply.
    pub(crate) fn answer(&self, reply: Reply) {
        self.reply.replace(Some(reply));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The reply, or a promise to wake `waker` when there is one.
    pub(crate) fn take(&self, waker: &Waker) -> Option<Reply> {
        let reply = self.reply.take();
        if reply.is_none() {
            self.waker.replace(Some(waker.clone()));
        }
        reply
    }

    /// The reply that nobody waited for to the end.
    pub(crate) fn take_orphan(&self) -> Option<Reply> {
        self.reply.take()
    }
}

/// All held polls by job type.
#[derive(Default)]
pub(crate) struct Polls {
    by_type: FxHashMap<Rc<str>, VecDeque<Rc<Held>>>,
}

impl Polls {
    pub(crate) fn add(&mut self, held: Rc<Held>, now: u64) {
        let queue = match self.by_type.get_mut(&*held.ask.job_type) {
            Some(queue) => queue,
            None => self.by_type.entry(held.ask.job_type.as_str().into()).or_default(),
        };
        if queue.len() > SWEEP_OVER {
            queue.retain(|held| !held.departed.get() || held.until > now);
        }
        queue.push_back(held);
    }

    pub(crate) fn remove(&mut self, held: &Rc<Held>) {
        if let Some(queue) = self.by_type.get_mut(&*held.ask.job_type) {
            queue.retain(|other| !Rc::ptr_eq(other, held));
        }
    }

    /// The poll at this place of the line for a type.
    pub(crate) fn at(&self, job_type: &str, place: usize) -> Option<Rc<Held>> {
        self.by_type.get(job_type)?.get(place).cloned()
    }

    /// Takes the poll at this place out of the line.
    pub(crate) fn remove_at(&mut self, job_type: &str, place: usize) {
        if let Some(queue) = self.by_type.get_mut(job_type) {
            queue.remove(place);
        }
    }

    /// How many are held, and how many of them for a client that left.
    pub(crate) fn count(&self) -> (usize, usize) {
        let all = || self.by_type.values().flatten();
        (all().count(), all().filter(|held| held.departed.get()).count())
    }
}
