//! The tables of lists and of who is on them.

use super::{index, key, moment, moment_if_any, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, Index, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let mut statements = lists(backend);
    statements.extend(memberships(backend));
    statements
}

fn lists(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("lists")
        .col(key(backend, "id", 32).not_null().primary_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("is_double_optin").boolean().not_null())
        .col(ColumnDef::new("is_public").boolean().not_null())
        .col(ColumnDef::new("description").text().not_null())
        .col(ColumnDef::new("double_optin_template").json_binary())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .col(moment_if_any("deleted_at"))
        .take();
    tables(backend, &table, &[])
}

fn memberships(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("contact_lists")
        .col(key(backend, "email", 255).not_null())
        .col(key(backend, "list_id", 32).not_null())
        .col(key(backend, "status", 20).not_null())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .col(moment_if_any("deleted_at"))
        .primary_key(Index::create().col("email").col("list_id"))
        .take();
    let live = index("contact_lists_live", "contact_lists", &["list_id", "status", "email"])
        .and_where(Expr::col("deleted_at").is_null())
        .take();
    let by_list = index("contact_lists_list_id", "contact_lists", &["list_id"]);
    tables(backend, &table, &[live, by_list])
}
