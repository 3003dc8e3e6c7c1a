//! Keys that make sends repeatable.

use super::expressions::rows;
use crate::{
    failure::Failure,
    session::{Fields as _, Session},
};
use application::ports::{IdempotencyStore, Reservation, StoreError};
use async_trait::async_trait;
use domain::{Timestamp, idempotency::IdempotencyKey, ids::MessageId};
use sea_orm::sea_query::{
    Expr, ExprTrait as _, LockBehavior, LockType, OnConflict, Order, Query, SelectStatement,
};

const TABLE: &str = "idempotency_keys";

#[async_trait]
impl IdempotencyStore for Session {
    async fn reserve_key(
        &mut self,
        key: &IdempotencyKey,
        fingerprint: &str,
        message: &MessageId,
        now: Timestamp,
        expired: Timestamp,
    ) -> Result<Reservation, StoreError> {
        let scope = key.scope().name();
        let reservation = Query::insert()
            .into_table(TABLE)
            .columns(["scope", "key", "fingerprint", "message_id", "created_at"])
            .values_panic([
                scope.into(),
                key.as_str().into(),
                fingerprint.into(),
                message.as_str().into(),
                now.into(),
            ])
            .on_conflict(
                OnConflict::columns(["scope", "key"])
                    .update_columns(["fingerprint", "message_id", "created_at"])
                    .action_and_where(Expr::col((TABLE, "created_at")).lte(expired))
                    .to_owned(),
            )
            .take();
        if self.exec(&reservation).await? > 0 {
            return Ok(Reservation::Reserved);
        }
        // Whoever held the key has committed by now, so the next statement sees it.
        self.find_key(key, expired).await?.ok_or_else(|| Failure::Driver("a key vanished").into())
    }

    async fn find_key(
        &mut self,
        key: &IdempotencyKey,
        expired: Timestamp,
    ) -> Result<Option<Reservation>, StoreError> {
        let query = Query::select()
            .columns(["message_id", "fingerprint"])
            .from(TABLE)
            .and_where(Expr::col("scope").eq(key.scope().name()))
            .and_where(Expr::col("key").eq(key.as_str()))
            .and_where(Expr::col("created_at").gt(expired))
            .take();
        let row = self.one(&query).await?;
        row.map(|row| {
            Ok(Reservation::Taken {
                message: row.parsed("message_id", MessageId::parse)?,
                fingerprint: row.field("fingerprint")?,
            })
        })
        .transpose()
    }

    async fn purge_keys(&mut self, expired: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let chosen = oldest(limit)
            .columns(["scope", "key"])
            .and_where(Expr::col("created_at").lte(expired))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let removal = Query::delete()
            .from_table(TABLE)
            .and_where(Expr::tuple([Expr::col("scope"), Expr::col("key")]).in_subquery(chosen))
            .take();
        self.exec(&removal).await
    }

    async fn oldest_key(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let query = oldest(1).column("created_at").take();
        self.one(&query).await?.map(|row| row.field("created_at")).transpose()
    }
}

/// The keys that were reserved first, without columns yet.
fn oldest(limit: usize) -> SelectStatement {
    Query::select().from(TABLE).order_by("created_at", Order::Asc).limit(rows(limit as u64)).take()
}
