//! Several processes on one budget, one of which stops, wakes, and dies.

use super::{EXHAUSTIVE, Observer, until};
use crate::{
    Cluster, Config, StoreBroker,
    session::Session,
    testing::{Place, TEST, another, postgres_connection},
};
use ::broker::Access;
use application::ports::StoreError;
use domain::ids::WorkspaceId;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const BUDGET: u32 = 24;
const WORKSPACES: usize = 8;
/// The default, or the least that the settings take: with less, a busy machine is late with every beat.
const TTL: Duration = Duration::from_secs(if EXHAUSTIVE { 15 } else { 5 });

/// Tells a process started by a test which databases it shares.
const SHARED: &str = "STORE_TEST_SHARED_PREFIX";

fn shared(config: &mut Config) {
    config.limits.max_connections = BUDGET;
    config.limits.system_reserve = Some(2);
    config.limits.acquire_timeout = Duration::from_secs(1);
    config.cluster = Some(Cluster { ttl: TTL });
}

fn workspaces() -> Vec<WorkspaceId> {
    (0..WORKSPACES).map(|n| WorkspaceId::parse(&format!("shared{n}")).unwrap()).collect()
}

/// Keeps a broker busy until told to stop. Answers how many leases were had.
async fn load(store: StoreBroker, over: Arc<AtomicBool>) -> usize {
    let mut clients = JoinSet::new();
    for client in 0..24 {
        let (store, over, workspaces) = (store.clone(), Arc::clone(&over), workspaces());
        clients.spawn(async move {
            let mut served = 0;
            while !over.load(Ordering::Relaxed) {
                match store.workspace(&workspaces[client % WORKSPACES], TEST, Access::Read).await {
                    Ok(lease) => {
                        let mut session = Session::reading(lease, store.naming.clone());
                        served += usize::from(session.run("SELECT pg_sleep(0.02)").await.is_ok());
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
            served
        });
    }
    clients.join_all().await.into_iter().sum()
}

/// The shares as the table has them.
async fn shares(system: &crate::connection::Connection) -> BTreeMap<String, i64> {
    let query = Statement::from_string(DbBackend::Postgres, "SELECT instance, share FROM broker_shares");
    let rows = system.query_all_raw(query).await.unwrap();
    rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
}

/// The other process: this very program, which then runs the one test below.
struct Other(Child);

impl Other {
    fn start(place: &Place) -> Self {
        let program = std::env::current_exe().unwrap();
        let test = "broker::tests::server::cluster::a_process_of_its_own_works_until_it_is_ended";
        let server = tests::postgres::server();
        let prefix = place.databases.as_ref().unwrap().prefix();
        let child = Command::new(program)
            .args([test, "--exact", "--nocapture", "--quiet"])
            .env(SHARED, prefix)
            .env("TEST_DATABASE_URL", server.url(&server.database))
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does nothing unless it is started by the test of several processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_its_own_works_until_it_is_ended() {
    #[expect(clippy::disallowed_methods, reason = "a test has no settings of its own")]
    let Ok(prefix) = std::env::var(SHARED) else { return };
    let store = another(&prefix, shared);
    store.prepare().await.unwrap();
    load(store, Arc::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stops_wakes_and_dies_never_makes_two_exceed_the_budget() {
    let place = Place::on_postgres_with(BUDGET, shared).await;
    place.workspaces("shared", WORKSPACES).await;
    let observer = Observer::new(&place.instance).await;
    let role = place.databases.as_ref().unwrap().prefix().to_owned();
    let system = postgres_connection(&place.databases.as_ref().unwrap().system()).await;
    let over = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(load(place.store.clone(), Arc::clone(&over)));
    let sampling = {
        let (over, role) = (Arc::clone(&over), role.clone());
        tokio::spawn(async move {
            let server = Observer::new("any").await;
            let mut every = tokio::time::interval(Duration::from_millis(3));
            let mut peak = 0;
            while !over.load(Ordering::Relaxed) {
                every.tick().await;
                let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = $1";
                peak = peak.max(server.number(sql, [role.clone().into()]).await);
            }
            server.close().await;
            peak
        })
    };
    let mine = || async { shares(&system).await.get(&place.instance).copied().unwrap_or_default() };
    let others = || async {
        let all = shares(&system).await;
        all.iter().filter(|(name, _)| **name != place.instance).map(|(_, share)| *share).sum::<i64>()
    };
    assert_eq!(mine().await, 22, "the only process has all but two");

    let other = Other::start(&place);
    until("the other has its share", async || others().await >= 9).await;
    until("this one has given it back", async || mine().await <= 13).await;
    until("the other is at work", async || {
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = $1 \
                   AND NOT starts_with(application_name, $2)";
        let here = format!("notifuse/{}/", place.instance);
        observer.number(sql, [role.clone().into(), here.into()]).await >= 5
    })
    .await;

    other.signal("STOP");
    tokio::time::sleep(TTL * 3).await;
    until("this one has all again", async || mine().await == 22 && others().await == 0).await;

    other.signal("CONT");
    until("the other is back", async || others().await >= 6).await;

    other.signal("KILL");
    until("this one has all again", async || mine().await == 22).await;
    over.store(true, Ordering::Relaxed);
    let (peak, served) = (sampling.await.unwrap(), working.await.unwrap());
    println!("cluster: {served} leases here, peak of both {peak} of {BUDGET}");
    assert!(peak <= BUDGET, "{peak} sessions of a budget of {BUDGET}");
    assert_eq!(place.figures().server_refusals, 0);
    place.store.shutdown(Duration::from_secs(5)).await;
    assert!(shares(&system).await.is_empty(), "whoever ends gives its share back");
    system.close().await.unwrap();
    observer.close().await;
}

#[tokio::test]
async fn a_process_too_many_is_told_so() {
    let wide = |config: &mut Config| {
        shared(config);
        config.limits.max_connections_per_workspace = 10;
    };
    let place = Place::on_postgres_with(BUDGET, wide).await;
    let second = another(place.databases.as_ref().unwrap().prefix(), wide);
    let refused = second.prepare().await.unwrap_err();
    let StoreError::Internal(why) = refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("DB_MAX_CONNECTIONS is 24"), "{why}");
    second.shutdown(Duration::from_secs(1)).await;
    place.store.shutdown(Duration::from_secs(1)).await;
}
