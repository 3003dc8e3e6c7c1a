//! The system database: accounts, workspaces, who belongs to them, and where work is due.

mod accounts;
mod shares;
mod work;
mod workspaces;

use crate::step::Step;
use sea_orm::{
    DbBackend,
    sea_query::{
        ColumnDef, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index, IndexCreateStatement,
    },
};

/// All steps, oldest first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "0001_accounts", statements: accounts::create },
    Step { name: "0002_workspaces", statements: workspaces::create },
    Step { name: "0003_work", statements: work::create },
    Step { name: "0004_shares", statements: shares::create },
];

/// A text that is compared byte by byte on both engines and always known.
fn text(backend: DbBackend, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text().not_null();
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

/// The same for a text that may be missing.
fn text_if_any(backend: DbBackend, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text();
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

fn json(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).json_binary().not_null().take()
}

fn moment(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().not_null().take()
}

fn index(name: &'static str, table: &'static str, column: &'static str) -> IndexCreateStatement {
    Index::create().name(name).table(table).col(column).take()
}

/// Rows of `table` go with the row of `other` that their `column` names.
fn belongs_to(table: &'static str, column: &'static str, other: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, column).to(other, "id").on_delete(ForeignKeyAction::Cascade).take()
}
