//! The shell against a server in this process that does what the test says.

mod cancelling;
mod failing;
mod fake;
mod leasing;
mod lifecycle;
mod secrets;
mod stress;

use std::time::Duration;

use self::fake::{FakeConnector, Server};
use super::{Broker, Lease, LeaseOptions};
use crate::{Class, Limits, StatsPage, WorkspaceKey};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type FakeBroker = Broker<FakeConnector>;
type FakeLease = Lease<FakeConnector>;

/// `slots` for workspaces and two for the system.
fn limits(slots: u32, cap: u32) -> Limits {
    Limits {
        max_connections: slots + 2,
        system_reserve: Some(2),
        max_connections_per_workspace: cap,
        ..Limits::default()
    }
}

fn broker(slots: u32, cap: u32) -> (FakeBroker, Server) {
    broker_with(limits(slots, cap))
}

fn broker_with(limits: Limits) -> (FakeBroker, Server) {
    let server = Server::new(limits.max_connections);
    (Broker::unchecked(limits, server.connector()), server)
}

fn key(number: usize) -> WorkspaceKey {
    WorkspaceKey::new(format!("ws{number}"))
}

fn read() -> LeaseOptions {
    LeaseOptions::read(Class::Interactive, "test")
}

fn write() -> LeaseOptions {
    LeaseOptions::write(Class::Interactive, "test")
}

/// I7: what the broker counts is what the server has, all of it idle, and nobody waits.
fn assert_nothing_left_over(broker: &FakeBroker, server: &Server) {
    let stats = broker.stats(StatsPage::default());
    assert_eq!((stats.total_open, stats.waiters), (stats.total_idle, 0), "{stats:?}");
    assert_eq!(stats.total_open as usize, server.sessions());
    let shared = broker.shared.lock();
    let parked = shared.parked.iter().flatten().count();
    assert_eq!(parked, stats.total_open as usize, "every connection is parked");
    assert_eq!(shared.replies.iter().flatten().count(), 0, "nobody waits");
    assert!(shared.holders.is_empty(), "nobody holds a lease");
}
