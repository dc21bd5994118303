//! The words of the account, each by the story that makes it count and the one that does not.

use crate::account::Account;
use crate::store::*;

const ENDING: Ending<'_> =
    Ending { state: "ended", variables: None, result: None, error_code: None, message: None };

/// A store with one job, and the times and numbers that its stories need.
struct Story {
    store: Store,
    key: u64,
    now: u64,
    fenced: bool,
}

impl Story {
    fn new(fenced: bool) -> Self {
        let mut store = Store::new();
        let (key, _) = store.add(&NewJobs::new("a", 1));
        Self { store, key, now: 1_000, fenced }
    }

    /// Activates the job for 100 ms; returns the batch and the activation's number.
    fn activate(&mut self) -> (Rc<Batch>, u64) {
        let pick = Pick {
            job_type: "a",
            tenants: &[],
            max: 1,
            lease_ms: 100,
            worker: "w".into(),
            with_lease: self.fenced,
            lease_only_too: true,
        };
        let mut seq = 0;
        let batch = self.store.activate(&pick, self.now, |view| {
            seq = view.seq;
            Admit::Taken
        });
        (batch.unwrap(), seq)
    }

    /// Activates and delivers; returns the activation's number.
    fn hold(&mut self) -> u64 {
        let (batch, seq) = self.activate();
        self.store.delivered(&batch);
        seq
    }

    fn settle(&mut self, seq: u64, outcome: Outcome<'_>) -> (Result<(), Refusal>, Mark) {
        let fence = if self.fenced { Fence::Seq(seq) } else { Fence::None };
        let settled = self.store.settle(self.key, fence, self.fenced, outcome, self.now);
        (settled.result, settled.mark)
    }

    fn complete(&mut self, seq: u64) -> (Result<(), Refusal>, Mark) {
        self.settle(seq, Outcome::Complete(ENDING))
    }

    fn hand_back(&mut self, seq: u64) -> (Result<(), Refusal>, Mark) {
        let failure = Failure { retries: 3, backoff_ms: 0, message: Some("why"), variables: None };
        self.settle(seq, Outcome::Fail(failure))
    }

    fn wait(&mut self, ms: u64, worker_lives: bool) {
        self.now += ms;
        self.store.sweep(self.now, |_| worker_lives);
    }

    fn account(&self) -> Account {
        self.store.account()
    }
}

#[test]
fn a_second_answered_outcome_is_settled_twice() {
    for fenced in [false, true] {
        let mut story = Story::new(fenced);
        let seq = story.hold();
        assert_eq!(story.complete(seq).0, Ok(()));
        assert_eq!(story.account().settled_twice, 0);
        assert_eq!(story.complete(seq).0, Err(Refusal::NotFound));
        assert_eq!(story.account().settled_twice, 1, "fenced {fenced}");
    }
}

#[test]
fn repeating_an_outcome_whose_answer_was_cut_off_is_not() {
    for fenced in [false, true] {
        let mut story = Story::new(fenced);
        let seq = story.hold();
        for _ in 0..3 {
            let (_, mark) = story.complete(seq);
            story.store.cut_after(mark);
        }
        assert_eq!(story.complete(seq).0, Err(Refusal::NotFound));
        assert_eq!(story.account().settled_twice, 0, "fenced {fenced}");
        let _ = story.complete(seq);
        assert_eq!(story.account().settled_twice, 1, "fenced {fenced}");
    }
}

#[test]
fn an_outcome_after_an_answered_hand_back_is_settled_twice() {
    for fenced in [false, true] {
        let mut story = Story::new(fenced);
        let seq = story.hold();
        assert_eq!(story.hand_back(seq).0, Ok(()));
        assert_eq!(story.complete(seq).0, Ok(()), "nobody else holds the job: the engine takes it");
        assert_eq!(story.account().settled_twice, 1, "fenced {fenced}");
    }
}

