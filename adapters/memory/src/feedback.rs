//! What providers report about mails, and a reader that reads lines of text.

use crate::{MemorySession, state::WorkspaceState};
use application::{
    page::Page,
    ports::{FeedbackReader, FeedbackStore, InboundCall, NoticeReader, ReadingError, Report, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    feedback::{
        Bounce, BounceClass, Feedback, FeedbackCursor, FeedbackFilter, FeedbackKind, MessageMark,
        SuppressionReason,
    },
    ids::{FeedbackId, MessageId},
    integrations::ProviderSettings,
    lists::MembershipStatus,
    secret::Secret,
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, btree_map::Entry},
};

#[async_trait]
impl FeedbackStore for MemorySession<WorkspaceState> {
    async fn insert_feedback_if_absent(
        &mut self,
        feedback: &[Feedback],
    ) -> Result<Vec<FeedbackId>, StoreError> {
        self.change(|state| {
            let mut added = Vec::new();
            for report in feedback {
                if let Entry::Vacant(place) = state.feedback.entry(report.id) {
                    place.insert(report.clone());
                    added.push(report.id);
                }
            }
            Ok(added)
        })
    }

    async fn mark_messages(&mut self, marks: &[MessageMark]) -> Result<(), StoreError> {
        self.change(|state| {
            for mark in marks {
                state.mark(mark);
            }
            Ok(())
        })
    }

    async fn feedback_of(&mut self, messages: &[MessageId]) -> Result<Vec<Feedback>, StoreError> {
        let wanted: BTreeSet<_> = messages.iter().map(MessageId::as_str).collect();
        self.look(|state| {
            let named = |report: &&Feedback| report.message.as_deref().is_some_and(|id| wanted.contains(id));
            let mut found: Vec<_> = state.feedback.values().filter(named).cloned().collect();
            found.sort_by_key(|report| (report.at, report.id));
            found
        })
    }

    async fn soft_bounces(&mut self, recipient: &EmailAddress) -> Result<u64, StoreError> {
        self.look(|state| {
            let own = || state.feedback.values().filter(|report| report.recipient == *recipient);
            let delivered = own().filter(|report| report.kind == FeedbackKind::Delivered);
            let last = delivered.map(|report| report.at).max();
            let soft = own().filter(|report| {
                report.kind.bounce().is_some_and(|bounce| bounce.class == BounceClass::Soft)
                    && last.is_none_or(|last| report.at > last)
            });
            soft.count() as u64
        })
    }

    async fn feedback_after(
        &mut self,
        filter: &FeedbackFilter,
        after: Option<&FeedbackCursor>,
        size: usize,
    ) -> Result<Page<Feedback>, StoreError> {
        self.look(|state| {
            let place = |report: &Feedback| Reverse((report.at, report.id));
            let after = after.map(|cursor| Reverse((cursor.at, cursor.id)));
            let mut found: Vec<_> = state
                .feedback
                .values()
                .filter(|report| after.as_ref().is_none_or(|after| place(report) > *after))
                .filter(|report| matches(report, filter))
                .cloned()
                .collect();
            found.sort_by_key(place);
            found.truncate(size.saturating_add(1));
            Page::of(found, size)
        })
    }

    async fn set_standing(
        &mut self,
        email: &EmailAddress,
        status: MembershipStatus,
        kept: &[MembershipStatus],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            let own = state.memberships.values_mut().filter(|m| m.email == *email && m.deleted_at.is_none());
            for membership in own.filter(|m| !kept.contains(&m.status)) {
                membership.status = status;
                membership.updated_at = now;
            }
            Ok(())
        })
    }

    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            let known = state.suppressions.entry(email.clone()).or_insert(reason);
            *known = reason.max(*known);
            Ok(())
        })
    }

    async fn suppressions(
        &mut self,
        emails: &[EmailAddress],
    ) -> Result<Vec<(EmailAddress, SuppressionReason)>, StoreError> {
        let wanted: BTreeSet<_> = emails.iter().collect();
        self.look(|state| {
            let found = wanted.into_iter().filter_map(|e| Some((e.clone(), *state.suppressions.get(e)?)));
            found.collect()
        })
    }

    async fn lift_suppression(&mut self, email: &EmailAddress) -> Result<bool, StoreError> {
        self.change(|state| Ok(state.suppressions.remove(email).is_some()))
    }
}

