//! Version: keeps what is known of the engine's version true while the engine is upgraded or replaced under way.
//! It is asked for at the start, then now and then, and whenever an answer hints that it has changed.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::fleet::{Fleet, backoff};
use crate::tasks::Pulse;
use crate::transport::{Line, SendError};

/// An upgrade that nothing hints at is noticed within this time; one small request costs nothing at this pace.
const AGAIN: Duration = Duration::from_secs(60);

/// Hints come in bursts, one for each poll that was cut off: they ask no more often than this.
const NO_OFTENER: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Asks for the engine's version until the fleet activates no more.
pub(crate) async fn watch(fleet: Rc<Fleet>, pulse: Rc<Pulse>) {
    let mut failures = 0u32;
    while fleet.activating.get() {
        let asked_at = Instant::now();
        let learnt = ask(&fleet, &pulse).await;
        pulse.rest();
        fleet.version_asked.send_replace(true);
        match learnt {
            Ok(()) => {
                failures = 0;
                fleet.engine_up();
                let _ = timeout(fleet.jittered(AGAIN), fleet.relearn.notified()).await;
                sleep(NO_OFTENER.saturating_sub(asked_at.elapsed())).await;
            }
            Err(unknown) => {
                failures += 1;
                unknown.tell(&fleet);
                sleep(fleet.jittered(backoff(failures, LONGEST_PAUSE))).await;
            }
        }
    }
}

/// Why the version is unknown.
enum Unknown {
    /// Nothing answers.
    Unreachable(String),
    /// Something answers otherwise. Credentials that may not read the version may well do for jobs.
    Refused(String),
}

impl Unknown {
    fn tell(&self, fleet: &Fleet) {
        let works = fleet.is_up();
        match self {
            Self::Refused(_) if works => {}
            Self::Unreachable(message) | Self::Refused(message) => fleet.engine_down(message),
        }
    }
}

async fn ask(fleet: &Rc<Fleet>, pulse: &Rc<Pulse>) -> Result<(), Unknown> {
    fleet.authorized_to_poll().await;
    let request = fleet.engine.borrow().probe();
    let mut line = Line::outcomes().watched(Rc::clone(pulse));
    let mut header = 0;
    let answer = async {
        line.ready(&fleet.transport).await?;
        header = fleet.gate.borrow().header();
        line.send(&fleet.transport, &request, fleet.settings.answer_limit() / 2).await
    };
    match answer.await {
        Ok(answer) => {
            let learnt = fleet.engine.borrow_mut().learn(&answer);
            match &learnt {
                Ok(()) => fleet.accepted(header),
                Err(message) if answer.status == 401 => {
                    fleet.refused(header, message, 1);
                }
                Err(_) => {}
            }
            learnt.map_err(Unknown::Refused)
        }
        Err(SendError::Cut(_)) => {
            Err(Unknown::Unreachable("the answer to the version request broke off".to_owned()))
        }
        Err(
            SendError::Unsent(message)
            | SendError::Gone(message)
            | SendError::Refused(message)
            | SendError::Ambiguous(message),
        ) => Err(Unknown::Unreachable(message)),
    }
}

impl Fleet {
    /// Something hints that the engine is not of the version that is known.
    pub(crate) fn suspect_version(&self) {
        self.relearn.notify_one();
    }

    /// Waits until the version has been asked for once. What a poll asks for depends on it, and one that does
    /// not ask for tokens is not given jobs that were once leased with one.
    pub(crate) async fn version_asked(&self) {
        let mut asked = self.version_asked.subscribe();
        // The sender lives as long as this does.
        let _ = asked.wait_for(|asked| *asked).await;
    }
}
