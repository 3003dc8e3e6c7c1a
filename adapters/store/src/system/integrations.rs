//! Integrations of workspaces.

use crate::{
    entity::integration,
    failure::Failure,
    session::{Session, from_json, to_json},
};
use application::ports::{IntegrationStore, StoreError};
use async_trait::async_trait;
use domain::{
    ids::{IntegrationId, WorkspaceId},
    integrations::Integration,
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, Insert, QueryFilter as _, QueryTrait as _,
};

#[async_trait]
impl IntegrationStore for Session {
    async fn integration(
        &mut self,
        workspace: &WorkspaceId,
        id: IntegrationId,
    ) -> Result<Option<Integration>, StoreError> {
        let query = integration::Entity::find_by_id(id.uuid())
            .filter(integration::Column::WorkspaceId.eq(workspace.as_str()));
        self.model(query).await?.map(connected).transpose()
    }

    async fn integrations(&mut self, workspaces: &[WorkspaceId]) -> Result<Vec<Integration>, StoreError> {
        let mut found = Vec::new();
        for some in workspaces.chunks(Self::IDS_PER_STATEMENT) {
            let query = integration::Entity::find()
                .filter(integration::Column::WorkspaceId.is_in(some.iter().map(WorkspaceId::as_str)));
            found.extend(self.models(query).await?);
        }
        found.sort_by_key(|row| (row.created_at, row.id));
        found.into_iter().map(connected).collect()
    }

    async fn insert_integration(&mut self, integration: &Integration) -> Result<(), StoreError> {
        let mut row = changes(integration)?;
        row.id = Set(integration.id.uuid());
        row.workspace_id = Set(integration.workspace.as_str().to_owned());
        row.created_at = Set(integration.created_at);
        self.exec(&Insert::one(row).into_query()).await?;
        self.insert_gate(integration.id).await
    }

    async fn update_integration(&mut self, integration: &Integration) -> Result<bool, StoreError> {
        let update = integration::Entity::update_many()
            .set(changes(integration)?)
            .filter(integration::Column::Id.eq(integration.id.uuid()))
            .filter(integration::Column::WorkspaceId.eq(integration.workspace.as_str()));
        Ok(self.exec(&update.into_query()).await? > 0)
    }

    async fn delete_integration(
        &mut self,
        workspace: &WorkspaceId,
        id: IntegrationId,
    ) -> Result<bool, StoreError> {
        let delete = integration::Entity::delete_many()
            .filter(integration::Column::Id.eq(id.uuid()))
            .filter(integration::Column::WorkspaceId.eq(workspace.as_str()));
        Ok(self.exec(&delete.into_query()).await? > 0)
    }
}

fn changes(integration: &Integration) -> Result<integration::ActiveModel, StoreError> {
    Ok(integration::ActiveModel {
        id: NotSet,
        workspace_id: NotSet,
        name: Set(integration.name.clone()),
        provider: Set(to_json(&integration.provider, "provider")?),
        created_at: NotSet,
        updated_at: Set(integration.updated_at),
    })
}

fn connected(row: integration::Model) -> Result<Integration, StoreError> {
    Ok(Integration {
        id: IntegrationId::from_uuid(row.id),
        workspace: WorkspaceId::parse(&row.workspace_id)
            .map_err(|_| Failure::Unreadable("workspace_id".into()))?,
        name: row.name,
        provider: from_json(row.provider, "provider")?,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
