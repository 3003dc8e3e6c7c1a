//! The bytes of attached files: equal ones are stored once, under their checksum.

use super::expressions::{given, read_all, rows};
use crate::session::{Fields as _, Session};
use application::ports::{AttachmentStore, FileContent, StoreError};
use async_trait::async_trait;
use chrono::Duration;
use domain::Timestamp;
use sea_orm::sea_query::{
    Expr, ExprTrait as _, LockBehavior, LockType, OnConflict, Order, Query, SelectStatement,
};

const TABLE: &str = "message_attachments";

#[async_trait]
impl AttachmentStore for Session {
    async fn insert_contents_if_absent(
        &mut self,
        contents: &[FileContent],
        needed_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // In one order everywhere, so that two units never wait for each other.
        let mut contents: Vec<&FileContent> = contents.iter().collect();
        contents.sort_by(|a, b| a.checksum.cmp(&b.checksum));
        contents.dedup_by(|a, b| a.checksum == b.checksum);
        for FileContent { checksum, content } in contents {
            // Looked at first: bytes that are there already are not sent to the server again. The note
            // keeps them from being purged before this unit ends.
            let note = Query::update()
                .table(TABLE)
                .value("needed_until", needed_until)
                .and_where(Expr::col("checksum").eq(checksum.as_str()))
                .and_where(Expr::col("needed_until").lt(needed_until - Duration::days(1)))
                .take();
            if self.exec(&note).await? > 0 || self.has_content(checksum).await? {
                continue;
            }
            let insertion = Query::insert()
                .into_table(TABLE)
                .columns(["checksum", "content", "needed_until", "created_at"])
                .values_panic([
                    checksum.as_str().into(),
                    content.to_vec().into(),
                    needed_until.into(),
                    now.into(),
                ])
                .on_conflict(OnConflict::column("checksum").do_nothing().to_owned())
                .take();
            self.exec(&insertion).await?;
        }
        Ok(())
    }

    async fn contents(&mut self, checksums: &[&str]) -> Result<Vec<FileContent>, StoreError> {
        let query = Query::select()
            .columns(["checksum", "content"])
            .from(TABLE)
            .and_where(Expr::col("checksum").in_subquery(given(self.backend(), checksums.iter().copied())))
            .take();
        read_all(&self.all(&query).await?, |row| {
            Ok(FileContent {
                checksum: row.field("checksum")?,
                content: row.field::<Vec<u8>>("content")?.into(),
            })
        })
    }

    async fn purge_contents(&mut self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let chosen = next(limit)
            .column("checksum")
            .and_where(Expr::col("needed_until").lte(now))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let removal =
            Query::delete().from_table(TABLE).and_where(Expr::col("checksum").in_subquery(chosen)).take();
        self.exec(&removal).await
    }

    async fn next_content_purge(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let query = next(1).column("needed_until").take();
        self.one(&query).await?.map(|row| row.field("needed_until")).transpose()
    }
}

impl Session {
    async fn has_content(&mut self, checksum: &str) -> Result<bool, StoreError> {
        let query = Query::select()
            .column("checksum")
            .from(TABLE)
            .and_where(Expr::col("checksum").eq(checksum))
            .take();
        Ok(self.one(&query).await?.is_some())
    }
}

/// Contents in the order in which they are no longer needed, without columns yet.
fn next(limit: usize) -> SelectStatement {
    Query::select().from(TABLE).order_by("needed_until", Order::Asc).limit(rows(limit as u64)).take()
}
