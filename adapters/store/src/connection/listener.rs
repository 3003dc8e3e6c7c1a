//! A session that waits for what other processes tell.

use super::{Lane, PostgresLink, ServerSide};
use sqlx::{
    Executor as _, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use std::time::Duration;

/// One session that listens on one channel. It never connects anew by itself.
pub(crate) struct Listener {
    wire: PgListener,
    /// The library hands this kind of session out of a pool alone: here a pool of one.
    pool: PgPool,
    server: ServerSide,
}

impl PostgresLink {
    /// Opens a session that listens. The caller sets the deadline, `within` is for the library.
    pub(crate) async fn listen(
        &self,
        database: &str,
        channel: &str,
        within: Duration,
    ) -> Result<Listener, sqlx::Error> {
        let server = self.name(Lane::Listener);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .acquire_timeout(within)
            .connect_lazy_with(self.options(database, &server, false));
        let mut wire = PgListener::connect_with(&pool).await?;
        wire.eager_reconnect(false);
        wire.listen(channel).await?;
        Ok(Listener { wire, pool, server })
    }
}

impl Listener {
    /// How the server names this session.
    pub(crate) fn server_side(&self) -> &ServerSide {
        &self.server
    }

    /// What was told next; `None` when the session is lost. Nothing is missed when this is given up and
    /// called again.
    pub(crate) async fn next(&mut self) -> Option<String> {
        match self.wire.try_recv().await {
            Ok(told) => told.map(|told| told.payload().to_owned()),
            Err(_) => None,
        }
    }

    /// Whether the server still answers.
    pub(crate) async fn answers(&mut self, within: Duration) -> bool {
        matches!(tokio::time::timeout(within, self.wire.execute("SELECT 1")).await, Ok(Ok(_)))
    }

    /// Says goodbye. The server may need a few more milliseconds.
    pub(crate) async fn close(self) {
        drop(self.wire);
        self.pool.close().await;
    }
}
