//! Poison: which jobs ran while worker processes died, and what follows for each. Sans-I/O; time is an argument.
//!
//! Whoever ran in a process that died is a suspect. From the second death on a suspect runs alone, so that the
//! next death tells whose fault it was: only a death alone convicts, and bystanders are cleared by their outcome.

use std::time::Duration;

use rustc_hash::FxHashMap;

/// Suspects beyond this many push out the one that has been quiet for longest.
const MOST_SUSPECTS: usize = 1024;

/// A suspicion ends after this time without another death.
const MEMORY: Duration = Duration::from_secs(3600);

/// Deaths after which a suspect runs alone.
const ALONE_AFTER: u32 = 2;

/// Deaths that a message tells of, and the longest words for one.
const MOST_TOLD: usize = 8;
const LONGEST_CAUSE: usize = 300;

/// What the user wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The death that convicts, if the job ran alone; zero never convicts.
    pub(crate) convict_after: u32,
    /// Every death costs a retry, the first one and the last retry included.
    pub(crate) charge_every: bool,
}

/// A death of a worker process while a job ran in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death<'a> {
    /// The words of the death: the process, and its signal or status.
    pub(crate) cause: &'a str,
    /// Nothing else ran in the process.
    pub(crate) alone: bool,
    /// The retries that the job had when it was activated.
    pub(crate) retries: i32,
    /// It counts against the job and not against the pool.
    pub(crate) blamed: bool,
}

/// What becomes of a job after a death.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// Handed back with unchanged retries.
    HandBack,
    /// Failed with so many retries left.
    Charge(i32),
    /// Failed with no retries left, with these words; so many of its deaths have counted against the pool.
    Convict { words: String, cleared: u32 },
}

#[derive(Debug, Default)]
struct Suspect {
    count: u32,
    /// Those that have counted against the pool, as nobody was to blame yet.
    unblamed: u32,
    causes: Vec<String>,
    last: Duration,
}

/// The suspects of one fleet.
#[derive(Debug)]
pub(crate) struct Poison {
    rules: Rules,
    suspects: FxHashMap<Box<str>, Suspect>,
    convicted: u64,
}

impl Poison {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, suspects: FxHashMap::default(), convicted: 0 }
    }

    /// Whether there is nobody to ask about; the data path looks no further then.
    pub(crate) fn is_empty(&self) -> bool {
        self.suspects.is_empty()
    }

    /// How many jobs are suspects now.
    pub(crate) fn len(&self) -> usize {
        self.suspects.len()
    }

    /// How many jobs were convicted since the start.
    pub(crate) fn convicted(&self) -> u64 {
        self.convicted
    }

    /// Whether this job has to run alone.
    pub(crate) fn is_solitary(&self, key: &str, now: Duration) -> bool {
        let least = ALONE_AFTER.min(self.rules.convict_after.max(1));
        self.suspects.get(key).is_some_and(|suspect| suspect.count >= least && !suspect.is_old(now))
    }

    /// The job came to an outcome without a death.
    pub(crate) fn acquit(&mut self, key: &str) {
        self.suspects.remove(key);
    }

    /// A worker process died while the job ran.
    pub(crate) fn died(&mut self, key: &str, death: Death<'_>, now: Duration) -> Sentence {
        self.suspects.retain(|_, suspect| !suspect.is_old(now));
        self.make_room(key);
        let suspect = self.suspects.entry(key.into()).or_default();
        suspect.add(death.cause, now);
        suspect.unblamed += u32::from(!death.blamed);
        let (count, left) = (suspect.count, death.retries.saturating_sub(1).max(0));
        let proven = death.alone && self.rules.convict_after > 0 && count >= self.rules.convict_after;
        let charged = self.rules.charge_every || count >= ALONE_AFTER;
        // A bystander may be charged, but its last retry would be a conviction.
        let spent = charged && left == 0 && (self.rules.charge_every || death.alone);
        if proven || spent {
            let (words, cleared) = (suspect.words(death.alone), suspect.unblamed);
            self.suspects.remove(key);
            self.convicted += 1;
            return Sentence::Convict { words, cleared };
        }
        if charged && left > 0 { Sentence::Charge(left) } else { Sentence::HandBack }
    }

    fn make_room(&mut self, key: &str) {
        if self.suspects.len() < MOST_SUSPECTS || self.suspects.contains_key(key) {
            return;
        }
        let oldest = self.suspects.iter().min_by_key(|(_, suspect)| suspect.last);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            self.suspects.remove(&oldest);
        }
    }
}

impl Suspect {
    fn is_old(&self, now: Duration) -> bool {
        now.saturating_sub(self.last) >= MEMORY
    }

    fn add(&mut self, cause: &str, now: Duration) {
        self.count = self.count.saturating_add(1);
        self.last = now;
        if self.causes.len() == MOST_TOLD {
            self.causes.remove(0);
        }
        self.causes.push(cause.chars().take(LONGEST_CAUSE).collect());
    }

