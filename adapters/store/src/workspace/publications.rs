//! Pages: broadcasts that the public may see.

use super::{
    broadcasts::{COLUMNS, broadcast},
    expressions::{count_of_rows, counted, read_all, rows},
};
use crate::session::Session;
use application::{
    page::Counted,
    ports::{PublicationStore, StoreError},
};
use async_trait::async_trait;
use domain::{Timestamp, broadcasts::Broadcast, slug::Slug};
use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query};

#[async_trait]
impl PublicationStore for Session {
    async fn publications(
        &mut self,
        now: Timestamp,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, StoreError> {
        let mut found = Query::select();
        found
            .from("broadcasts")
            .and_where(Expr::col("web_slug").is_not_null())
            .and_where(Expr::col("web_published_at").lte(now))
            .and_where(Expr::col("started_at").is_not_null())
            .and_where(Expr::col("cancelled_at").is_null());
        let total = counted(self, count_of_rows(&mut found.clone())).await?;
        found
            .columns(COLUMNS)
            .order_by("web_published_at", Order::Desc)
            .order_by("id", Order::Asc)
            .limit(rows(limit))
            .offset(rows(offset));
        Ok(Counted { items: read_all(&self.all(&found).await?, broadcast)?, total })
    }

    async fn publication_by_slug(&mut self, slug: &Slug) -> Result<Option<Broadcast>, StoreError> {
        let query = Query::select()
            .columns(COLUMNS)
            .from("broadcasts")
            .and_where(Expr::col("web_slug").eq(slug.as_str()))
            .take();
        self.one(&query).await?.map(|row| broadcast(&row)).transpose()
    }
}
