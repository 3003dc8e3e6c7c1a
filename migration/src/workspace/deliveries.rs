//! The table of the queue. Its rows are short-lived; finished ones are deleted.

use super::{index, key, moment, moment_if_any, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, ConditionalStatement as _, Expr, ExprTrait as _, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("deliveries")
        .col(key(backend, "message_id", 100).not_null().primary_key())
        .col(key(backend, "source_type", 20).not_null())
        .col(key(backend, "source_id", 32).not_null())
        .col(key(backend, "list_id", 32))
        .col(key(backend, "recipient", 255).not_null())
        .col(key(backend, "template_id", 32).not_null())
        .col(ColumnDef::new("template_version").big_integer().not_null())
        .col(ColumnDef::new("integration_id").uuid().not_null())
        .col(ColumnDef::new("priority").small_integer().not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        .col(key(backend, "state", 20).not_null())
        .col(moment("due_at"))
        .col(moment_if_any("lease_until"))
        .col(moment("created_at"))
        .take();
    let waiting =
        index("deliveries_waiting", "deliveries", &["priority", "source_id", "due_at", "message_id"])
            .and_where(Expr::col("state").eq("waiting"))
            .take();
    let aside = index("deliveries_aside", "deliveries", &["source_id"])
        .and_where(Expr::col("state").eq("aside"))
        .take();
    let leased = index("deliveries_leased", "deliveries", &["state", "lease_until"])
        .and_where(Expr::col("lease_until").is_not_null())
        .take();
    let by_recipient = index("deliveries_recipient", "deliveries", &["recipient"]);
    tables(backend, &table, &[waiting, aside, leased, by_recipient])
}
