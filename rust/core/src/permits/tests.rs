use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn refused_times(times: u32) -> Permits {
    let mut permits = Permits::new(Profile::Balanced, 1);
    for n in 0..times {
        permits.on_backpressure(at(u64::from(n) * 200));
    }
    permits
}

#[test]
fn caps_follow_the_documented_sequence() {
    let caps: Vec<_> = (1..=7).map(|times| refused_times(times).cap()).collect();
    assert_eq!(caps, [12, 9, 5, 3, 2, 1, 1].map(Some));
    assert_eq!(refused_times(2).state(), Severity::Soft);
    assert_eq!(refused_times(3).state(), Severity::Severe);
}

#[test]
fn refusals_that_arrive_together_cut_once() {
    let mut permits = Permits::new(Profile::Balanced, 1);
    for ms in 0..50 {
        permits.on_backpressure(at(1_000 + ms));
    }
    assert_eq!((permits.cap(), permits.refusals()), (Some(12), 50));
}

#[test]
fn legacy_counts_and_never_limits() {
    let mut permits = Permits::new(Profile::Legacy, 1);
    for n in 0..10 {
        permits.on_backpressure(at(n * 200));
    }
    assert_eq!((permits.cap(), permits.refusals(), permits.state()), (None, 10, Severity::Severe));
    assert!((1..200).all(|n| permits.try_acquire(at(2_000)) == Acquire::Granted(n)));
    assert!((permits.batch_scale() - 1.0).abs() < f32::EPSILON);
}

#[test]
fn what_is_urgent_gets_a_permit_whatever_the_cap() {
    let mut permits = refused_times(8);
    assert_eq!(permits.cap(), Some(1));
    let (now, urgent_at) = (at(10_000), at(10_500));
    assert_eq!(permits.try_acquire_by(now, urgent_at), Acquire::Granted(1));
    assert!(matches!(permits.try_acquire_by(now, urgent_at), Acquire::Wait { until } if until <= urgent_at));
    assert_eq!(permits.try_acquire_by(urgent_at, urgent_at), Acquire::Granted(2));
    permits.release();
    permits.release();
    assert_eq!(permits.in_use(), 0);
}

#[test]
fn permits_taken_without_a_cap_count_against_a_later_one() {
    let mut permits = Permits::new(Profile::Balanced, 1);
    for n in 1..=20 {
        assert_eq!(permits.try_acquire(at(0)), Acquire::Granted(n));
    }
    permits.on_backpressure(at(1));
    for _ in 0..8 {
        assert!(matches!(permits.try_acquire(at(2)), Acquire::Wait { .. }));
        permits.release();
    }
    assert!(matches!(permits.try_acquire(at(2)), Acquire::Wait { .. }));
    permits.release();
    assert_eq!(permits.try_acquire(at(2)), Acquire::Granted(12));
}

#[test]
fn a_cap_lets_the_batch_and_the_poll_rate_shrink() {
    let mut scales: Vec<f32> = (0..=6).map(|times| refused_times(times).batch_scale()).collect();
    assert!(scales.iter().all(|scale| *scale > 0.0 && *scale <= 1.0));
    let sorted = scales.clone();
    scales.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(scales, sorted);
    assert_eq!(refused_times(0).poll_gap(), Duration::ZERO);
    assert!(refused_times(6).poll_gap() > refused_times(3).poll_gap());
}

#[test]
fn a_permit_that_never_comes_back_at_the_floor_is_probed_past() {
    let mut permits = refused_times(8);
    let started = at(10_000);
    assert_eq!(permits.try_acquire(started), Acquire::Granted(1));
    let mut waits = 0;
    let mut now = started;
    while let Acquire::Wait { until } = permits.try_acquire(now) {
        now = until;
        waits += 1;
        assert!(waits <= 3);
    }
    assert!(now - started >= at(1_500) && now - started < at(2_500), "{now:?}");
    assert_eq!(permits.in_use(), 2);
}

#[test]
fn the_probe_is_jittered_by_the_seed() {
    let probe = |seed| {
        let mut permits = Permits::new(Profile::Balanced, seed);
        (0..8).for_each(|n| permits.on_backpressure(at(n * 200)));
        permits.try_acquire(at(10_000));
        permits.try_acquire(at(10_002))
    };
    assert_eq!(probe(1), probe(1));
    assert!((2..10).any(|seed| probe(seed) != probe(1)));
}

#[test]
fn quiet_time_lifts_the_cap_in_the_end() {
    let mut permits = refused_times(8);
    let lifted = (2..90).find(|s| {
        permits.on_success(at(s * 1_000));
        permits.cap().is_none()
    });
    assert!(lifted.is_some_and(|s| (33..45).contains(&s)), "{lifted:?}");
}

