//! Where work is due.

use super::{index, moment, text};
use sea_orm::{
    DbBackend,
    sea_query::{Index, Table},
};

/// The table has no foreign key: entries come and go often, and one of a workspace that is gone does
/// no harm.
pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let work = Table::create()
        .table("work_index")
        .col(text(backend, "workspace_id"))
        .col(text(backend, "kind"))
        .col(moment("due_at"))
        .col(moment("promised_at"))
        .primary_key(Index::create().col("workspace_id").col("kind"))
        .take();
    vec![backend.build(&work).sql, backend.build(&index("work_index_due_at", "work_index", "due_at")).sql]
}
