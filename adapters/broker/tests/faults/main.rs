//! F1–F5: the broker against a server in this process that it reaches over real sockets, and that
//! falls silent, refuses, restarts or is slow to let go when the test says so.
//!
//! F6, TLS and Unix sockets, is a matter of the connectors behind the port, not of the broker.

mod many;
mod refusing;
mod restarting;
mod silent;
mod wire;

use std::time::Duration;

use broker::{Broker, BrokerError, BrokerStats, Class, Lease, LeaseOptions, Limits, StatsPage, WorkspaceKey};

use wire::{Server, WireConnector};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type WireBroker = Broker<WireConnector>;
type WireLease = Lease<WireConnector>;

/// Twenty connections, five of them for the system database, and short deadlines.
fn limits() -> Limits {
    Limits {
        max_connections: 20,
        system_reserve: Some(5),
        connect_timeout: 300 * MS,
        close_timeout: 200 * MS,
        clean_timeout: 100 * MS,
        health_check_timeout: 100 * MS,
        ..Limits::default()
    }
}

async fn start() -> (WireBroker, Server) {
    start_with(limits()).await
}

async fn start_with(limits: Limits) -> (WireBroker, Server) {
    let server = Server::start(limits.max_connections as usize).await;
    (Broker::new(limits, server.connector()).unwrap(), server)
}

fn key(number: usize) -> WorkspaceKey {
    WorkspaceKey::new(format!("ws{number}"))
}

fn read() -> LeaseOptions {
    LeaseOptions::read(Class::Interactive, "faults")
}

fn stats(broker: &WireBroker) -> BrokerStats {
    broker.stats(StatsPage::default())
}

/// A lease and one query, which tells whose database it is.
async fn query(broker: &WireBroker, workspace: &WorkspaceKey) -> Result<WireLease, BrokerError> {
    let mut lease = broker.lease(workspace, read()).await?;
    lease.mark_dirty();
    assert_eq!(lease.connection().ask("query").await.unwrap(), workspace.as_str());
    lease.mark_clean();
    Ok(lease)
}

/// Waits for what is bound to come.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(MS).await;
    }
    panic!("never: {what}");
}

/// All is as it was: what the broker counts is idle and is what the server has.
async fn recovers(broker: &WireBroker, server: &Server) {
    until("everything idle", || {
        let stats = stats(broker);
        stats.total_open == stats.total_idle && stats.total_open as usize == server.sessions()
    })
    .await;
    drop(query(broker, &key(1)).await.unwrap());
    assert!(server.peak() <= 20, "{} sessions", server.peak());
}
