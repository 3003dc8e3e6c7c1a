//! The tables of broadcasts and of their accounts: a line for each recipient.

use super::{index, key, moment, moment_if_any, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Index, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let mut statements = broadcasts(backend);
    statements.extend(recipients(backend));
    statements.extend(feeds(backend));
    statements
}

fn broadcasts(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("broadcasts")
        .col(key(backend, "id", 32).not_null().primary_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(key(backend, "status", 20).not_null())
        .col(ColumnDef::new("audience").json_binary().not_null())
        .col(ColumnDef::new("variations").json_binary().not_null())
        .col(ColumnDef::new("utm_parameters").json_binary().not_null())
        .col(ColumnDef::new("metadata").json_binary())
        .col(ColumnDef::new("channels").json_binary().not_null())
        .col(ColumnDef::new("web_settings").json_binary())
        .col(ColumnDef::new("data_feed").json_binary().not_null())
        .col(key(backend, "web_slug", 100).unique_key())
        .col(moment_if_any("web_published_at"))
        .col(ColumnDef::new("test").json_binary())
        .col(key(backend, "winning_template", 32))
        .col(moment_if_any("test_sent_at"))
        .col(ColumnDef::new("template_versions").json_binary())
        .col(ColumnDef::new("integration_id").uuid())
        .col(ColumnDef::new("schedule").json_binary())
        .col(key(backend, "progress", 20))
        .col(moment_if_any("due_at"))
        .col(ColumnDef::new("pause_reason").text())
        .col(key(backend, "cursor", 255))
        .col(ColumnDef::new("enqueued_count").big_integer().not_null())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .col(moment_if_any("started_at"))
        .col(moment_if_any("completed_at"))
        .col(moment_if_any("paused_at"))
        .col(moment_if_any("cancelled_at"))
        .take();
    let by_status = index("broadcasts_status", "broadcasts", &["status", "due_at"]);
    let published = index("broadcasts_published", "broadcasts", &["web_published_at", "id"]);
    tables(backend, &table, &[by_status, published])
}

/// What global feeds said, apart from their broadcasts: it can be large, and is seldom read.
fn feeds(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("broadcast_feeds")
        .col(key(backend, "broadcast_id", 32).not_null().primary_key())
        .col(ColumnDef::new("data").text().not_null())
        .take();
    tables(backend, &table, &[])
}

fn recipients(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("broadcast_recipients")
        .col(key(backend, "broadcast_id", 32).not_null())
        .col(key(backend, "contact_email", 255).not_null())
        .col(key(backend, "list_id", 32).not_null())
        .col(ColumnDef::new("variation").small_integer().not_null())
        .col(ColumnDef::new("in_test").boolean().not_null())
        .col(key(backend, "message_id", 100).not_null())
        .col(key(backend, "state", 20).not_null())
        .col(key(backend, "skip_reason", 20))
        .col(moment("planned_at"))
        .primary_key(Index::create().col("broadcast_id").col("contact_email"))
        .take();
    let by_message =
        index("broadcast_recipients_message_id", "broadcast_recipients", &["message_id"]).unique().take();
    let by_state = index("broadcast_recipients_state", "broadcast_recipients", &["broadcast_id", "state"]);
    let by_contact = index("broadcast_recipients_contact_email", "broadcast_recipients", &["contact_email"]);
    tables(backend, &table, &[by_message, by_state, by_contact])
}
