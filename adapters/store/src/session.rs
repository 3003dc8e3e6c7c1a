//! A leased connection as the stores see it: it runs statements and remembers a failure.
//!
//! Moments are bound as `DateTime<Utc>` on both engines and read back with `field::<Timestamp>`.
//! PostgreSQL keeps `timestamptz`; SQLite keeps text of fixed width with microseconds in UTC
//! (`2026-01-31T09:00:00.000001+00:00`, made in `connection.rs`), so `<`, `MIN` and `ORDER BY` work
//! alike. Bind nothing but UTC. JSON is `jsonb` or text, UUIDs are `uuid` or 16 bytes; both are
//! bound and read as `serde_json::Value` and `Uuid`. Unsigned values over `i64::MAX` can't be kept.

use crate::{
    connection::Connection,
    connector::EngineConnector,
    failure::{Failure, store_error},
    naming::Naming,
};
use application::ports::StoreError;
use broker::Lease;
use sea_orm::{
    ConnectionTrait as _, DbBackend, DbErr, EntityTrait, FromQueryResult as _, QueryResult, QueryTrait as _,
    Select, Statement, StatementBuilder, TryGetable,
};
use serde::de::DeserializeOwned;

/// A leased connection, perhaps with an open transaction, that remembers a failure.
pub struct Session {
    held: Held,
    engine: DbBackend,
    naming: Naming,
    unit: Unit,
}

/// What a session holds on to.
enum Held {
    Lease(Lease<EngineConnector>),
    #[cfg(test)]
    Bare(Box<Connection>),
}

impl Held {
    fn connection(&mut self) -> &Connection {
        match self {
            Self::Lease(lease) => lease.connection(),
            #[cfg(test)]
            Self::Bare(connection) => connection,
        }
    }
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// There is none: each statement is kept by itself.
    None,
    /// Everything so far succeeded.
    Open,
    /// A statement failed: nothing will be kept.
    Failed,
}

impl Session {
    /// How many identifiers are put into one statement.
    pub(crate) const IDS_PER_STATEMENT: usize = 500;

    /// How databases of new workspaces are called.
    pub(crate) fn naming(&self) -> &Naming {
        &self.naming
    }

    /// The engine, for the few statements that differ.
    pub(crate) fn backend(&self) -> DbBackend {
        self.engine
    }

    /// A session in which each statement is kept by itself.
    pub(crate) fn reading(mut lease: Lease<EngineConnector>, naming: Naming) -> Self {
        let engine = lease.connection().get_database_backend();
        Self { held: Held::Lease(lease), engine, naming, unit: Unit::None }
    }

    /// A session with a transaction, which is rolled back unless it is committed.
    pub(crate) async fn begin(mut lease: Lease<EngineConnector>, naming: Naming) -> Result<Self, StoreError> {
        // Before the first statement, so that it also holds for one that is given up midway.
        lease.mark_dirty();
        let mut session = Self::reading(lease, naming);
        let begin = match session.engine {
            // A transaction that reads first could not become a writer beside another one.
            DbBackend::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN",
        };
        session.held.connection().execute_unprepared(begin).await.map_err(store_error)?;
        session.unit = Unit::Open;
        Ok(session)
    }

    /// Keeps everything that was written.
    #[tracing::instrument(name = "sql", level = "debug", skip_all, fields(otel.kind = "client", db.system = ?self.engine))]
    pub(crate) async fn keep(mut self) -> Result<(), StoreError> {
        self.refuse_after_failure()?;
        self.held.connection().execute_unprepared("COMMIT").await.map_err(store_error)?;
        self.unit = Unit::None;
        match &mut self.held {
            Held::Lease(lease) => lease.mark_clean(),
            #[cfg(test)]
            Held::Bare(_) => {}
        }
        Ok(())
    }

    /// All rows of a query.
    pub(crate) async fn all(
        &mut self,
        query: &impl StatementBuilder,
    ) -> Result<Vec<QueryResult>, StoreError> {
        self.all_raw(self.engine.build(query)).await
    }

    /// The first row of a query.
    #[tracing::instrument(name = "sql", level = "debug", skip_all, fields(otel.kind = "client", db.system = ?self.engine))]
    pub(crate) async fn one(
        &mut self,
        query: &impl StatementBuilder,
    ) -> Result<Option<QueryResult>, StoreError> {
        self.refuse_after_failure()?;
        let query = self.engine.build(query);
        let outcome = self.held.connection().query_one_raw(query).await;
        self.noted(outcome)
    }

