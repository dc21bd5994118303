//! The pool of outcome connections: each lane is a task with one connection and one piece of work at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::policy::{self, History, Next};
use super::sizer::Sizer;
use crate::engine::{Command, Verdict};
use crate::fleet::Fleet;
use crate::job::now;
use crate::ledger::JobId;
use crate::link::Outcome;
use crate::renew::Permit;
use crate::settings::Backpressure;
use crate::tasks;
use crate::transport::{Kind, Line, SendError};

/// Idle lanes are looked at this often, so that no connection idles until the engine closes it.
const JANITOR_EVERY: Duration = Duration::from_secs(20);

/// A lane that has waited this long for an answer counts for nothing until it comes.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// An engine that answers nothing at all is not asked by ever more connections.
const MOST_STALLED: usize = 64;

/// Connections beyond the limit for what cannot wait for a free one.
const URGENT: usize = 8;

/// A command on its way to the engine.
pub(crate) struct Work {
    pub(crate) id: JobId,
    pub(crate) command: Command,
    pub(crate) history: History,
    /// What a renewal holds until it is concluded.
    _permit: Option<Permit>,
}

impl Work {
    pub(crate) fn settle(id: JobId, outcome: Outcome) -> Self {
        Self { id, command: Command::Settle(outcome), history: History::default(), _permit: None }
    }

    pub(crate) fn renew(id: JobId, lease: Duration, permit: Permit) -> Self {
        Self { id, command: Command::Renew(lease), history: History::default(), _permit: Some(permit) }
    }

    pub(crate) fn is_renewal(&self) -> bool {
        matches!(self.command, Command::Renew(_))
    }

    /// Renewals, which come when half of the lease is over, and hand-backs, whose jobs others could be doing.
    fn is_urgent(&self) -> bool {
        matches!(self.command, Command::Renew(_) | Command::Settle(Outcome::HandBack { .. }))
    }
}

/// The queue of work and the lanes that carry it.
pub(crate) struct Outcomes {
    queue: RefCell<VecDeque<Work>>,
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// Idle lanes; the last one used is used first, so that the others fall asleep.
    idle: RefCell<Vec<usize>>,
    sizer: RefCell<Sizer>,
    refusals: Cell<u64>,
    /// Lanes that wait for an answer which may never come.
    stalled: Cell<usize>,
}

#[derive(Default)]
struct Lane {
    given: RefCell<Option<Work>>,
    waker: RefCell<Option<Waker>>,
    look: Cell<bool>,
    /// Since when it waits for an answer.
    asked_at: Cell<Option<Duration>>,
    /// What it carries: the job, and whether its lease is renewed.
    carries: Cell<Option<(JobId, bool)>>,
}

