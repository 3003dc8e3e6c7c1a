//! Keys that make sends repeatable.

use crate::{
    failure::Failure,
    session::{Fields as _, Session},
};
use application::ports::{IdempotencyStore, Reservation, StoreError};
use async_trait::async_trait;
use domain::{Timestamp, ids::MessageId};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};

#[async_trait]
impl IdempotencyStore for Session {
    async fn reserve_key(
        &mut self,
        key: &str,
        fingerprint: &str,
        message: &MessageId,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        let reservation = Query::insert()
            .into_table("idempotency_keys")
            .columns(["key", "fingerprint", "message_id", "created_at"])
            .values_panic([key.into(), fingerprint.into(), message.as_str().into(), now.into()])
            .on_conflict(OnConflict::column("key").do_nothing().to_owned())
            .take();
        if self.exec(&reservation).await? > 0 {
            return Ok(Reservation::Reserved);
        }
        // Whoever held the key has committed by now, so the next statement sees it.
        let query = Query::select()
            .columns(["message_id", "fingerprint"])
            .from("idempotency_keys")
            .and_where(Expr::col("key").eq(key))
            .take();
        let row = self.one(&query).await?.ok_or(Failure::Driver("a key vanished"))?;
        Ok(Reservation::Taken {
            message: row.parsed("message_id", MessageId::parse)?,
            fingerprint: row.field("fingerprint")?,
        })
    }
}
