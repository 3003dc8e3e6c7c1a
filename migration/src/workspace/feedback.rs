//! The tables of what providers report, and of the addresses that get no newsletters any longer.

use super::{index, key, long_key, moment, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, Index, IndexOrder, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let mut statements = events(backend);
    statements.extend(suppressions(backend));
    statements
}

fn events(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("inbound_webhook_events")
        .col(key(backend, "id", 36).not_null().primary_key())
        .col(key(backend, "type", 20).not_null())
        .col(key(backend, "source", 50).not_null())
        .col(key(backend, "integration_id", 36))
        .col(key(backend, "recipient_email", 255).not_null())
        .col(long_key(backend, "message_id"))
        .col(key(backend, "bounce_class", 20))
        .col(ColumnDef::new("bounce_type").text())
        .col(ColumnDef::new("bounce_category").text())
        .col(ColumnDef::new("bounce_diagnostic").text())
        .col(ColumnDef::new("complaint_feedback_type").text())
        .col(moment("timestamp"))
        .col(ColumnDef::new("raw_payload").text().not_null())
        .col(moment("created_at"))
        .take();
    let of_message = index("inbound_webhook_events_message_id", "inbound_webhook_events", &["message_id"])
        .and_where(Expr::col("message_id").is_not_null())
        .take();
    let newest_first = Index::create()
        .name("inbound_webhook_events_timestamp_id")
        .table("inbound_webhook_events")
        .col(("timestamp", IndexOrder::Desc))
        .col(("id", IndexOrder::Desc))
        .take();
    let of_recipient = index(
        "inbound_webhook_events_recipient_email",
        "inbound_webhook_events",
        &["recipient_email", "type", "timestamp"],
    );
    tables(backend, &table, &[of_message, newest_first, of_recipient])
}

/// An address is kept as a hash, so that it can outlive its contact.
fn suppressions(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("suppressions")
        .col(key(backend, "email_hash", 64).not_null().primary_key())
        .col(key(backend, "reason", 20).not_null())
        .col(moment("created_at"))
        .take();
    tables(backend, &table, &[])
}
