//! The tables of a workspace database.

mod attachments;
mod broadcasts;
mod contacts;
mod deliveries;
mod feedback;
mod lists;
mod messages;
mod templates;
mod tracking;
mod transactional;

use crate::Step;
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Index, IndexCreateStatement, TableCreateStatement},
};

/// The steps in the order in which they are taken. A published step is never changed, only followed.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "0001_contacts", statements: contacts::create },
    Step { name: "0002_lists", statements: lists::create },
    Step { name: "0003_templates", statements: templates::create },
    Step { name: "0004_transactional", statements: transactional::create },
    Step { name: "0005_broadcasts", statements: broadcasts::create },
    Step { name: "0006_deliveries", statements: deliveries::create },
    Step { name: "0007_messages", statements: messages::create },
    Step { name: "0008_attachments", statements: attachments::create },
    Step { name: "0009_tracking", statements: tracking::create },
    Step { name: "0010_feedback", statements: feedback::create },
];

/// A table with its indexes, as one engine writes them.
fn tables(backend: DbBackend, table: &TableCreateStatement, indexes: &[IndexCreateStatement]) -> Vec<String> {
    let table = backend.build(table).sql;
    std::iter::once(table).chain(indexes.iter().map(|index| backend.build(index).sql)).collect()
}

/// A text column whose values are compared byte by byte on both engines: identifiers, addresses and
/// the names of states.
fn key(backend: DbBackend, name: &'static str, length: u32) -> ColumnDef {
    bytewise(backend, ColumnDef::new(name).string_len(length))
}

/// A [`key`] without a limit of its length.
fn long_key(backend: DbBackend, name: &'static str) -> ColumnDef {
    bytewise(backend, ColumnDef::new(name).text())
}

fn bytewise(backend: DbBackend, column: &mut ColumnDef) -> ColumnDef {
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column.take()
}

/// A moment that is always known.
fn moment(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().not_null().take()
}

/// A moment that may be unknown.
fn moment_if_any(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).timestamp_with_time_zone().take()
}

/// An index of a table over some columns in ascending order.
fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}
