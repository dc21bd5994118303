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
    pub(crate) fn activation(shared: &Rc<Shared>, batch: Rc<Batch>) -> Self {
        Self { shared: shared.clone(), subject: Some(Subject::Activation(batch)) }
    }

    pub(crate) fn command(shared: &Rc<Shared>, mark: Mark) -> Self {
        Self { shared: shared.clone(), subject: Some(Subject::Command(mark)) }
    }

    /// The answer was written to the socket, every byte.
    pub(crate) fn confirm(mut self) {
        if let Some(Subject::Activation(batch)) = self.subject.take() {
            self.shared.state.borrow_mut().store.delivered(&batch);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        match self.subject.take() {
            None => {}
            Some(Subject::Command(mark)) => self.shared.change(|state, _| state.store.cut_after(mark)),
            Some(Subject::Activation(batch)) => self.shared.change(|state, _| {
                let give_back = state.settings.notices_departed();
                state.store.undelivered(&batch, give_back);
            }),
        }
    }
}
