//! Starting a broadcast, at once or at its moment.

use super::{Broadcasts, BroadcastsError, course::locked, feeds::keep_global, latest_versions};
use crate::{
    access::Caller,
    directory::active_workspace,
    ports::{Purpose, StoreError, UnitOfWork, WorkKind},
};
use domain::{
    broadcasts::{Broadcast, Launch, PlanHash, Schedule},
    ids::{BroadcastId, IntegrationId, WorkspaceId},
    permissions::{Permission, Resource},
};

impl Broadcasts {
    /// Starts a draft at once: its page becomes public, and its audience is mailed unless it is on the
    /// web alone.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when it is no draft, a template is missing, or a provider for
    /// its mails, its global feed gives no data, or the given plan is no longer what would be done.
    #[tracing::instrument(name = "broadcasts.send_now", skip_all)]
    pub async fn send_now(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        plan: Option<PlanHash>,
    ) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.schedule");
        let provider = self.provider(&caller.workspace, purpose).await;
        let fetched = self.fetch_global(&caller.workspace, id, purpose).await?;
        let promise = self.work.promise(&caller.workspace, WorkKind::Planning, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = locked(store.as_mut(), id).await?;
        let template_versions = latest_versions(store.as_mut(), &broadcast).await?;
        if broadcast.channels.email {
            let integration = provider?;
            check_plan(store.as_mut(), plan, &broadcast, &template_versions, integration).await?;
            broadcast.start(Launch { template_versions, integration }, self.clock.now())?;
            keep_global(store.as_mut(), &mut broadcast, fetched).await?;
        } else {
            broadcast.publish_only(self.clock.now())?;
        }
        store.update_broadcast(&broadcast).await?;
        promise.commit(store).await?;
        self.sites.changed(&caller.workspace);
        Ok(())
    }

    /// Lets a draft start at a moment, with the versions of its templates that are the latest then. Its
    /// global feed is asked now, so that a fault shows, and again at the moment.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when it is no draft, the moment has passed, a template or a
    /// provider is missing, its global feed gives no data, or the given plan is no longer what would
    /// be done.
    #[tracing::instrument(name = "broadcasts.schedule", skip_all)]
    pub async fn schedule(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        schedule: Schedule,
        plan: Option<PlanHash>,
    ) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.schedule");
        let provider = self.provider(&caller.workspace, purpose).await;
        let fetched = self.fetch_global(&caller.workspace, id, purpose).await?;
        // The look that this causes finds nothing due and keeps the entry until the moment.
        let promise = self.work.promise(&caller.workspace, WorkKind::Planning, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = locked(store.as_mut(), id).await?;
        let versions = latest_versions(store.as_mut(), &broadcast).await?;
        if broadcast.channels.email {
            check_plan(store.as_mut(), plan, &broadcast, &versions, provider?).await?;
        }
        broadcast.schedule(schedule, self.clock.now())?;
        keep_global(store.as_mut(), &mut broadcast, fetched).await?;
        store.update_broadcast(&broadcast).await?;
        promise.commit(store).await?;
        Ok(())
    }

    /// Starts a scheduled broadcast whose moment has come. One whose template or provider is gone is
    /// paused and says so.
    pub(super) async fn start_due(
        &self,
        workspace: &WorkspaceId,
        id: &BroadcastId,
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        let provider = self.provider(workspace, purpose).await;
        let fetched = self.fetch_global(workspace, id, purpose).await;
        let mut store = self.broker.write(workspace, purpose).await?;
        let now = self.clock.now();
        let Some(mut broadcast) = store.broadcast_for_update(id).await?.filter(|b| b.is_due(now)) else {
            return Ok(());
        };
        if !broadcast.channels.email {
            broadcast.publish_due(now);
            store.update_broadcast(&broadcast).await?;
            store.commit().await?;
            self.sites.changed(workspace);
            return Ok(());
        }
        let launch = match provider {
            Ok(integration) => latest_versions(store.as_mut(), &broadcast)
                .await
                .map(|template_versions| Launch { template_versions, integration }),
            Err(error) => Err(error),
        };
        let launch = launch.and_then(|launch| Ok((launch, fetched?)));
        let launch = match launch {
            Ok((launch, fetched)) => {
                keep_global(store.as_mut(), &mut broadcast, fetched).await.map(|()| launch)
            }
            Err(error) => Err(error),
        };
        match launch {
            Ok(launch) => broadcast.start_due(launch, now),
            Err(BroadcastsError::Store(error)) => return Err(error),
            // The next look asks the other feed.
            Err(BroadcastsError::FeedChanged) => return Ok(()),
            Err(error) => {
                tracing::warn!(broadcast.id = %id, "a scheduled broadcast cannot start: it is paused");
                // It was due, so it runs and can be paused.
                let _ = broadcast.pause_because(&error.to_string(), now);
            }
        }
        store.update_broadcast(&broadcast).await?;
        store.commit().await?;
        self.sites.changed(workspace);
        Ok(())
    }

    /// The provider that takes broadcasts.
    async fn provider(
        &self,
        workspace: &WorkspaceId,
        purpose: Purpose,
    ) -> Result<IntegrationId, BroadcastsError> {
        let workspace = active_workspace(self.broker.as_ref(), workspace, purpose).await?;
        workspace.settings.marketing_email_provider_id.ok_or(BroadcastsError::NoProvider)
    }
}

/// What would be done must still be what was seen.
async fn check_plan(
    store: &mut dyn UnitOfWork,
    plan: Option<PlanHash>,
    broadcast: &Broadcast,
    versions: &[i64],
    provider: IntegrationId,
) -> Result<(), BroadcastsError> {
    let Some(seen) = plan else { return Ok(()) };
    let audience = &broadcast.audience;
    let recipients = store.audience_counts(audience).await?.recipients;
    let now = PlanHash::of(recipients, audience, &broadcast.variations, versions, provider);
    if seen.covers(&now) { Ok(()) } else { Err(BroadcastsError::PlanChanged { recipients }) }
}
