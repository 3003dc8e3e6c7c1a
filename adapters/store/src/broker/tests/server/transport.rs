//! Sessions over TLS and over a Unix socket (F6).
//!
//! Both need a server that this process has started: of one named by `TEST_DATABASE_URL`, or in a
//! container, it is not known whether it offers them.

use super::{Observer, Place, key};
use crate::{Config, Engine, PostgresServer, TlsMode, testing::BUDGET};
use application::ports::StoreError;
use std::time::Duration;
use tests::postgres::server;

/// Reaches the server in another way. `None` when it does not offer any.
async fn reached_by(change: impl FnOnce(&mut PostgresServer)) -> Option<Place> {
    let sockets = server().socket_folder.is_some();
    let change = |config: &mut Config| {
        let Engine::Postgres(server) = &mut config.engine else { return };
        change(server);
    };
    if sockets { Some(Place::on_postgres_with(BUDGET, change).await) } else { None }
}

/// Leases over three workspaces, one connection each, in turn: the places are taken from one another
/// and every close is proven.
async fn works(place: &Place, question: &str, answer: &str) {
    let observer = Observer::new(&place.instance).await;
    let workspaces = place.workspaces("reached", 3).await;
    for workspace in workspaces.iter().cycle().take(12) {
        let mut session = place.session(workspace).await.unwrap();
        assert_eq!(session.text(question).await.unwrap(), answer);
    }
    for workspace in &workspaces {
        place.store.broker.retire(&key(workspace), Duration::from_secs(5)).await.unwrap();
        assert_eq!(observer.sessions_in(&place.database(workspace)).await, 0);
    }
    observer.close().await;
}

#[tokio::test]
async fn sessions_are_protected_when_tls_is_required() {
    let Some(place) = reached_by(|server| server.tls = TlsMode::Require).await else { return };
    let question =
        "SELECT (ssl AND version LIKE 'TLSv1.%')::text AS text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    works(&place, question, "true").await;
}

#[tokio::test]
async fn a_certificate_that_nobody_has_signed_is_refused_when_it_is_to_be_verified() {
    if server().socket_folder.is_none() {
        return;
    }
    let place = Place::unprepared_postgres(BUDGET, |config| {
        if let Engine::Postgres(server) = &mut config.engine {
            server.tls = TlsMode::VerifyFull;
        }
    });
    assert!(matches!(place.store.prepare().await, Err(StoreError::Unavailable { .. })));
}

#[tokio::test]
async fn sessions_go_over_a_unix_socket() {
    let folder = server().socket_folder.clone().unwrap_or_default();
    let Some(place) = reached_by(|server| server.host = folder).await else { return };
    let question = "SELECT COALESCE(inet_server_addr()::text, 'local') AS text";
    works(&place, question, "local").await;
}
