//! What follows from reports: moments on messages, standings on lists, suppressed addresses.

use crate::ports::{StoreError, UnitOfWork, WorkspaceStore};
use domain::{
    Timestamp,
    email_address::EmailAddress,
    feedback::{BounceClass, Feedback, FeedbackKind, MessageMark, SOFT_BOUNCES, SuppressionReason},
    ids::{ListId, MessageId},
    lists::MembershipStatus,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Keeps reports and does what follows from those that are new. Answers how many were new.
pub(crate) async fn apply(
    store: &mut dyn UnitOfWork,
    feedback: &[Feedback],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let new: HashSet<_> = store.insert_feedback_if_absent(feedback).await?.into_iter().collect();
    let new: Vec<_> = feedback.iter().filter(|report| new.contains(&report.id)).collect();
    if new.is_empty() {
        return Ok(0);
    }
    let marks = MessageMark::joined(new.iter().filter_map(|report| report.mark()));
    store.mark_messages(&marks).await?;
    // In one order everywhere, so that two units never wait for each other.
    let mut reasons = BTreeMap::<&EmailAddress, SuppressionReason>::new();
    let mut soft = BTreeSet::new();
    for report in &new {
        let reason = match &report.kind {
            FeedbackKind::Bounced(bounce) if bounce.class == BounceClass::Hard => SuppressionReason::Bounced,
            FeedbackKind::Complained { .. } => SuppressionReason::Complained,
            FeedbackKind::Bounced(bounce) => {
                if bounce.class == BounceClass::Soft {
                    soft.insert(&report.recipient);
                }
                continue;
            }
            FeedbackKind::Delivered | FeedbackKind::Unsubscribed => continue,
        };
        let known = reasons.entry(&report.recipient).or_insert(reason);
        *known = reason.max(*known);
    }
    for recipient in soft {
        if !reasons.contains_key(recipient) && store.soft_bounces(recipient).await? >= SOFT_BOUNCES {
            reasons.insert(recipient, SuppressionReason::Bounced);
        }
    }
    for (recipient, reason) in reasons {
        store.suppress(recipient, reason, now).await?;
        store.set_standing(recipient, reason.status(), kept_from(reason), now).await?;
    }
    unsubscribe(store, &new, now).await?;
    Ok(new.len())
}

/// Writes onto messages what was reported before they came into the history.
pub(crate) async fn apply_early(
    store: &mut dyn UnitOfWork,
    messages: &[MessageId],
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let early = store.feedback_of(messages).await?;
    let marks = MessageMark::joined(early.iter().filter_map(Feedback::mark));
    store.mark_messages(&marks).await
}

/// Gives suppressed addresses their standing on the lists that they have come onto.
pub(crate) async fn hold_back(
    store: &mut dyn WorkspaceStore,
    emails: &[EmailAddress],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut suppressed = store.suppressions(emails).await?;
    suppressed.sort();
    for (email, reason) in suppressed {
        store.set_standing(&email, reason.status(), kept_from(reason), now).await?;
    }
    Ok(())
}

/// Standings that are not replaced.
fn kept_from(reason: SuppressionReason) -> &'static [MembershipStatus] {
    match reason {
        SuppressionReason::Bounced => &[MembershipStatus::Bounced, MembershipStatus::Complained],
        SuppressionReason::Complained => &[MembershipStatus::Complained],
    }
}

/// Takes who unsubscribed at the provider off the list of the message.
async fn unsubscribe(
    store: &mut dyn UnitOfWork,
    new: &[&Feedback],
    now: Timestamp,
) -> Result<(), StoreError> {
    let left: Vec<_> = new
        .iter()
        .filter(|report| report.kind == FeedbackKind::Unsubscribed)
        .filter_map(|report| Some((report.message_id()?, &report.recipient)))
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = left.iter().map(|(id, _)| id.clone()).collect();
    let messages: BTreeMap<MessageId, Option<ListId>> =
        store.messages(&ids).await?.into_iter().map(|message| (message.id, message.list)).collect();
    for (id, recipient) in left {
        let Some(Some(list)) = messages.get(&id) else { continue };
        let standing = store.membership(recipient, list).await?.filter(|m| m.deleted_at.is_none());
        if standing.is_some_and(|m| matches!(m.status, MembershipStatus::Active | MembershipStatus::Pending))
        {
            store.set_membership_status(recipient, list, MembershipStatus::Unsubscribed, now).await?;
        }
    }
    Ok(())
}