    fn words(&self, alone: bool) -> String {
        let times = if self.count == 1 {
            "1 worker process".into()
        } else {
            format!("{} worker processes", self.count)
        };
        let last = match (alone, self.count) {
            (false, _) => "",
            (true, 1) => ", with nothing else in it",
            (true, _) => ", the last one with nothing else in it",
        };
        let told = self.causes.iter().enumerate().map(|(index, cause)| format!("({}) {cause}", index + 1));
        let told: Vec<String> = told.collect();
        format!("poison: {times} died while running this job{last}: {}", told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(100);

    fn poison(convict_after: u32, charge_every: bool) -> Poison {
        Poison::new(Rules { convict_after, charge_every })
    }

    fn death(cause: &str, alone: bool, retries: i32) -> Death<'_> {
        Death { cause, alone, retries, blamed: false }
    }

    #[test]
    fn the_third_death_convicts_a_job_that_ran_alone_and_lists_all_of_them() {
        let mut poison = poison(3, false);
        assert_eq!(poison.died("7", death("a", false, 9), NOW), Sentence::HandBack);
        assert!(!poison.is_solitary("7", NOW));
        assert_eq!(poison.died("7", death("b", false, 9), NOW), Sentence::Charge(8));
        assert!(poison.is_solitary("7", NOW));
        let last = Death { blamed: true, ..death("c", true, 8) };
        let Sentence::Convict { words, cleared } = poison.died("7", last, NOW) else { panic!() };
        assert_eq!(cleared, 2, "the last one never counted against the pool");
        assert_eq!(
            words,
            "poison: 3 worker processes died while running this job, the last one with nothing else in it: \
             (1) a; (2) b; (3) c"
        );
        assert!(poison.is_empty());
        assert_eq!(poison.convicted(), 1);
    }

    #[test]
    fn the_last_retry_convicts_only_a_job_that_ran_alone() {
        let mut poison = poison(9, false);
        poison.died("7", death("a", false, 1), NOW);
        assert_eq!(poison.died("7", death("b", false, 1), NOW), Sentence::HandBack);
        assert!(matches!(poison.died("7", death("c", true, 1), NOW), Sentence::Convict { .. }));
    }

    #[test]
    fn with_every_death_charged_the_first_one_costs_a_retry_and_the_last_retry_too() {
        let mut poison = poison(0, true);
        assert_eq!(poison.died("7", death("a", false, 2), NOW), Sentence::Charge(1));
        assert!(matches!(poison.died("7", death("b", false, 1), NOW), Sentence::Convict { .. }));
    }

    #[test]
    fn a_job_that_comes_to_an_outcome_is_no_suspect_any_more() {
        let mut poison = poison(3, false);
        poison.died("7", death("a", true, 3), NOW);
        poison.died("7", death("b", true, 3), NOW);
        poison.acquit("7");
        assert!(!poison.is_solitary("7", NOW));
        assert_eq!(poison.died("7", death("c", true, 3), NOW), Sentence::HandBack);
    }

    #[test]
    fn a_suspicion_ends_after_an_hour() {
        let mut poison = poison(3, false);
        poison.died("7", death("a", true, 3), NOW);
        poison.died("7", death("b", true, 3), NOW);
        assert!(!poison.is_solitary("7", NOW + MEMORY));
        assert_eq!(poison.died("7", death("c", true, 3), NOW + MEMORY), Sentence::HandBack);
    }

    #[test]
    fn the_first_death_alone_convicts_where_one_is_enough() {
        let mut poison = poison(1, false);
        assert_eq!(poison.died("7", death("a", false, 3), NOW), Sentence::HandBack);
        assert!(poison.is_solitary("7", NOW));
        assert!(matches!(poison.died("7", death("b", true, 3), NOW), Sentence::Convict { .. }));
    }

    proptest! {
        #[test]
        fn bystanders_are_never_convicted(
            deaths in proptest::collection::vec((0u8..40, 1i32..4), 0..300),
            convict_after in 0u32..6,
        ) {
            let mut poison = poison(convict_after, false);
            for (index, (key, retries)) in deaths.into_iter().enumerate() {
                let now = NOW + Duration::from_secs(index as u64);
                let sentence = poison.died(&key.to_string(), death("x", false, retries), now);
                prop_assert!(!matches!(sentence, Sentence::Convict { .. }), "{sentence:?}");
                prop_assert!(!matches!(sentence, Sentence::Charge(left) if left < 1 || left >= retries));
            }
        }

        #[test]
        fn a_job_that_always_kills_is_convicted_by_its_count_or_its_retries(
            convict_after in 1u32..6, shared in 0usize..3, retries in 1i32..9,
        ) {
            let mut poison = poison(convict_after, false);
            let (mut left, mut runs) = (retries, 0);
            loop {
                runs += 1;
                let alone = poison.is_solitary("k", NOW) || runs > shared;
                match poison.died("k", death("x", alone, left), NOW) {
                    Sentence::HandBack => {}
                    Sentence::Charge(next) => left = next,
                    Sentence::Convict { .. } => break,
                }
                prop_assert!(runs <= 10, "never convicted");
            }
        }

        #[test]
        fn the_number_of_suspects_is_bounded(keys in proptest::collection::vec(any::<u16>(), 0..3000)) {
            let mut poison = poison(3, false);
            for (index, key) in keys.iter().enumerate() {
                poison.died(&key.to_string(), death("x", false, 3), NOW + Duration::from_millis(index as u64));
                prop_assert!(poison.len() <= MOST_SUSPECTS);
                prop_assert!(poison.suspects.contains_key(key.to_string().as_str()));
            }
        }
    }
}
