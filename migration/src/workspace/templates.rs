//! The table of templates: a row for each version.

use super::{key, moment, moment_if_any, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Index, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("templates")
        .col(key(backend, "id", 32).not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(key(backend, "channel", 20).not_null())
        .col(ColumnDef::new("email").json_binary())
        .col(ColumnDef::new("web").json_binary())
        .col(ColumnDef::new("category").text().not_null())
        .col(ColumnDef::new("template_macro_id").text())
        .col(ColumnDef::new("integration_id").uuid())
        .col(ColumnDef::new("test_data").json_binary().not_null())
        .col(ColumnDef::new("settings").json_binary().not_null())
        .col(ColumnDef::new("translations").json_binary().not_null())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .col(moment_if_any("deleted_at"))
        .primary_key(Index::create().col("id").col("version"))
        .take();
    tables(backend, &table, &[])
}