#[test]
fn without_tokens_each_of_two_activations_may_be_answered_once() {
    let mut story = Story::new(false);
    let first = story.hold();
    story.wait(100, true);
    let second = story.hold();
    assert_eq!(story.complete(first).0, Ok(()), "no fencing: the stale holder settles the job");
    assert_eq!(story.complete(second).0, Err(Refusal::NotFound));
    assert_eq!(story.account().settled_twice, 0);
    let _ = story.complete(second);
    assert_eq!(story.account().settled_twice, 1);
}

#[test]
fn a_stale_token_is_refused_and_foreign_while_another_holds_the_job() {
    let mut story = Story::new(true);
    let first = story.hold();
    story.wait(100, true);
    let second = story.hold();
    assert_eq!(story.complete(first).0, Err(Refusal::Fenced));
    assert_eq!((story.account().foreign, story.account().settled_twice), (1, 0));
    assert_eq!(story.complete(first).0, Err(Refusal::Fenced));
    assert_eq!((story.account().foreign, story.account().settled_twice), (2, 1));
    assert_eq!(story.complete(second).0, Ok(()));
    assert_eq!(story.account().completed, 1);
}

#[test]
fn a_late_completion_is_taken_while_nobody_else_activated_the_job() {
    for fenced in [false, true] {
        let mut story = Story::new(fenced);
        let seq = story.hold();
        story.wait(100, true);
        assert_eq!(story.complete(seq).0, Ok(()));
        let Account { completed, settled_twice, foreign, expired, .. } = story.account();
        assert_eq!((completed, settled_twice, foreign, expired), (1, 0, 0, 1));
    }
}

#[test]
fn repeating_a_cut_hand_back_with_its_token_is_neither_foreign_nor_twice() {
    let mut story = Story::new(true);
    let first = story.hold();
    let (_, mark) = story.hand_back(first);
    story.store.cut_after(mark);
    story.hold();
    assert_eq!(story.hand_back(first).0, Err(Refusal::Fenced));
    let Account { foreign, settled_twice, undelivered, .. } = story.account();
    assert_eq!((foreign, settled_twice, undelivered), (0, 0, 1));
    let _ = story.hand_back(first);
    assert_eq!((story.account().foreign, story.account().settled_twice), (1, 1));
}

#[test]
fn a_leased_job_refuses_a_command_without_a_token_and_skips_pollers_without_a_lease() {
    let mut story = Story::new(true);
    story.hold();
    let settled = story.store.settle(story.key, Fence::None, true, Outcome::Complete(ENDING), story.now);
    assert_eq!(settled.result, Err(Refusal::Fenced));
    story.wait(100, true);
    let pick = Pick {
        job_type: "a",
        tenants: &[],
        max: 1,
        lease_ms: 100,
        worker: "w".into(),
        with_lease: false,
        lease_only_too: false,
    };
    assert!(story.store.activate(&pick, story.now, |_| Admit::Taken).is_none());
}

#[test]
fn a_lease_that_ends_under_a_living_worker_is_expired() {
    let mut story = Story::new(false);
    story.hold();
    story.wait(99, true);
    assert_eq!(story.account().expired, 0);
    story.wait(1, true);
    let Account { expired, excused, waiting, .. } = story.account();
    assert_eq!((expired, excused, waiting), (1, 0, 1));
    let defects: Vec<_> = story.store.defects().map(|defect| (defect.key, defect.worker.as_str())).collect();
    assert_eq!(defects, [(story.key, "w")]);
}

#[test]
fn a_lease_is_excused_when_its_worker_left_or_a_fault_cut_off_a_command() {
    let mut left = Story::new(false);
    left.hold();
    left.wait(100, false);
    assert_eq!((left.account().expired, left.account().excused), (0, 1));

    let mut cut = Story::new(false);
    cut.hold();
    cut.store.cut_before(cut.key, Fence::None, false);
    cut.wait(100, true);
    let Account { expired, excused, undelivered, .. } = cut.account();
    assert_eq!((expired, excused, undelivered), (0, 1, 0));
}

