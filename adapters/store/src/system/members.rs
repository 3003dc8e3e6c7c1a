//! Memberships and invitations.

use super::users::account;
use crate::{
    entity::{invitation, member, user},
    failure::Failure,
    session::{Session, from_json, to_json},
};
use application::ports::{MemberStore, StoreError};
use async_trait::async_trait;
use domain::{
    email_address::EmailAddress,
    ids::{InvitationId, UserId, WorkspaceId},
    permissions::Role,
    users::{Invitation, Member, User},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, EntityTrait as _, Insert, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _,
    sea_query::OnConflict,
};
use std::collections::HashMap;

#[async_trait]
impl MemberStore for Session {
    async fn member(&mut self, workspace: &WorkspaceId, user: UserId) -> Result<Option<Member>, StoreError> {
        let query = member::Entity::find_by_id((user.uuid(), workspace.as_str().to_owned()));
        self.model(query).await?.map(membership).transpose()
    }

    async fn members(&mut self, workspace: &WorkspaceId) -> Result<Vec<(Member, User)>, StoreError> {
        let of_workspace = member::Column::WorkspaceId.eq(workspace.as_str());
        let ids = member::Entity::find()
            .select_only()
            .column(member::Column::UserId)
            .filter(of_workspace.clone())
            .into_query();
        let accounts = self.models(user::Entity::find().filter(user::Column::Id.in_subquery(ids))).await?;
        let mut accounts: HashMap<_, _> = accounts.into_iter().map(|row| (row.id, row)).collect();
        let query = member::Entity::find()
            .filter(of_workspace)
            .order_by_asc(member::Column::CreatedAt)
            .order_by_asc(member::Column::UserId);
        let rows = self.models(query).await?;
        let pairs = rows.into_iter().filter_map(|row| accounts.remove(&row.user_id).map(|user| (row, user)));
        pairs.map(|(row, user)| Ok((membership(row)?, account(user)?))).collect()
    }

    async fn insert_member(&mut self, member: &Member) -> Result<(), StoreError> {
        let row = member::ActiveModel {
            user_id: Set(member.user.uuid()),
            workspace_id: Set(member.workspace.as_str().to_owned()),
            role: Set(member.role.name().to_owned()),
            permissions: Set(to_json(&member.permissions, "permissions")?),
            created_at: Set(member.created_at),
            updated_at: Set(member.updated_at),
        };
        self.exec(&Insert::one(row).into_query()).await.map(drop)
    }

    async fn update_member(&mut self, member: &Member) -> Result<bool, StoreError> {
        let row = member::ActiveModel {
            user_id: NotSet,
            workspace_id: NotSet,
            role: Set(member.role.name().to_owned()),
            permissions: Set(to_json(&member.permissions, "permissions")?),
            created_at: NotSet,
            updated_at: Set(member.updated_at),
        };
        let update = member::Entity::update_many()
            .set(row)
            .filter(member::Column::UserId.eq(member.user.uuid()))
            .filter(member::Column::WorkspaceId.eq(member.workspace.as_str()));
        Ok(self.exec(&update.into_query()).await? > 0)
    }

    async fn delete_member(&mut self, workspace: &WorkspaceId, user: UserId) -> Result<bool, StoreError> {
        let delete = member::Entity::delete_by_id((user.uuid(), workspace.as_str().to_owned()));
        Ok(self.exec(&delete.into_query()).await? > 0)
    }

    async fn invitation(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        self.model(invitation::Entity::find_by_id(id.uuid())).await?.map(invited).transpose()
    }

    async fn invitations(&mut self, workspace: &WorkspaceId) -> Result<Vec<Invitation>, StoreError> {
        let query = invitation::Entity::find()
            .filter(invitation::Column::WorkspaceId.eq(workspace.as_str()))
            .order_by_asc(invitation::Column::CreatedAt)
            .order_by_asc(invitation::Column::Id);
        self.models(query).await?.into_iter().map(invited).collect()
    }

    async fn put_invitation(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        let row = invitation::ActiveModel {
            id: Set(invitation.id.uuid()),
            workspace_id: Set(invitation.workspace.as_str().to_owned()),
            inviter_id: Set(invitation.inviter.uuid()),
            email: Set(invitation.email.as_str().to_owned()),
            permissions: Set(to_json(&invitation.permissions, "permissions")?),
            expires_at: Set(invitation.expires_at),
            created_at: Set(invitation.created_at),
            updated_at: Set(invitation.updated_at),
        };
        let replace = OnConflict::columns([invitation::Column::WorkspaceId, invitation::Column::Email])
            .update_columns([
                invitation::Column::Id,
                invitation::Column::InviterId,
                invitation::Column::Permissions,
                invitation::Column::ExpiresAt,
                invitation::Column::CreatedAt,
                invitation::Column::UpdatedAt,
            ])
            .to_owned();
        self.exec(&Insert::one(row).on_conflict(replace).into_query()).await.map(drop)
    }

    async fn delete_invitation(&mut self, id: InvitationId) -> Result<bool, StoreError> {
        Ok(self.exec(&invitation::Entity::delete_by_id(id.uuid()).into_query()).await? > 0)
    }
}

fn workspace_id(text: &str) -> Result<WorkspaceId, StoreError> {
    WorkspaceId::parse(text).map_err(|_| Failure::Unreadable("workspace_id".into()).into())
}

fn membership(row: member::Model) -> Result<Member, StoreError> {
    Ok(Member {
        user: UserId::from_uuid(row.user_id),
        workspace: workspace_id(&row.workspace_id)?,
        role: Role::from_name(&row.role).ok_or(Failure::Unreadable("role".into()))?,
        permissions: from_json(row.permissions, "permissions")?,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn invited(row: invitation::Model) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: InvitationId::from_uuid(row.id),
        workspace: workspace_id(&row.workspace_id)?,
        inviter: UserId::from_uuid(row.inviter_id),
        email: EmailAddress::parse(&row.email).map_err(|_| Failure::Unreadable("email".into()))?,
        permissions: from_json(row.permissions, "permissions")?,
        expires_at: row.expires_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
