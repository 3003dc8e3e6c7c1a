//! The index of due work.

use crate::{entity::work, failure::Failure, session::Session};
use application::ports::{StoreError, WorkItem, WorkKind, WorkStore};
use async_trait::async_trait;
use domain::{Timestamp, ids::WorkspaceId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, DbBackend, EntityTrait as _, Insert, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
    sea_query::{Expr, Func, OnConflict, SimpleExpr},
};

#[async_trait]
impl WorkStore for Session {
    async fn promise_work(&mut self, item: &WorkItem) -> Result<(), StoreError> {
        let row = work::ActiveModel {
            workspace_id: Set(item.workspace.as_str().to_owned()),
            kind: Set(item.kind.name().to_owned()),
            due_at: Set(item.due_at),
            promised_at: Set(item.promised_at),
        };
        let (earlier, later) = match self.backend() {
            DbBackend::Sqlite => ("MIN", "MAX"),
            _ => ("LEAST", "GREATEST"),
        };
        let move_entry = OnConflict::columns([work::Column::WorkspaceId, work::Column::Kind])
            .value(work::Column::DueAt, of_both(earlier, work::Column::DueAt))
            .value(work::Column::PromisedAt, of_both(later, work::Column::PromisedAt))
            .to_owned();
        self.exec(&Insert::one(row).on_conflict(move_entry).into_query()).await.map(drop)
    }

    async fn due_work(&mut self, now: Timestamp, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let query = work::Entity::find()
            .filter(work::Column::DueAt.lte(now))
            .order_by_asc(work::Column::DueAt)
            .order_by_asc(work::Column::WorkspaceId)
            .order_by_asc(work::Column::Kind)
            .limit(u64::try_from(limit).unwrap_or(u64::MAX).min(i64::MAX as u64));
        self.models(query).await?.iter().map(entry).collect()
    }

    async fn next_work_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let query = work::Entity::find().order_by_asc(work::Column::DueAt).limit(1);
        Ok(self.model(query).await?.map(|row| row.due_at))
    }

    async fn conclude_work(
        &mut self,
        seen: &WorkItem,
        next_due: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let as_seen = Condition::all()
            .add(work::Column::WorkspaceId.eq(seen.workspace.as_str()))
            .add(work::Column::Kind.eq(seen.kind.name()))
            .add(work::Column::PromisedAt.eq(seen.promised_at));
        let changed = match next_due {
            Some(due) => {
                let update = work::Entity::update_many()
                    .col_expr(work::Column::DueAt, Expr::value(due))
                    .filter(as_seen);
                self.exec(&update.into_query()).await?
            }
            None => self.exec(&work::Entity::delete_many().filter(as_seen).into_query()).await?,
        };
        Ok(changed > 0)
    }
}

/// A function of the stored and the new value of a column.
fn of_both(function: &'static str, column: work::Column) -> SimpleExpr {
    Func::cust(function).arg(Expr::col((work::Entity, column))).arg(Expr::col(("excluded", column))).into()
}

fn entry(row: &work::Model) -> Result<WorkItem, StoreError> {
    Ok(WorkItem {
        workspace: WorkspaceId::parse(&row.workspace_id)
            .map_err(|_| Failure::Unreadable("workspace_id".into()))?,
        kind: WorkKind::from_name(&row.kind).ok_or(Failure::Unreadable("kind".into()))?,
        due_at: row.due_at,
        promised_at: row.promised_at,
    })
}
