//! Accounts, their sessions, and the settings of the installation.

use super::{belongs_to, index, moment, text, uuid};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Table},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let users = Table::create()
        .table("users")
        .col(uuid("id").primary_key())
        .col(text(backend, "kind"))
        .col(text(backend, "email").unique_key())
        .col(ColumnDef::new("name").text())
        .col(text(backend, "language"))
        .col(ColumnDef::new("token_hash").text())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .take();
    let sessions = Table::create()
        .table("user_sessions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(ColumnDef::new("code_hash").text())
        .col(ColumnDef::new("code_expires_at").timestamp_with_time_zone())
        .col(moment("expires_at"))
        .col(moment("created_at"))
        .foreign_key(&mut belongs_to("user_sessions", "user_id", "users"))
        .take();
    let settings = Table::create()
        .table("settings")
        .col(text(backend, "key").primary_key())
        .col(text(backend, "value"))
        .take();
    vec![
        backend.build(&users).sql,
        backend.build(&sessions).sql,
        backend.build(&index("user_sessions_user_id", "user_sessions", "user_id")).sql,
        backend.build(&index("user_sessions_expires_at", "user_sessions", "expires_at")).sql,
        backend.build(&settings).sql,
    ]
}
