//! What has to be told to the account once an answer reached its client, or did not.

use std::rc::Rc;

use crate::shared::Shared;
use crate::store::{Batch, Mark};

/// Dropped without `confirm`, it counts as cut off.
pub(crate) struct Receipt {
    shared: Rc<Shared>,
    subject: Option<Subject>,
}

enum Subject {
    Activation(Rc<Batch>),
    Command(Mark),
}

impl Receipt {
    pub(crate) fn new(shared: &Rc<Shared>, batch: Option<Rc<Batch>>, mark: Option<Mark>) -> Option<Self> {
        let subject = batch.map(Subject::Activation).or(mark.map(Subject::Command))?;
        Some(Self { shared: shared.clone(), subject: Some(subject) })
    }

    /// The answer was written to the socket, every byte.
    pub(crate) fn confirm(mut self) {
        if let Some(Subject::Activation(batch)) = self.subject.take() {
            self.shared.state.borrow_mut().store.delivered(&batch);
        }
    }

    /// The answer is lost on its way, and the engine does not notice.
    pub(crate) fn lose(mut self) {
        self.cut(false);
    }

    fn cut(&mut self, noticed: bool) {
        match self.subject.take() {
            None => {}
            Some(Subject::Command(mark)) => self.shared.change(|state, _| state.store.cut_after(mark)),
            Some(Subject::Activation(batch)) => self.shared.change(|state, _| {
                let give_back = noticed && state.settings.notices_departed();
                state.store.undelivered(&batch, give_back);
            }),
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.cut(true);
    }
}
