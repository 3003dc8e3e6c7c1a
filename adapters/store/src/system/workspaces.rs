//! The directory of workspaces.

use crate::{
    entity::{integration, invitation, member, user, work, workspace},
    failure::Failure,
    session::{Session, from_json, to_json},
};
use application::ports::{StoreError, WorkspaceDirectory};
use async_trait::async_trait;
use domain::{
    ids::{UserId, WorkspaceId},
    secret::Sealed,
    users::UserKind,
    workspaces::{Workspace, WorkspaceState},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, Insert, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _,
};

#[async_trait]
impl WorkspaceDirectory for Session {
    async fn workspace(&mut self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.model(workspace::Entity::find_by_id(id.as_str())).await?.map(tenant).transpose()
    }

    async fn workspace_by_host(&mut self, host: &str) -> Result<Option<Workspace>, StoreError> {
        if host.contains('\0') {
            return Ok(None);
        }
        let query = workspace::Entity::find().filter(workspace::Column::CustomEndpointHost.eq(host));
        self.model(query).await?.map(tenant).transpose()
    }

    async fn workspaces(&mut self) -> Result<Vec<Workspace>, StoreError> {
        let query = workspace::Entity::find()
            .order_by_desc(workspace::Column::CreatedAt)
            .order_by_desc(workspace::Column::Id);
        self.models(query).await?.into_iter().map(tenant).collect()
    }

    async fn workspaces_of(&mut self, user: UserId) -> Result<Vec<Workspace>, StoreError> {
        let theirs = member::Entity::find()
            .select_only()
            .column(member::Column::WorkspaceId)
            .filter(member::Column::UserId.eq(user.uuid()))
            .into_query();
        let query = workspace::Entity::find()
            .filter(workspace::Column::State.eq(WorkspaceState::Active.name()))
            .filter(workspace::Column::Id.in_subquery(theirs))
            .order_by_desc(workspace::Column::CreatedAt)
            .order_by_desc(workspace::Column::Id);
        self.models(query).await?.into_iter().map(tenant).collect()
    }

    async fn insert_workspace(&mut self, workspace: &Workspace) -> Result<(), StoreError> {
        let mut row = changes(workspace)?;
        row.id = Set(workspace.id.as_str().to_owned());
        row.database_name = Set(self.naming().database(&workspace.id));
        row.created_at = Set(workspace.created_at);
        self.exec(&Insert::one(row).into_query()).await.map(drop)
    }

    async fn update_workspace(&mut self, workspace: &Workspace) -> Result<bool, StoreError> {
        let update = workspace::Entity::update_many()
            .set(changes(workspace)?)
            .filter(workspace::Column::Id.eq(workspace.id.as_str()));
        Ok(self.exec(&update.into_query()).await? > 0)
    }

    async fn delete_workspace(&mut self, id: &WorkspaceId) -> Result<bool, StoreError> {
        let id = id.as_str();
        let members = member::Entity::find()
            .select_only()
            .column(member::Column::UserId)
            .filter(member::Column::WorkspaceId.eq(id))
            .into_query();
        let keys = user::Entity::delete_many()
            .filter(user::Column::Kind.eq(UserKind::ApiKey.name()))
            .filter(user::Column::Id.in_subquery(members));
        self.exec(&keys.into_query()).await?;
        let members = member::Entity::delete_many().filter(member::Column::WorkspaceId.eq(id));
        self.exec(&members.into_query()).await?;
        let invitations = invitation::Entity::delete_many().filter(invitation::Column::WorkspaceId.eq(id));
        self.exec(&invitations.into_query()).await?;
        let integrations = integration::Entity::delete_many().filter(integration::Column::WorkspaceId.eq(id));
        self.exec(&integrations.into_query()).await?;
        let work = work::Entity::delete_many().filter(work::Column::WorkspaceId.eq(id));
        self.exec(&work.into_query()).await?;
        Ok(self.exec(&workspace::Entity::delete_by_id(id).into_query()).await? > 0)
    }
}

fn changes(workspace: &Workspace) -> Result<workspace::ActiveModel, StoreError> {
    Ok(workspace::ActiveModel {
        id: NotSet,
        name: Set(workspace.name.clone()),
        settings: Set(to_json(&workspace.settings, "settings")?),
        secret_key: Set(workspace.secret_key.as_str().to_owned()),
        state: Set(workspace.state.name().to_owned()),
        database_name: NotSet,
        custom_endpoint_host: Set(workspace.settings.custom_endpoint_host()),
        created_at: NotSet,
        updated_at: Set(workspace.updated_at),
    })
}

fn tenant(row: workspace::Model) -> Result<Workspace, StoreError> {
    Ok(Workspace {
        id: WorkspaceId::parse(&row.id).map_err(|_| Failure::Unreadable("id".into()))?,
        name: row.name,
        settings: from_json(row.settings, "settings")?,
        secret_key: Sealed::new(row.secret_key),
        state: WorkspaceState::from_name(&row.state).ok_or(Failure::Unreadable("state".into()))?,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
