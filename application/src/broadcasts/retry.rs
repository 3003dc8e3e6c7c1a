//! Sending again to whom a mail failed.

use super::{Broadcasts, BroadcastsError, course::locked};
use crate::{
    access::Caller,
    ports::{Purpose, WorkKind},
};
use domain::{
    Timestamp,
    broadcasts::{Broadcast, Launch, Recipient},
    deliveries::{Delivery, DeliverySource},
    email_address::EmailAddress,
    ids::BroadcastId,
    permissions::{Permission, Resource},
};
use std::collections::HashSet;

impl Broadcasts {
    /// Puts mails into the queue for recipients whose mail failed, and with `unknown` for those of whom
    /// nobody knows whether it went out. Nobody whose mail was sent gets another. A part is stored at a
    /// time; when this ends in the middle, calling it again does the rest. Answers how many there were.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, or it is not running.
    #[tracing::instrument(name = "broadcasts.retry_failed", skip_all)]
    pub async fn retry_failed(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        unknown: bool,
    ) -> Result<u64, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let (mut retried, mut after) = (0, None);
        loop {
            let (number, last) = self.retry_part(caller, id, unknown, after.as_ref()).await?;
            retried += number;
            if last.is_none() {
                return Ok(retried);
            }
            after = last;
        }
    }

    /// Answers how many were put into the queue, and up to which address, unless that was the rest.
    async fn retry_part(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        unknown: bool,
        after: Option<&EmailAddress>,
    ) -> Result<(u64, Option<EmailAddress>), BroadcastsError> {
        let purpose = Purpose::interactive("broadcasts.retryFailed");
        let promise = self.work.promise(&caller.workspace, WorkKind::Deliveries, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let broadcast = locked(store.as_mut(), id).await?;
        broadcast.check_retryable()?;
        let now = self.clock.now();
        let Some(launch) = broadcast.launch.clone() else { return Ok((0, None)) };
        let failed = store.failed_recipients_after(id, unknown, after, Self::PLAN_BATCH).await?;
        let last = failed.last().map(|line| line.email.clone());
        let anew: Vec<_> =
            failed.into_iter().map(|line| Recipient { message: self.next_message(), ..line }).collect();
        let taken: HashSet<_> = store.requeue_recipients(&anew).await?.into_iter().collect();
        let mails: Vec<_> = anew
            .iter()
            .filter(|line| taken.contains(&line.message))
            .filter_map(|line| self.mail(&broadcast, &launch, line, now))
            .collect();
        store.insert_deliveries(&mails).await?;
        promise.commit(store).await?;
        let more = anew.len() == Self::PLAN_BATCH;
        Ok((mails.len() as u64, last.filter(|_| more)))
    }

    /// The mail of a line, to be handed over at a moment; `None` when its variation is gone.
    pub(super) fn mail(
        &self,
        broadcast: &Broadcast,
        launch: &Launch,
        line: &Recipient,
        due_at: Timestamp,
    ) -> Option<Delivery> {
        let (template, template_version) = broadcast.content(line.variation)?;
        Some(Delivery {
            message: line.message.clone(),
            source: DeliverySource::Broadcast { broadcast: broadcast.id.clone(), list: line.list.clone() },
            recipient: line.email.clone(),
            template: template.clone(),
            template_version,
            integration: launch.integration,
            attempts: 0,
            due_at,
            created_at: self.clock.now(),
        })
    }
}