impl Outcomes {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            queue: RefCell::default(),
            lanes: RefCell::default(),
            idle: RefCell::default(),
            sizer: RefCell::new(Sizer::new(most)),
            refusals: Cell::new(0),
            stalled: Cell::new(0),
        }
    }

    /// How many outcomes may be on their way at once.
    pub(crate) fn limit(&self) -> usize {
        self.sizer.borrow().limit()
    }

    /// Commands that the engine pushed back so far.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.get()
    }

    /// Lanes that carry work and get on with it.
    fn busy(&self) -> usize {
        (self.lanes.borrow().len() - self.idle.borrow().len()).saturating_sub(self.stalled.get())
    }

    /// Looks for lanes whose answer does not come: others take their place, or a small limit could be used up by
    /// answers that never come, and every job's lease would end meanwhile.
    pub(crate) fn look(&self, fleet: &Rc<Fleet>, time: Duration) {
        let is_stalled = |lane: &Rc<Lane>| {
            lane.asked_at.get().is_some_and(|asked_at| time.saturating_sub(asked_at) >= STALLED_AFTER)
        };
        let stalled = self.lanes.borrow().iter().filter(|lane| is_stalled(lane)).count();
        self.stalled.set(stalled.min(MOST_STALLED));
        self.hasten(fleet, time);
        while self.busy() < self.limit() {
            let Some(work) = self.queue.borrow_mut().pop_front() else { break };
            self.push(fleet, work);
        }
    }

    /// Puts what has waited for half of its lease in front of all else, and takes it for urgent: an engine that lets
    /// few through, or leaves them without an answer, would keep it until the lease is over.
    fn hasten(&self, fleet: &Rc<Fleet>, time: Duration) {
        let mut late = 0;
        {
            let state = fleet.state.borrow();
            let ends = |work: &Work| {
                let lease = state.ledger.get(work.id)?.lease;
                (work.is_urgent() || lease.half() <= time).then_some(lease.end)
            };
            let mut queue = self.queue.borrow_mut();
            if queue.iter().any(|work| ends(work).is_some()) {
                queue.make_contiguous().sort_by_cached_key(|work| ends(work).unwrap_or(Duration::MAX));
                late = queue.iter().take_while(|work| ends(work).is_some()).count();
            }
        }
        for _ in 0..late {
            if self.busy() >= self.limit() + URGENT {
                break;
            }
            let Some(work) = self.queue.borrow_mut().pop_front() else { break };
            self.give(fleet, work);
        }
    }

    /// Takes in work; it goes to a lane while more are worth having, or waits: what is urgent in front of all else.
    pub(crate) fn push(&self, fleet: &Rc<Fleet>, work: Work) {
        let is_urgent = work.is_urgent();
        let limit = if is_urgent { self.limit() + URGENT } else { self.limit() };
        if self.busy() < limit {
            self.give(fleet, work);
        } else {
            let mut queue = self.queue.borrow_mut();
            if is_urgent { queue.push_front(work) } else { queue.push_back(work) }
        }
    }

    /// Gives work to an idle lane, or to a new one.
    fn give(&self, fleet: &Rc<Fleet>, work: Work) {
        if let Some(index) = self.idle.borrow_mut().pop() {
            let lanes = self.lanes.borrow();
            let Some(lane) = lanes.get(index) else { return };
            *lane.given.borrow_mut() = Some(work);
            if let Some(waker) = lane.waker.borrow_mut().take() {
                waker.wake();
            }
        } else {
            let lane = Rc::new(Lane { given: RefCell::new(Some(work)), ..Lane::default() });
            let index = self.lanes.borrow().len();
            self.lanes.borrow_mut().push(Rc::clone(&lane));
            tokio::task::spawn_local(run(Rc::clone(fleet), lane, index));
        }
    }

    /// The next piece of work for a busy lane, unless there are more of those than is worth it.
    fn next(&self) -> Option<Work> {
        if self.busy() > self.limit() {
            return None;
        }
        self.queue.borrow_mut().pop_front()
    }

    fn refused(&self, backpressure: Backpressure) {
        self.refusals.set(self.refusals.get() + 1);
        if backpressure == Backpressure::Balanced {
            self.sizer.borrow_mut().refused(now());
        }
    }

    /// The engine refused a poll; true when outcomes yield in its place.
    pub(crate) fn make_room(&self, backpressure: Backpressure) -> bool {
        backpressure == Backpressure::Balanced && self.sizer.borrow_mut().makes_room(now())
    }

    fn answered(&self, fleet: &Rc<Fleet>, latency: Duration) {
        let waiting = self.queue.borrow().len();
        let mut sizer = self.sizer.borrow_mut();
        let before = sizer.limit();
        sizer.shares(fleet.transport.shares(Kind::Outcomes));
        sizer.answered(latency, waiting, now());
        drop(sizer);
        // A larger limit is used at once: what waits is given to the lanes that it allows.
        for _ in before..self.sizer.borrow().limit() {
            let Some(work) = self.queue.borrow_mut().pop_front() else { break };
            self.push(fleet, work);
        }
    }

    fn nudge_idle(&self) {
        for lane in self.lanes.borrow().iter() {
            lane.look.set(true);
            if let Some(waker) = lane.waker.borrow_mut().take() {
                waker.wake();
            }
        }
    }
}

/// Lets idle lanes close connections that have idled too long.
pub(crate) async fn janitor(fleet: Rc<Fleet>) {
    loop {
        tokio::time::sleep(JANITOR_EVERY).await;
        if fleet.transport.connections(Kind::Outcomes) > 0 {
            fleet.outcomes.nudge_idle();
        }
    }
}

/// Carries work for as long as the core runs; one piece that cannot be borne is given up, and no other.
async fn run(fleet: Rc<Fleet>, lane: Rc<Lane>, index: usize) {
    while let Err(words) = tasks::caught(carry(&fleet, &lane, index)).await {
        fleet.outcomes.idle.borrow_mut().retain(|idle| *idle != index);
        lane.asked_at.set(None);
        let carried = lane.carries.take();
        let so = match carried.and_then(|(id, _)| fleet.name_of(id)) {
            Some(job) => format!("what it had to tell the engine of {job} is given up"),
            None => "another one takes its place".to_owned(),
        };
        fleet.task_failed("outcome connection", &words, &so);
        if let Some((id, renewal)) = carried {
            fleet.forsake(id, renewal);
        }
    }
}

