use proptest::prelude::*;

use super::*;

const EPOCH_MS: i64 = 1_795_253_033_813;
const LEASE: Duration = Duration::from_secs(60);
const HOLD: Duration = Duration::from_secs(10);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An engine whose clock is `offset_ms` ahead of the local one.
#[derive(Clone, Copy)]
struct EngineClock {
    offset_ms: i64,
}

impl EngineClock {
    fn deadline(self, activated: Duration) -> i64 {
        i64::try_from(activated.as_millis()).unwrap() + self.offset_ms + 60_000
    }
}

fn clock_after(engine: EngineClock, answers: &[(u64, u64, u64)]) -> LeaseClock {
    let mut clock = LeaseClock::new();
    for &(sent, activated, received) in answers {
        clock.observe(at(sent), at(received), engine.deadline(at(activated)), LEASE);
    }
    clock
}

#[test]
fn without_bounds_the_hold_is_taken_off_the_lease() {
    let end = LeaseClock::new().local_end(EPOCH_MS, LEASE, at(100_000), HOLD);
    assert_eq!(end, at(100_000 + 60_000 - 11_000));
}

#[test]
fn without_bounds_half_of_a_short_lease_remains() {
    let end = LeaseClock::new().local_end(EPOCH_MS, Duration::from_secs(8), at(100_000), HOLD);
    assert_eq!(end, at(104_000));
}

#[test]
fn a_quick_answer_gives_the_end_within_its_round_trip_whatever_the_skew() {
    for offset_ms in [EPOCH_MS, EPOCH_MS + 3_600_000, EPOCH_MS - 3_600_000, 0] {
        let engine = EngineClock { offset_ms };
        let clock = clock_after(engine, &[(50_000, 50_001, 50_003)]);
        let end = clock.local_end(engine.deadline(at(50_001)), LEASE, at(50_003), HOLD);
        assert!(end <= at(110_001) && end >= at(110_001 - 5), "{end:?}");
    }
}

#[test]
fn a_job_of_a_held_poll_has_nearly_all_its_lease_once_the_clock_is_known() {
    let engine = EngineClock { offset_ms: EPOCH_MS };
    let clock = clock_after(engine, &[(50_000, 50_001, 50_003), (50_010, 59_990, 59_992)]);
    let end = clock.local_end(engine.deadline(at(59_990)), LEASE, at(59_992), HOLD);
    assert!(end <= at(119_990) && end > at(119_950), "{end:?}");
}

#[test]
fn a_held_poll_alone_does_not_expire_its_job_on_arrival() {
    let engine = EngineClock { offset_ms: EPOCH_MS };
    let clock = clock_after(engine, &[(50_000, 59_998, 60_000)]);
    let end = clock.local_end(engine.deadline(at(59_998)), LEASE, at(60_000), HOLD);
    assert_eq!(end, at(60_000 + 60_000 - 10_001));
    let short = Duration::from_secs(8);
    let deadline = engine.deadline(at(59_998)) - 52_000;
    assert!(LeaseClock::new().local_end(deadline, short, at(60_000), HOLD) >= at(64_000));
}

#[test]
fn an_answer_that_was_delayed_on_its_way_does_not_lengthen_the_lease() {
    let engine = EngineClock { offset_ms: EPOCH_MS };
    let clock = clock_after(engine, &[(50_000, 50_001, 50_002), (51_000, 51_001, 96_000)]);
    let end = clock.local_end(engine.deadline(at(51_001)), LEASE, at(96_000), HOLD);
    assert!(end <= at(111_001) && end > at(110_900), "{end:?}");
}

#[test]
fn a_stepped_engine_clock_replaces_the_bounds() {
    let before = EngineClock { offset_ms: EPOCH_MS };
    let mut clock = clock_after(before, &[(50_000, 50_001, 50_002)]);
    let after = EngineClock { offset_ms: EPOCH_MS + 3_600_000 };
    clock.observe(at(60_000), at(60_004), after.deadline(at(60_001)), LEASE);
    assert_eq!(clock.steps(), 1);
    let end = clock.local_end(after.deadline(at(60_001)), LEASE, at(60_004), HOLD);
    assert!(end <= at(120_001) && end > at(119_990), "{end:?}");
}

#[test]
fn brokers_that_differ_by_milliseconds_are_all_believed() {
    let first = EngineClock { offset_ms: EPOCH_MS };
    let second = EngineClock { offset_ms: EPOCH_MS + 40 };
    let mut clock = LeaseClock::new();
    for round in 0..20 {
        let sent = 50_000 + round * 10;
        for engine in [first, second] {
            clock.observe(at(sent), at(sent + 1), engine.deadline(at(sent)), LEASE);
        }
    }
    assert_eq!(clock.steps(), 0);
    let activated = at(51_000);
    for engine in [first, second] {
        let end = clock.local_end(engine.deadline(activated), LEASE, activated, HOLD);
        assert!(end <= activated + LEASE && end > activated + LEASE - at(150), "{end:?}");
    }
}

#[test]
fn knowledge_fades_slowly() {
    let clock = clock_after(EngineClock { offset_ms: EPOCH_MS }, &[(50_000, 50_001, 50_002)]);
    let fresh = clock.uncertainty(at(50_002)).unwrap();
    let old = clock.uncertainty(at(50_002 + 600_000)).unwrap();
    assert!(fresh <= at(3) && old > at(1_000) && old < at(1_500), "{fresh:?} {old:?}");
}

#[test]
fn rubbish_deadlines_are_survived() {
    let mut clock = LeaseClock::new();
    for deadline in [i64::MIN, i64::MAX, 0, EPOCH_MS, -1] {
        clock.observe(at(5_000), at(5_001), deadline, LEASE);
        clock.observe(at(6_000), at(5_001), deadline, Duration::MAX);
        let end = clock.local_end(deadline, LEASE, at(5_001), Duration::MAX);
        assert!(end <= at(65_001));
    }
}

proptest! {
    /// Whatever the skew, the drift and the delays, a trusted end is never later than the true one.
    #[test]
    fn a_known_clock_never_ends_a_lease_too_late(
        offset_ms in -4_000_000_000i64..4_000_000_000_000,
        drift_ppm in -400i64..400,
        polls in prop::collection::vec((0u64..30_000, 0u64..400, 0u64..400), 2..60),
    ) {
        let deadline = |activated_us: i64| {
            (activated_us + activated_us * drift_ppm / 1_000_000).div_euclid(1_000) + offset_ms + 60_000
        };
        let mut clock = LeaseClock::new();
        let mut now_us = 1_000_000u64;
        for (pause_ms, to_engine, from_engine) in polls {
            let sent = now_us + pause_ms * 1_000;
            let activated = sent + to_engine * 100;
            let received = activated + from_engine * 100;
            now_us = received;
            let answer = deadline(activated as i64);
            clock.observe(Duration::from_micros(sent), Duration::from_micros(received), answer, LEASE);
            let end = clock.local_end(answer, LEASE, Duration::from_micros(received), HOLD);
            // The engine's clock runs fast by at most 400 ppm of the lease, which no past answer can tell.
            let true_end = Duration::from_micros(activated) + LEASE;
            prop_assert!(end <= true_end + at(1) + LEASE / 2_500, "{end:?} after {true_end:?}");
            prop_assert!(end + at(200) >= true_end.min(Duration::from_micros(sent) + LEASE), "{end:?} far before {true_end:?}");
        }
        prop_assert_eq!(clock.steps(), 0);
    }
}
