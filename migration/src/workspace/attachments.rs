//! The table of the bytes of attached files.

use super::{index, key, moment, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("message_attachments")
        .col(key(backend, "checksum", 64).not_null().primary_key())
        .col(moment("needed_until"))
        .col(moment("created_at"))
        .col(ColumnDef::new("content").blob().not_null())
        .take();
    let unneeded_first = index("message_attachments_needed_until", "message_attachments", &["needed_until"]);
    tables(backend, &table, &[unneeded_first])
}