async fn carry(fleet: &Rc<Fleet>, lane: &Lane, index: usize) {
    let mut line = Line::outcomes();
    let mut given = lane.given.borrow_mut().take();
    loop {
        let Some(work) = given.take().or_else(|| fleet.outcomes.next()) else {
            fleet.outcomes.idle.borrow_mut().push(index);
            given = idle(lane, &mut line).await;
            continue;
        };
        lane.asked_at.set(Some(now()));
        lane.carries.set(Some((work.id, work.is_renewal())));
        deliver(fleet, &mut line, work).await;
        lane.carries.set(None);
        lane.asked_at.set(None);
    }
}

/// Waits for work; meanwhile gives up a connection that has idled too long.
async fn idle(lane: &Lane, line: &mut Line) -> Option<Work> {
    loop {
        let work = poll_fn(|cx| {
            if let Some(work) = lane.given.borrow_mut().take() {
                return Poll::Ready(Some(work));
            }
            if lane.look.replace(false) {
                return Poll::Ready(None);
            }
            *lane.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        });
        if let Some(work) = work.await {
            return Some(work);
        }
        line.give_up_stale().await;
    }
}

/// Sends one command and draws the conclusion.
async fn deliver(fleet: &Rc<Fleet>, line: &mut Line, mut work: Work) {
    let (terms, sent_at, header, result) = loop {
        let asked_at = now();
        let Some(terms) = fleet.terms_of(&work, asked_at) else {
            return fleet.conclude(work, Next::Lost);
        };
        let limit = policy::useful_until(&work.command, &work.history, terms, asked_at);
        let authorized = fleet.authorized_before(limit).await;
        let sent_at = now();
        if !authorized || !policy::may_send(&work.command, &work.history, terms, sent_at) {
            return fleet.conclude(work, Next::Expired);
        }
        let mut header = 0;
        let patience = policy::patience(&work.command, terms, sent_at, fleet.settings.answer_limit());
        match exchange(fleet, line, &work, patience, &mut header).await {
            // It had no effect, so it counts as never sent.
            Ok(Verdict::Unauthorized(words)) => {
                work.history.refused += 1;
                if let Some(pause) = fleet.refused(header, &words, work.history.refused) {
                    return fleet.conclude(work, Next::Retry(pause));
                }
            }
            result => break (terms, sent_at, header, result),
        }
    };
    work.history.tries += 1;
    work.history.first_sent.get_or_insert(sent_at);
    let result = match result {
        Ok(verdict) => policy::Result::Answered(verdict),
        Err(SendError::Unsent(message) | SendError::Gone(message)) => {
            fleet.engine_down(&message);
            policy::Result::Unsent
        }
        Err(SendError::Refused(_)) => policy::Result::Unsent,
        Err(SendError::Ambiguous(_) | SendError::Cut(_)) => policy::Result::Unanswered,
    };
    if matches!(result, policy::Result::Answered(Verdict::Backpressure)) {
        fleet.outcomes.refused(fleet.settings.backpressure);
        if work.is_renewal() {
            fleet.permits.borrow_mut().on_backpressure(now());
        }
    } else {
        fleet.outcomes.answered(fleet, now().saturating_sub(sent_at));
    }
    note_health(fleet, &result, header);
    let next = policy::next(&work.command, result, &mut work.history, terms, now());
    fleet.conclude(work, next);
}

fn note_health(fleet: &Rc<Fleet>, result: &policy::Result, header: u64) {
    match result {
        policy::Result::Answered(Verdict::Done | Verdict::Final | Verdict::Rejected { .. }) => {
            fleet.accepted(header);
            fleet.engine_up();
        }
        policy::Result::Answered(Verdict::PathOutage(words) | Verdict::Forbidden(words)) => {
            fleet.engine_down(words);
        }
        _ => {}
    }
}

async fn exchange(
    fleet: &Rc<Fleet>,
    line: &mut Line,
    work: &Work,
    patience: Duration,
    header: &mut u64,
) -> Result<Verdict, SendError> {
    line.ready(&fleet.transport).await?;
    let request = {
        let state = fleet.state.borrow();
        let Some(entry) = state.ledger.get(work.id) else { return Ok(Verdict::Final) };
        fleet.engine.borrow().command(&entry.job, &work.command, !work.history.without_token)
    };
    *header = fleet.gate.borrow().header();
    let answer = line.send(&fleet.transport, &request, patience).await?;
    Ok(fleet.engine.borrow().judge(&work.command, &answer))
}
