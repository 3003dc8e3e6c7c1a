//! Accounts and their sessions.

use crate::{
    entity::{session, user},
    failure::Failure,
    session::Session as Lease,
};
use application::ports::{StoreError, UserStore};
use async_trait::async_trait;
use domain::{
    Timestamp,
    ids::{SessionId, UserId},
    users::{Session, SignInCode, User, UserKind},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, EntityTrait as _, Insert, QueryFilter as _, QueryOrder as _,
    QueryTrait as _,
    sea_query::Expr,
};

#[async_trait]
impl UserStore for Lease {
    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.model(user::Entity::find_by_id(id.uuid())).await?.map(account).transpose()
    }

    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        let query = user::Entity::find().filter(user::Column::Email.eq(email));
        self.model(query).await?.map(account).transpose()
    }

    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError> {
        let mut row = changes(user);
        row.id = Set(user.id.uuid());
        row.created_at = Set(user.created_at);
        self.exec(&Insert::one(row).into_query()).await.map(drop)
    }

    async fn update_user(&mut self, user: &User) -> Result<bool, StoreError> {
        let update =
            user::Entity::update_many().set(changes(user)).filter(user::Column::Id.eq(user.id.uuid()));
        Ok(self.exec(&update.into_query()).await? > 0)
    }

    async fn delete_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.exec(&user::Entity::delete_by_id(id.uuid()).into_query()).await? > 0)
    }

    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.model(session::Entity::find_by_id(id.uuid())).await?.map(sign_in))
    }

    async fn sessions_awaiting_code(&mut self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let query = session::Entity::find()
            .filter(session::Column::UserId.eq(user.uuid()))
            .filter(session::Column::CodeHash.is_not_null())
            .order_by_desc(session::Column::CreatedAt)
            .order_by_desc(session::Column::Id);
        Ok(self.models(query).await?.into_iter().map(sign_in).collect())
    }

    async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let (code_hash, code_expires_at) = match &session.code {
            Some(code) => (Some(code.hash.clone()), Some(code.expires_at)),
            None => (None, None),
        };
        let row = session::ActiveModel {
            id: Set(session.id.uuid()),
            user_id: Set(session.user.uuid()),
            code_hash: Set(code_hash),
            code_expires_at: Set(code_expires_at),
            expires_at: Set(session.expires_at),
            created_at: Set(session.created_at),
        };
        self.exec(&Insert::one(row).into_query()).await.map(drop)
    }

    async fn open_session(&mut self, id: SessionId) -> Result<bool, StoreError> {
        let update = session::Entity::update_many()
            .col_expr(session::Column::CodeHash, Expr::value(None::<String>))
            .col_expr(session::Column::CodeExpiresAt, Expr::value(None::<Timestamp>))
            .filter(session::Column::Id.eq(id.uuid()))
            .filter(session::Column::CodeHash.is_not_null());
        Ok(self.exec(&update.into_query()).await? > 0)
    }

    async fn delete_sessions(&mut self, user: UserId) -> Result<(), StoreError> {
        let delete = session::Entity::delete_many().filter(session::Column::UserId.eq(user.uuid()));
        self.exec(&delete.into_query()).await.map(drop)
    }

    async fn purge_sessions(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let ended = Condition::any()
            .add(session::Column::ExpiresAt.lte(now))
            .add(session::Column::CodeExpiresAt.lte(now));
        self.exec(&session::Entity::delete_many().filter(ended).into_query()).await
    }
}

fn changes(user: &User) -> user::ActiveModel {
    user::ActiveModel {
        id: NotSet,
        kind: Set(user.kind.name().to_owned()),
        email: Set(user.email.clone()),
        name: Set(user.name.clone()),
        language: Set(user.language.clone()),
        token_hash: Set(user.token_hash.clone()),
        created_at: NotSet,
        updated_at: Set(user.updated_at),
    }
}

/// The account that a row keeps.
pub(super) fn account(row: user::Model) -> Result<User, StoreError> {
    Ok(User {
        id: UserId::from_uuid(row.id),
        kind: UserKind::from_name(&row.kind).ok_or(Failure::Unreadable("kind".into()))?,
        email: row.email,
        name: row.name,
        language: row.language,
        token_hash: row.token_hash,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn sign_in(row: session::Model) -> Session {
    let code = row.code_hash.zip(row.code_expires_at);
    Session {
        id: SessionId::from_uuid(row.id),
        user: UserId::from_uuid(row.user_id),
        code: code.map(|(hash, expires_at)| SignInCode { hash, expires_at }),
        expires_at: row.expires_at,
        created_at: row.created_at,
    }
}
