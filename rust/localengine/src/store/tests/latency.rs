//! Which completions count in which latency.

use crate::store::*;

const ENDING: Ending<'_> =
    Ending { state: "ended", variables: None, result: None, error_code: None, message: None };

fn activate(store: &mut Store) -> u64 {
    let pick = Pick {
        job_type: "a",
        tenants: &[],
        max: 1,
        lease_ms: 100,
        worker: "w".into(),
        with_lease: false,
        lease_only_too: true,
    };
    let mut key = 0;
    store.activate(&pick, 0, |view| {
        key = view.key;
        Admit::Taken
    });
    key
}

fn counts(store: &Store) -> (u64, u64) {
    let report = serde_json::to_value(store.latency()).unwrap();
    let count = |name: &str| report[name]["count"].as_u64().unwrap();
    (count("available_us"), count("held_us"))
}

#[test]
fn only_a_first_holder_tells_how_long_a_job_was_available() {
    let mut store = Store::new();
    store.add(&NewJobs::new("a", 2));
    let first = activate(&mut store);
    store.settle(first, Fence::None, false, Outcome::Complete(ENDING), 0).result.unwrap();
    assert_eq!(counts(&store), (1, 1));
    let second = activate(&mut store);
    let back = Failure { retries: 3, backoff_ms: 0, message: None, variables: None };
    store.settle(second, Fence::None, false, Outcome::Fail(back), 0).result.unwrap();
    assert_eq!(activate(&mut store), second);
    store.settle(second, Fence::None, false, Outcome::Complete(ENDING), 0).result.unwrap();
    assert_eq!(counts(&store), (1, 2));
    store.reset();
    assert_eq!(counts(&store), (0, 0));
}

#[test]
fn jobs_that_are_made_up_on_demand_were_never_available() {
    let mut store = Store::new();
    store.add_endless(&NewJobs::new("a", 1));
    let key = activate(&mut store);
    store.settle(key, Fence::None, false, Outcome::Complete(ENDING), 0).result.unwrap();
    assert_eq!(counts(&store), (0, 1));
}
