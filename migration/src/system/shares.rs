//! How processes share the budget of connections. Files belong to one process and need no such table.

use super::text;
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    if backend != DbBackend::Postgres {
        return Vec::new();
    }
    let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
    let shares = Table::create()
        .table("broker_shares")
        .col(text(backend, "instance").primary_key())
        .col(number("share"))
        .col(number("target"))
        .col(number("wanted"))
        .col(number("floor"))
        .col(number("budget"))
        .col(number("generation"))
        .col(number("expires_at"))
        .col(number("decided_at"))
        .take();
    vec![backend.build(&shares).sql]
}
