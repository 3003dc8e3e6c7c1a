//! What a real PostgreSQL sees of the broker.
//!
//! Sizes are small by default; the feature `exhaustive` makes them as large as the promises are.

mod cluster;
mod fairness;
mod interruption;
mod isolation;
mod limits;
mod oracle;
mod removal;
mod saturation;
mod telling;
mod transport;

use super::super::key;
use crate::{
    session::{Fields as _, Session},
    testing::{Place, TEST, postgres_connection},
};
use ::broker::{Access, BrokerStats, Class, LeaseOptions, StatsPage};
use application::ports::StoreError;
use domain::ids::WorkspaceId;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// Whether the long form is wanted.
const EXHAUSTIVE: bool = cfg!(feature = "exhaustive");

/// Repeatable choices.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    /// Says what it was seeded with, so that a run can be repeated.
    fn thrown(test: &str) -> Self {
        let seed = u64::from(std::process::id()) ^ 0x5EED_0000;
        println!("{test}: seed {seed}");
        Self(seed)
    }

    fn apart(&self, number: usize) -> Self {
        Self(self.0.wrapping_add((number as u64) << 32))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }
}

/// Counts the sessions of an instance as the server does, all the time.
struct Sampler {
    stop: Arc<AtomicBool>,
    peak: JoinHandle<u32>,
}

impl Sampler {
    fn start(place: &Place) -> Self {
        let (stop, instance) = (Arc::new(AtomicBool::new(false)), place.instance.clone());
        let stopped = Arc::clone(&stop);
        let peak = tokio::spawn(async move {
            let server = Observer::new(&instance).await;
            let mut every = tokio::time::interval(Duration::from_millis(3));
            every.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                every.tick().await;
                peak = peak.max(server.sessions().await);
            }
            server.close().await;
            peak
        });
        Self { stop, peak }
    }

    /// The highest number.
    async fn peak(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.peak.await.unwrap()
    }
}

/// A session beside the broker that looks at those of an instance.
struct Observer {
    connection: crate::connection::Connection,
    instance: String,
}

impl Observer {
    async fn new(instance: &str) -> Self {
        Self { connection: postgres_connection("postgres").await, instance: instance.to_owned() }
    }

    async fn number(&self, sql: &str, values: impl IntoIterator<Item = sea_orm::Value>) -> u32 {
        let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = self.connection.query_one_raw(query).await.unwrap().unwrap();
        u32::try_from(row.try_get_by_index::<i64>(0).unwrap()).unwrap()
    }

    /// All sessions of the instance.
    async fn sessions(&self) -> u32 {
        let sql = "SELECT COUNT(*) FROM pg_stat_get_activity(NULL) WHERE starts_with(application_name, $1)";
        self.number(sql, [format!("notifuse/{}/", self.instance).into()]).await
    }

    /// Its sessions in one database.
    async fn sessions_in(&self, database: &str) -> u32 {
        let sql =
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = $1 AND starts_with(application_name, $2)";
        self.number(sql, [database.into(), format!("notifuse/{}/", self.instance).into()]).await
    }

    /// Its sessions that run a statement with these words.
    async fn running(&self, words: &str) -> u32 {
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND strpos(query, $1) > 0 \
                   AND starts_with(application_name, $2)";
        self.number(sql, [words.into(), format!("notifuse/{}/", self.instance).into()]).await
    }

    /// Ends one of its sessions, whichever comes at that place. Not the one that asks for proofs: the
    /// broker opens another only when it next asks.
    async fn kill(&self, place: usize) {
        let sql = "SELECT COUNT(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                   WHERE starts_with(application_name, $1) AND application_name NOT LIKE '%/maintenance/%' \
                   ORDER BY pid OFFSET $2 LIMIT 1) AS one";
        let values = [format!("notifuse/{}/", self.instance).into(), i64::try_from(place).unwrap().into()];
        self.number(sql, values).await;
    }

    async fn close(self) {
        self.connection.close().await.unwrap();
    }
}

impl Place {
    async fn session(&self, workspace: &WorkspaceId) -> Result<Session, StoreError> {
        let lease = self.store.workspace(workspace, TEST, Access::Read).await?;
        Ok(Session::reading(lease, self.store.naming.clone()))
    }

    fn figures(&self) -> BrokerStats {
        self.store.stats(StatsPage { limit: 1_000, ..StatsPage::default() })
    }

    fn database(&self, workspace: &WorkspaceId) -> String {
        self.store.naming.database(workspace)
    }
}

impl Session {
    async fn text(&mut self, sql: &str) -> Result<String, StoreError> {
        let rows = self.all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        rows[0].field("text")
    }

    async fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        self.all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.map(drop)
    }
}

fn patient() -> LeaseOptions {
    LeaseOptions::read(Class::Interactive, "test").within(Duration::from_secs(5))
}

/// Waits for what must come about.
async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut every = tokio::time::interval(Duration::from_millis(5));
    while !reached().await {
        assert!(began.elapsed() < Duration::from_mins(3), "{what}: not in time");
        every.tick().await;
    }
}