impl WorkspaceState {
    fn mark(&mut self, mark: &MessageMark) {
        let Some(message) = self.messages.get_mut(&mark.message) else { return };
        if message.contact_email != mark.recipient {
            return;
        }
        let mut is_new = [false; 4];
        for (n, (known, given)) in [
            (&mut message.delivered_at, mark.delivered_at),
            (&mut message.bounced_at, mark.bounced_at),
            (&mut message.complained_at, mark.complained_at),
            (&mut message.unsubscribed_at, mark.unsubscribed_at),
        ]
        .into_iter()
        .enumerate()
        {
            if known.is_none() && given.is_some() {
                *known = given;
                is_new[n] = true;
            }
        }
        if (is_new[1] || is_new[2]) && mark.status_info.is_some() {
            message.status_info.clone_from(&mark.status_info);
        }
        if is_new.contains(&true) {
            message.updated_at = message.updated_at.max(mark.at().unwrap_or(message.updated_at));
        }
    }
}

fn matches(report: &Feedback, filter: &FeedbackFilter) -> bool {
    filter.kind.is_none_or(|kind| report.kind.name() == kind)
        && filter.recipient.as_ref().is_none_or(|recipient| report.recipient == *recipient)
        && filter.message.as_ref().is_none_or(|message| report.message.as_ref() == Some(message))
        && filter.after.is_none_or(|at| report.at >= at)
        && filter.before.is_none_or(|at| report.at <= at)
}

/// Reads calls of one report on each line: kind, recipient, our message, and for a bounce the diagnostic,
/// separated by tabs. A call without the header `signed` is not authentic.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainReader;

#[async_trait]
impl FeedbackReader for PlainReader {
    async fn read(
        &self,
        settings: &ProviderSettings<Secret>,
        call: &InboundCall,
    ) -> Result<Vec<Report>, ReadingError> {
        if call.header("signed").is_none() {
            return Err(ReadingError::NotAuthentic("it has no signature"));
        }
        let text = std::str::from_utf8(&call.body).map_err(|_| ReadingError::Malformed("it is no text"))?;
        text.lines().map(|line| report(settings.kind(), line)).collect()
    }
}

impl NoticeReader for PlainReader {
    fn read(&self, mail: &[u8], _now: Timestamp) -> Result<Vec<Report>, ReadingError> {
        let text = std::str::from_utf8(mail).map_err(|_| ReadingError::Malformed("it is no text"))?;
        text.lines().map(|line| report("dsn", line)).collect()
    }
}

fn report(source: &str, line: &str) -> Result<Report, ReadingError> {
    let mut parts = line.split('\t');
    let mut part = || parts.next().unwrap_or_default();
    let (kind, recipient, message, diagnostic) = (part(), part(), part(), part());
    let kind = match kind {
        "delivered" => FeedbackKind::Delivered,
        "bounce" => FeedbackKind::Bounced(Bounce::of(source, "", "", diagnostic)),
        "complaint" => FeedbackKind::complaint("abuse"),
        "unsubscribe" => FeedbackKind::Unsubscribed,
        _ => return Err(ReadingError::Malformed("the kind is unknown")),
    };
    Ok(Report {
        key: line.to_owned(),
        kind,
        recipient: EmailAddress::parse(recipient).map_err(|_| ReadingError::Malformed("no address"))?,
        message: Some(message.to_owned()).filter(|message| !message.is_empty()),
        at: Timestamp::UNIX_EPOCH,
        payload: line.to_owned(),
    })
}