/// A closed loop of `callers` against an engine that refuses over `limit` requests at once; the share of
/// refused requests and the answered requests per second, over the time from `from` to `to`.
fn against_engine(limit: usize, callers: usize, fixed: Option<usize>, from: u64, to: u64) -> (f64, f64) {
    let (service_us, refuse_us) = (20_000, 1_000);
    let mut permits = Permits::new(Profile::Balanced, 7);
    let mut idle: VecDeque<usize> = (0..callers).collect();
    let mut running: BinaryHeap<Reverse<(u64, usize, bool)>> = BinaryHeap::new();
    let (mut now_us, mut inside, mut good, mut bad) = (0u64, 0usize, 0u64, 0u64);
    while now_us < to * 1_000_000 {
        let mut wake = None;
        while let Some(&caller) = idle.front() {
            match fixed {
                Some(fixed) if running.len() >= fixed => break,
                Some(_) => {}
                None => {
                    if let Acquire::Wait { until } = permits.try_acquire(Duration::from_micros(now_us)) {
                        wake = Some(until);
                        break;
                    }
                }
            }
            idle.pop_front();
            let accepted = inside < limit;
            inside += usize::from(accepted);
            let took = if accepted { service_us + (caller as u64 * 37) % 900 } else { refuse_us };
            running.push(Reverse((now_us + took, caller, accepted)));
        }
        let answer = running.peek().map(|next| next.0.0);
        let timer = wake.map(|until| until.as_micros() as u64 + 1);
        now_us = answer.into_iter().chain(timer).min().unwrap();
        if answer != Some(now_us) {
            continue;
        }
        let Reverse((_, caller, accepted)) = running.pop().unwrap();
        inside -= usize::from(accepted);
        idle.push_back(caller);
        if now_us >= from * 1_000_000 {
            *if accepted { &mut good } else { &mut bad } += 1;
        }
        if fixed.is_none() {
            permits.release();
            let now = Duration::from_micros(now_us);
            if accepted { permits.on_success(now) } else { permits.on_backpressure(now) }
        }
    }
    (bad as f64 / (good + bad) as f64, good as f64 / (to - from) as f64)
}

#[test]
fn refusals_stay_under_five_percent_near_the_best_fixed_cap() {
    let (refused, rate) = against_engine(40, 200, None, 10, 70);
    let (_, best) = against_engine(40, 200, Some(40), 10, 70);
    assert!(refused < 0.05, "{refused}");
    assert!(rate >= 0.8 * best, "{rate} of {best}");
}

proptest! {
    // Each case is a minute of an engine at work.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn converges_for_any_limit_of_the_engine(limit in 2usize..120, surplus in 1usize..100) {
        let (refused, rate) = against_engine(limit, limit + surplus, None, 20, 60);
        let (_, best) = against_engine(limit, limit + surplus, Some(limit), 20, 60);
        prop_assert!(refused < 0.05, "refused {refused}");
        prop_assert!(rate >= 0.6 * best, "{rate} of {best}");
    }
}

proptest! {
    #[test]
    fn never_leaks_and_never_leaves_its_bounds(
        seed: u64,
        legacy: bool,
        steps in prop::collection::vec((0u8..4, 0u64..3_000), 1..400),
    ) {
        let profile = if legacy { Profile::Legacy } else { Profile::Balanced };
        let mut permits = Permits::new(profile, seed);
        let (mut now, mut held, mut refusals) = (Duration::ZERO, 0u32, 0u64);
        for (step, ms) in steps {
            now += at(ms);
            match step {
                0 => match permits.try_acquire(now) {
                    Acquire::Granted(count) => {
                        held += 1;
                        prop_assert_eq!(count, held);
                    }
                    Acquire::Wait { until } => {
                        prop_assert!(!legacy);
                        prop_assert!(until > now);
                    }
                },
                1 if held > 0 => {
                    permits.release();
                    held -= 1;
                }
                2 => permits.on_success(now),
                _ => {
                    permits.on_backpressure(now);
                    refusals += 1;
                }
            }
            prop_assert_eq!(permits.in_use(), held);
            prop_assert_eq!(permits.refusals(), refusals);
            prop_assert!(permits.cap().is_none_or(|cap| (1..10_000_000).contains(&cap)));
            prop_assert!(permits.batch_scale() > 0.0 && permits.batch_scale() <= 1.0);
        }
        while held > 0 {
            permits.release();
            held -= 1;
        }
        let granted = match permits.try_acquire(now) {
            Acquire::Granted(_) => true,
            Acquire::Wait { until } => permits.try_acquire(until) == Acquire::Granted(1),
        };
        prop_assert!(granted, "all permits are back and none is to be had");
    }

    #[test]
    fn recovers_from_the_floor_whatever_came_before(
        seed: u64,
        storm in prop::collection::vec(1u64..2_000, 8..200),
        stuck in 0u32..6,
    ) {
        let mut permits = Permits::new(Profile::Balanced, seed);
        let mut now = Duration::ZERO;
        for ms in storm {
            now += at(ms);
            permits.on_backpressure(now);
        }
        for _ in 0..stuck {
            permits.cap = None;
            permits.try_acquire(now);
            permits.cap = Some(FLOOR);
        }
        let deadline = now + at(300_000);
        while permits.cap().is_some() {
            match permits.try_acquire(now) {
                Acquire::Granted(_) => {
                    now += at(20);
                    permits.release();
                    permits.on_success(now);
                }
                Acquire::Wait { until } => now = until.max(now + at(1)),
            }
            prop_assert!(now < deadline, "still capped at {:?}", permits.cap());
        }
    }
}
