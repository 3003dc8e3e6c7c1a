//! What the tests of this crate share.

use crate::{connection::SqliteLink, session::Session};
use migration::{Migrator, SYSTEM, WORKSPACE};

/// An empty workspace database that ends with the session.
pub(crate) async fn workspace() -> Session {
    in_memory(&WORKSPACE).await
}

/// An empty system database that ends with the session.
pub(crate) async fn system() -> Session {
    in_memory(&SYSTEM).await
}

async fn in_memory(migrator: &Migrator) -> Session {
    let connection = SqliteLink::default().open_in_memory().await.unwrap();
    migrator.up(&connection).await.unwrap();
    Session::bare(connection)
}