    /// The number of rows that a statement has changed.
    pub(crate) async fn exec(&mut self, statement: &impl StatementBuilder) -> Result<u64, StoreError> {
        self.exec_raw(self.engine.build(statement)).await
    }

    /// All rows of a query given as SQL.
    #[tracing::instrument(name = "sql", level = "debug", skip_all, fields(otel.kind = "client", db.system = ?self.engine))]
    pub(crate) async fn all_raw(&mut self, query: Statement) -> Result<Vec<QueryResult>, StoreError> {
        self.refuse_after_failure()?;
        let outcome = self.held.connection().query_all_raw(query).await;
        self.noted(outcome)
    }

    /// The number of rows that a statement given as SQL has changed.
    #[tracing::instrument(name = "sql", level = "debug", skip_all, fields(otel.kind = "client", db.system = ?self.engine))]
    pub(crate) async fn exec_raw(&mut self, statement: Statement) -> Result<u64, StoreError> {
        self.refuse_after_failure()?;
        let outcome = self.held.connection().execute_raw(statement).await;
        Ok(self.noted(outcome)?.rows_affected())
    }

    /// All rows of an entity's query.
    pub(crate) async fn models<E: EntityTrait>(
        &mut self,
        query: Select<E>,
    ) -> Result<Vec<E::Model>, StoreError> {
        let rows = self.all(&query.into_query()).await?;
        rows.iter().map(|row| E::Model::from_query_result(row, "").map_err(store_error)).collect()
    }

    /// The first row of an entity's query.
    pub(crate) async fn model<E: EntityTrait>(
        &mut self,
        query: Select<E>,
    ) -> Result<Option<E::Model>, StoreError> {
        let row = self.one(&query.into_query()).await?;
        row.map(|row| E::Model::from_query_result(&row, "").map_err(store_error)).transpose()
    }

    fn refuse_after_failure(&self) -> Result<(), StoreError> {
        if self.unit == Unit::Failed { Err(StoreError::Abandoned) } else { Ok(()) }
    }

    fn noted<T>(&mut self, outcome: Result<T, DbErr>) -> Result<T, StoreError> {
        if outcome.is_err() && self.unit == Unit::Open {
            self.unit = Unit::Failed;
        }
        outcome.map_err(store_error)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match &mut self.held {
            Held::Lease(lease) => {
                if !lease.connection().is_sound() {
                    lease.mark_broken();
                }
            }
            #[cfg(test)]
            Held::Bare(_) => {}
        }
    }
}

/// Reads the columns of a row.
pub(crate) trait Fields {
    /// The value of a column: text, number, truth, `Timestamp`, `Uuid`, or an `Option` of these.
    fn field<T: TryGetable>(&self, column: &'static str) -> Result<T, StoreError>;

    /// The value kept as JSON in a column.
    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError>;

    /// The value that the text of a column stands for.
    fn parsed<T, E>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError>;
}

impl Fields for QueryResult {
    fn field<T: TryGetable>(&self, column: &'static str) -> Result<T, StoreError> {
        self.try_get("", column).map_err(|_| Failure::Unreadable(column.into()).into())
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        from_json(self.field(column)?, column)
    }

    fn parsed<T, E>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let text: String = self.field(column)?;
        parse(&text).map_err(|_| Failure::Unreadable(column.into()).into())
    }
}

/// Reads a value kept as JSON.
pub(crate) fn from_json<T: DeserializeOwned>(
    json: serde_json::Value,
    column: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_value(json).map_err(|_| Failure::Unreadable(column.into()).into())
}

/// Turns a value into the JSON that is kept of it.
pub(crate) fn to_json(
    value: &impl serde::Serialize,
    column: &'static str,
) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(value).map_err(|_| Failure::Unwritable(column).into())
}

#[cfg(test)]
impl Session {
    /// A session of a connection without a broker, for the tests of the stores.
    pub(crate) fn bare(connection: Connection) -> Self {
        let engine = connection.get_database_backend();
        Self { held: Held::Bare(Box::new(connection)), engine, naming: Naming::Plain, unit: Unit::None }
    }
}
