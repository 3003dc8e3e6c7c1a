//! A workspace database of its own for each test, with sessions beside any broker.

use crate::{
    session::Session,
    testing::{postgres_connection, workspace},
};
use sea_orm::{ConnectionTrait as _, Statement};
use tests::postgres::{Databases, server};

/// A workspace database with all its tables.
pub(super) struct Database {
    /// A session without a transaction.
    pub(super) session: Session,
    place: Option<Databases>,
}

impl Database {
    pub(super) async fn on_sqlite() -> Self {
        Self { session: workspace().await, place: None }
    }

    pub(super) async fn on_postgres() -> Self {
        let place = Databases::new();
        let name = name(&place);
        let maintenance = postgres_connection(&server().database).await;
        let sql =
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'");
        maintenance.execute_unprepared(&sql).await.unwrap();
        let connection = postgres_connection(&name).await;
        migration::WORKSPACE.up(&connection).await.unwrap();
        Self { session: Session::bare(connection), place: Some(place) }
    }

    /// Another session of the same PostgreSQL database.
    pub(super) async fn another(&self) -> Session {
        Session::bare(postgres_connection(&name(self.place.as_ref().unwrap())).await)
    }
}

/// Runs a statement that answers nothing, such as `BEGIN`.
pub(super) async fn run(session: &mut Session, sql: &str) {
    let statement = Statement::from_string(session.backend(), sql);
    session.exec_raw(statement).await.unwrap();
}

fn name(place: &Databases) -> String {
    format!("{}_ws", place.prefix())
}
