//! Workspaces, who belongs to them or is invited, and their integrations.

use super::{belongs_to, index, json, moment, text, text_if_any, uuid};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Index, Table, TableCreateStatement},
};

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let one_per_address = Index::create()
        .name("workspace_invitations_address")
        .table("workspace_invitations")
        .col("workspace_id")
        .col("email")
        .unique()
        .take();
    vec![
        backend.build(&workspaces(backend)).sql,
        backend.build(&members(backend)).sql,
        backend.build(&index("user_workspaces_workspace_id", "user_workspaces", "workspace_id")).sql,
        backend.build(&invitations(backend)).sql,
        backend.build(&one_per_address).sql,
        backend.build(&integrations(backend)).sql,
        backend.build(&index("integrations_workspace_id", "integrations", "workspace_id")).sql,
        backend.build(&gates()).sql,
    ]
}

fn workspaces(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("workspaces")
        .col(text(backend, "id").primary_key())
        .col(text(backend, "name"))
        .col(json("settings"))
        .col(text(backend, "secret_key"))
        .col(text(backend, "state"))
        .col(text(backend, "database_name").unique_key())
        .col(text_if_any(backend, "custom_endpoint_host").unique_key())
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .take()
}

fn members(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("user_workspaces")
        .col(uuid("user_id"))
        .col(text(backend, "workspace_id"))
        .col(text(backend, "role"))
        .col(json("permissions"))
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .primary_key(Index::create().col("user_id").col("workspace_id"))
        .foreign_key(&mut belongs_to("user_workspaces", "user_id", "users"))
        .foreign_key(&mut belongs_to("user_workspaces", "workspace_id", "workspaces"))
        .take()
}

fn invitations(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("workspace_invitations")
        .col(uuid("id").primary_key())
        .col(text(backend, "workspace_id"))
        .col(uuid("inviter_id"))
        .col(text(backend, "email"))
        .col(json("permissions"))
        .col(moment("expires_at"))
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .foreign_key(&mut belongs_to("workspace_invitations", "workspace_id", "workspaces"))
        .take()
}

/// How far the rate of a provider is used up and whether it works: small rows, as they change often.
fn gates() -> TableCreateStatement {
    let moment_if_any = |name: &'static str| ColumnDef::new(name).timestamp_with_time_zone().take();
    let number = |name: &'static str| ColumnDef::new(name).big_integer().not_null().take();
    Table::create()
        .table("integration_gates")
        .col(uuid("integration_id").primary_key())
        .col(moment("full_at"))
        .col(number("per_minute"))
        .col(moment_if_any("circuit_version"))
        .col(number("failures"))
        .col(number("trips"))
        .col(moment_if_any("open_until"))
        .col(ColumnDef::new("on_trial").boolean().not_null())
        .foreign_key(&mut belongs_to("integration_gates", "integration_id", "integrations"))
        .take()
}

fn integrations(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("integrations")
        .col(uuid("id").primary_key())
        .col(text(backend, "workspace_id"))
        .col(text(backend, "name"))
        .col(json("provider"))
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .foreign_key(&mut belongs_to("integrations", "workspace_id", "workspaces"))
        .take()
}
