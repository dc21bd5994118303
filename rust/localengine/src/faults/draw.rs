//! Draws a plan for each request from the faults in force.

use std::time::Duration;

use serde::Serialize;

use super::random::Random;
use super::{Fault, FaultKind, Target, answers};
use crate::http::Answer;
use crate::options::Dialect;

/// The faults in force and the state of their luck.
pub(crate) struct Faults {
    rules: Vec<Rule>,
    random: Random,
    /// Requests in service: arrived, not answered, not held.
    pub(crate) in_service: u64,
}

/// A fault with what it did so far.
#[derive(Clone, Debug, Serialize)]
struct Rule {
    #[serde(flatten)]
    fault: Fault,
    seen: u64,
    fired: u64,
}

/// A request as the faults see it.
pub(crate) struct Subject<'a> {
    pub(crate) target: Target,
    pub(crate) job_type: Option<&'a str>,
    pub(crate) dialect: Dialect,
    pub(crate) path: &'a str,
}

/// What happens to one request.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) before: Option<Before>,
    pub(crate) after: Option<After>,
}

/// What happens instead of the effect.
pub(crate) enum Before {
    Refuse(Answer),
    Reset,
    Hang,
}

/// What happens instead of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Reset,
    Hang,
    Truncate,
    CutJson,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), random: Random::new(seed), in_service: 0 }
    }

    /// Replaces all faults; with a seed, the random numbers start again.
    pub(crate) fn set(&mut self, faults: Vec<Fault>, seed: Option<u64>) {
        self.rules = faults.into_iter().map(|fault| Rule { fault, seen: 0, fired: 0 }).collect();
        if let Some(seed) = seed {
            self.random = Random::new(seed);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The faults in force, each with how often it fired.
    pub(crate) fn report(&self) -> impl Serialize + use<> {
        self.rules.clone()
    }

    /// Decides about a request. The first fault that replaces its effect wins, and the first that replaces its
    /// answer; latencies add up.
    pub(crate) fn draw(&mut self, subject: &Subject<'_>) -> Plan {
        let mut plan = Plan::default();
        let in_service = self.in_service;
        for rule in &mut self.rules {
            let fault = &rule.fault;
            let decided = match fault.fault {
                FaultKind::Latency => false,
                FaultKind::ResetAfter | FaultKind::HangAfter | FaultKind::Truncate | FaultKind::CutJson => {
                    plan.before.is_some() || plan.after.is_some()
                }
                FaultKind::Limit => plan.before.is_some() || in_service <= fault.concurrent,
                _ => plan.before.is_some(),
            };
            if decided || !rule.strikes(subject, &mut self.random) {
                continue;
            }
            let fault = &rule.fault;
            match fault.fault {
                FaultKind::Latency => {
                    let late = fault.latency_ms.saturating_add(self.random.up_to(fault.jitter_ms));
                    plan.delay = plan.delay.saturating_add(Duration::from_millis(late));
                }
                FaultKind::ResetBefore => plan.before = Some(Before::Reset),
                FaultKind::HangBefore => plan.before = Some(Before::Hang),
                FaultKind::ResetAfter => plan.after = Some(After::Reset),
                FaultKind::HangAfter => plan.after = Some(After::Hang),
                FaultKind::Truncate => plan.after = Some(After::Truncate),
                FaultKind::CutJson => plan.after = Some(After::CutJson),
                FaultKind::Limit => plan.before = Some(refuse(fault.answer, subject)),
                kind => plan.before = Some(refuse(kind, subject)),
            }
        }
        plan
    }
}

impl Rule {
    fn strikes(&mut self, subject: &Subject<'_>, random: &mut Random) -> bool {
        let fault = &self.fault;
        let concerned = fault.on.iter().any(|target| *target == Target::Any || *target == subject.target)
            && (fault.job_type.is_none() || fault.job_type.as_deref() == subject.job_type)
            && fault.count.is_none_or(|count| self.fired < count);
        if !concerned {
            return false;
        }
        self.seen += 1;
        let strikes =
            self.seen > fault.skip && (fault.probability >= 1.0 || random.unit() < fault.probability);
        self.fired += u64::from(strikes);
        strikes
    }
}

fn refuse(kind: FaultKind, subject: &Subject<'_>) -> Before {
    Before::Refuse(answers::refusal(kind, subject.dialect, subject.target, subject.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: Subject<'_> =
        Subject { target: Target::Complete, job_type: Some("a"), dialect: Dialect::V8_10, path: "/" };

    fn resets(faults: &mut Faults, subject: &Subject<'_>, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| matches!(faults.draw(subject).before, Some(Before::Reset))).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_faults() {
        let fault = Fault::new(FaultKind::ResetBefore).probability(0.3);
        let mut runs = [Faults::new(5), Faults::new(5), Faults::new(6)].map(|mut faults| {
            faults.set(vec![fault.clone()], None);
            resets(&mut faults, &COMPLETE, 1000)
        });
        let struck = runs[0].iter().filter(|struck| **struck).count();
        assert!((200..400).contains(&struck), "{struck}");
        runs.sort();
        assert!(runs[0] == runs[1] || runs[1] == runs[2]);
        assert_ne!(runs[0], runs[2]);
    }

    #[test]
    fn a_fault_lets_some_through_then_strikes_its_count_then_is_spent() {
        let mut faults = Faults::new(1);
        faults.set(vec![Fault::new(FaultKind::ResetBefore).skip(2).times(1)], None);
        assert_eq!(resets(&mut faults, &COMPLETE, 5), [false, false, true, false, false]);
    }

    #[test]
    fn a_fault_concerns_its_requests_and_its_type_only() {
        let mut faults = Faults::new(1);
        faults.set(vec![Fault::new(FaultKind::ResetBefore).on([Target::Fail]).job_type("a")], None);
        let fail = Subject { target: Target::Fail, ..COMPLETE };
        let other = Subject { job_type: Some("b"), ..fail };
        assert_eq!(resets(&mut faults, &COMPLETE, 1), [false]);
        assert_eq!(resets(&mut faults, &other, 1), [false]);
        assert_eq!(resets(&mut faults, &fail, 1), [true]);
    }

    #[test]
    fn a_limit_refuses_only_beyond_its_number() {
        let mut faults = Faults::new(1);
        faults.set(vec![Fault::limit(2), Fault::latency(5, 0)], None);
        for (in_service, refused) in [(1, false), (2, false), (3, true)] {
            faults.in_service = in_service;
            let plan = faults.draw(&COMPLETE);
            assert_eq!(matches!(plan.before, Some(Before::Refuse(_))), refused, "{in_service}");
            assert_eq!(plan.delay, Duration::from_millis(5));
        }
    }
}
