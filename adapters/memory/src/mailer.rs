//! A provider that keeps the mails.

use crate::locked;
use application::ports::{MailRoute, Mailer, OutgoingMail, SendError};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

/// A mail that was handed over, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Where it was handed over.
    pub route: MailRoute,
    /// The mail.
    pub mail: OutgoingMail,
    /// `None` when it was taken.
    pub error: Option<SendError>,
}

/// Takes every mail, unless told otherwise. Clones share one mailbox.
#[derive(Clone, Default)]
pub struct MemoryMailer(Arc<Mutex<Mailroom>>);

#[derive(Default)]
struct Mailroom {
    posted: Vec<Posted>,
    answers: VecDeque<Option<SendError>>,
}

impl MemoryMailer {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the next sends, after those already told of, with these errors, one each.
    pub fn fail_next(&self, errors: impl IntoIterator<Item = SendError>) {
        locked(&self.0).answers.extend(errors.into_iter().map(Some));
    }

    /// Takes the next mail, after those already told of: to place a success between failures.
    pub fn take_next(&self) {
        locked(&self.0).answers.push_back(None);
    }

    /// Takes every mail from now on, whatever was told before.
    pub fn recover(&self) {
        locked(&self.0).answers.clear();
    }

    /// The mails that were taken, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<OutgoingMail> {
        locked(&self.0).posted.iter().filter(|p| p.error.is_none()).map(|p| p.mail.clone()).collect()
    }

    /// Every attempt, in order, with its answer.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        locked(&self.0).posted.clone()
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, route: &MailRoute, mail: &OutgoingMail) -> Result<(), SendError> {
        let mut room = locked(&self.0);
        let error = room.answers.pop_front().flatten();
        room.posted.push(Posted { route: route.clone(), mail: mail.clone(), error: error.clone() });
        error.map_or(Ok(()), Err)
    }
}
