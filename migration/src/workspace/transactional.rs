//! The table of transactional notifications.

use super::{key, moment, moment_if_any, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("transactional_notifications")
        .col(key(backend, "id", 32).not_null().primary_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("description").text().not_null())
        .col(ColumnDef::new("channels").json_binary().not_null())
        .col(ColumnDef::new("tracking_settings").json_binary().not_null())
        .col(ColumnDef::new("metadata").json_binary().not_null())
        .col(ColumnDef::new("integration_id").uuid())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .col(moment_if_any("deleted_at"))
        .take();
    tables(backend, &table, &[])
}
