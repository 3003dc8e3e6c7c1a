//! The tables of the history of messages and of the keys that make sends repeatable.

use super::{index, key, long_key, moment, moment_if_any, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, Index, IndexOrder, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let mut statements = history(backend);
    statements.extend(idempotency_keys(backend));
    statements
}

fn history(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("message_history")
        .col(key(backend, "id", 100).not_null().primary_key())
        .col(key(backend, "contact_email", 255).not_null())
        .col(long_key(backend, "external_id"))
        .col(key(backend, "broadcast_id", 32))
        .col(key(backend, "transactional_notification_id", 32))
        .col(key(backend, "list_id", 32))
        .col(key(backend, "template_id", 32).not_null())
        .col(ColumnDef::new("template_version").big_integer().not_null())
        .col(key(backend, "state", 20).not_null())
        .col(ColumnDef::new("status_info").text())
        .col(ColumnDef::new("message_data").text())
        .col(ColumnDef::new("metadata").json_binary())
        .col(ColumnDef::new("channel_options").json_binary().not_null())
        .col(moment_if_any("sent_at"))
        .col(moment_if_any("delivered_at"))
        .col(moment_if_any("failed_at"))
        .col(moment_if_any("opened_at"))
        .col(moment_if_any("clicked_at"))
        .col(moment_if_any("bounced_at"))
        .col(moment_if_any("complained_at"))
        .col(moment_if_any("unsubscribed_at"))
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .take();
    let known = |name, column| {
        index(name, "message_history", &[column]).and_where(Expr::col(column).is_not_null()).take()
    };
    let newest_first = Index::create()
        .name("message_history_created_at_id")
        .table("message_history")
        .col(("created_at", IndexOrder::Desc))
        .col(("id", IndexOrder::Desc))
        .take();
    tables(
        backend,
        &table,
        &[
            index("message_history_contact_email", "message_history", &["contact_email"]),
            known("message_history_broadcast_id", "broadcast_id"),
            known("message_history_external_id", "external_id"),
            newest_first,
        ],
    )
}

fn idempotency_keys(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("idempotency_keys")
        .col(key(backend, "scope", 20).not_null())
        .col(long_key(backend, "key").not_null())
        .col(key(backend, "fingerprint", 64).not_null())
        .col(key(backend, "message_id", 100).not_null())
        .col(moment("created_at"))
        .primary_key(Index::create().col("scope").col("key"))
        .take();
    let oldest_first = index("idempotency_keys_created_at", "idempotency_keys", &["created_at"]);
    tables(backend, &table, &[oldest_first])
}