#[test]
fn an_answer_or_a_hand_back_that_was_cut_off_is_undelivered_once() {
    let mut story = Story::new(false);
    let (batch, _) = story.activate();
    story.store.undelivered(&batch, false);
    story.wait(100, true);
    story.hold();
    story.store.cut_before(story.key, Fence::None, true);
    story.store.cut_before(story.key, Fence::None, true);
    story.wait(100, true);
    let Account { expired, excused, undelivered, in_flight, .. } = story.account();
    assert_eq!((expired, excused, undelivered, in_flight), (0, 0, 2, 0));
}

#[test]
fn a_hand_back_that_was_cut_off_twice_is_undelivered_once() {
    let mut story = Story::new(false);
    let seq = story.hold();
    story.store.cut_before(story.key, Fence::None, true);
    let (_, mark) = story.hand_back(seq);
    story.store.cut_after(mark);
    assert_eq!(story.account().undelivered, 1);
}

#[test]
fn jobs_of_a_lost_answer_are_activatable_at_once_where_the_server_notices() {
    let mut story = Story::new(true);
    let (batch, first) = story.activate();
    story.store.undelivered(&batch, true);
    assert_eq!(story.account().waiting, 1);
    let second = story.hold();
    assert_ne!(first, second);
    assert_eq!(story.complete(second).0, Ok(()));
    assert_eq!(story.account().in_flight, 0);
}

#[test]
fn hand_backs_are_counted_apart_and_so_are_those_without_a_reason() {
    let mut story = Story::new(false);
    let seq = story.hold();
    let _ = story.hand_back(seq);
    let seq = story.hold();
    let mute = |retries| Failure { retries, backoff_ms: 0, message: Some(""), variables: None };
    let _ = story.settle(seq, Outcome::Fail(mute(3)));
    let seq = story.hold();
    let _ = story.settle(seq, Outcome::Fail(mute(2)));
    let Account { failed, handed_back, unexplained, .. } = story.account();
    assert_eq!((failed, handed_back, unexplained), (3, 2, 1));
}

#[test]
fn commands_from_before_a_reset_count_nowhere() {
    for fenced in [false, true] {
        let mut story = Story::new(fenced);
        let seq = story.hold();
        story.store.reset();
        assert_eq!(story.complete(seq).0, Err(Refusal::NotFound));
        assert_eq!(story.account(), Account::default());
    }
}

#[test]
fn a_cut_renewal_excuses_its_own_activation_only() {
    let mut story = Story::new(true);
    let stale = story.hold();
    story.wait(100, true);
    let seq = story.hold();
    story.store.cut_before(story.key, Fence::Seq(stale), false);
    story.wait(100, true);
    assert_eq!((story.account().expired, story.account().excused), (2, 0));
    let renewal = Change { timeout_ms: Some(50), ..Change::default() };
    let last = story.hold();
    assert_ne!(seq, last);
    let settled = story.store.update(story.key, Fence::Seq(last), renewal, story.now);
    story.store.cut_after(settled.mark);
    story.wait(50, true);
    assert_eq!((story.account().expired, story.account().excused), (2, 1));
}

#[test]
fn settled_jobs_with_long_leases_leave_nothing_behind() {
    let mut store = Store::new();
    store.add_endless(&NewJobs::new("a", 1));
    let pick = Pick {
        job_type: "a",
        tenants: &[],
        max: 1,
        lease_ms: 3_600_000,
        worker: "w".into(),
        with_lease: false,
        lease_only_too: true,
    };
    for _ in 0..20_000 {
        let mut key = 0;
        let batch = store.activate(&pick, 0, |view| {
            key = view.key;
            Admit::Taken
        });
        store.delivered(&batch.unwrap());
        store.settle(key, Fence::None, false, Outcome::Complete(ENDING), 0);
    }
    assert_eq!(store.account().completed, 20_000);
    assert!(store.timers.len() < 2_000, "{}", store.timers.len());
    assert!(store.jobs.is_empty());
}
