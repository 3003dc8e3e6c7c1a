//! Comparing contents: results, and the choice of a winner.

use super::{Broadcasts, BroadcastsError, course::locked};
use crate::{
    access::Caller,
    ports::{Purpose, StoreError, WorkKind},
};
use domain::{
    broadcasts::{Broadcast, VariationResult, WinnerChoice, recommended, winner},
    ids::{BroadcastId, TemplateId, WorkspaceId},
    permissions::{Permission, Resource},
};

/// How the contents of a broadcast do.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResults {
    /// The broadcast.
    pub broadcast: Broadcast,
    /// Its contents in their order.
    pub variations: Vec<VariationOutcome>,
    /// The content to choose, while a person is to choose one.
    pub recommended: Option<TemplateId>,
}

/// How one content does.
#[derive(Debug, Clone, PartialEq)]
pub struct VariationOutcome {
    /// Its template.
    pub template: TemplateId,
    /// How people call the template; empty when it was deleted.
    pub name: String,
    /// What became of its test mails.
    pub result: VariationResult,
}

impl Broadcasts {
    /// How the contents of a started broadcast do in its test.
    ///
    /// # Errors
    /// Without `broadcasts:read`, when there is none, or it compares nothing.
    #[tracing::instrument(name = "broadcasts.test_results", skip_all)]
    pub async fn test_results(
        &self,
        caller: &Caller,
        id: &BroadcastId,
    ) -> Result<TestResults, BroadcastsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.getTestResults");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(BroadcastsError::NotFound)?;
        let test = broadcast.test.ok_or(BroadcastsError::NoTest)?;
        let results = store.variation_results(id).await?;
        let mut variations = Vec::with_capacity(broadcast.variations.len());
        for (n, variation) in (0_u8..).zip(&broadcast.variations) {
            let known = results.iter().find(|r| r.variation == n).copied();
            let template = variation.template_id.clone();
            let name = store.template(&template).await?.map(|t| t.name).unwrap_or_default();
            let result = known.unwrap_or(VariationResult { variation: n, ..VariationResult::default() });
            variations.push(VariationOutcome { template, name, result });
        }
        let undecided = test.winner() == WinnerChoice::ByHand && broadcast.winning_template.is_none();
        let results: Vec<_> = variations.iter().map(|v| v.result).collect();
        let best = variations.get(usize::from(recommended(&results)));
        let recommended = best.filter(|_| undecided).map(|v| v.template.clone());
        Ok(TestResults { broadcast, variations, recommended })
    }

    /// Chooses the content for the rest of the audience. A test that still runs ends with it.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is none, it is not being tested, or the template is none
    /// of its contents.
    #[tracing::instrument(name = "broadcasts.select_winner", skip_all)]
    pub async fn select_winner(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        template: &TemplateId,
    ) -> Result<(), BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.selectWinner");
        let promise = self.work.promise(&caller.workspace, WorkKind::Planning, purpose).await?;
        let mut store = self.broker.write(&caller.workspace, purpose).await?;
        let mut broadcast = locked(store.as_mut(), id).await?;
        broadcast.select_winner(template, self.clock.now())?;
        store.update_broadcast(&broadcast).await?;
        promise.commit(store).await?;
        self.sites.changed(&caller.workspace);
        Ok(())
    }

    /// Lets the rates of a test choose, when it is time.
    pub(super) async fn decide(
        &self,
        workspace: &WorkspaceId,
        id: &BroadcastId,
        purpose: Purpose,
    ) -> Result<(), StoreError> {
        let mut store = self.broker.write(workspace, purpose).await?;
        let now = self.clock.now();
        let found = store.broadcast_for_update(id).await?;
        let Some(mut broadcast) = found.filter(|b| b.is_to_be_decided(now)) else { return Ok(()) };
        let Some(WinnerChoice::Automatic { metric, .. }) = broadcast.test.map(|test| test.winner()) else {
            return Ok(());
        };
        let results = store.variation_results(id).await?;
        let place = usize::from(winner(&results, metric));
        if let Some(template) = broadcast.variations.get(place).map(|v| v.template_id.clone()) {
            // It is being decided, and the template is one of its contents.
            let _ = broadcast.select_winner(&template, now);
            store.update_broadcast(&broadcast).await?;
            store.commit().await?;
            self.sites.changed(workspace);
        }
        Ok(())
    }
}
