//! How the database connections are used, and what happens when they are short.

use crate::shape::differences;
use crate::support::{Answer, Client, PATIENCE, Server, small, small_prefix, start_in, workspace};
use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::json;
use smtp::sink::{Sink, SinkOptions};
use sqlx::Connection as _;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const STATS: &str = "/api/admin.connectionStats";

async fn the_administrator_sees_who_uses_connections(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    tenant.list("news").await;
    let answer = server.root().await.get(&format!("{STATS}?limit=1000&sort=opens")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let figures = answer.ok();
    let pool = &figures["workspacePools"][&tenant.id];
    assert!(pool["opens"].as_u64() >= Some(1), "{figures}");
    assert_eq!(pool["maxOpen"], figures["maxConnectionsPerDB"]);
    assert!(figures["totalOpenConnections"].as_u64() <= figures["maxConnections"].as_u64(), "{figures}");
    assert_eq!([&figures["serverRefusals"], &figures["nestedLeases"]], [0, 0], "{figures}");
}

async fn pages_lead_through_the_workspaces(server: &'static Server) {
    for _ in 0..2 {
        server.bare_tenant().await.list("news").await;
    }
    let root = server.root().await;
    let first = root.get(&format!("{STATS}?limit=1")).await.ok();
    assert_eq!(first["workspacePools"].as_object().unwrap().len(), 1, "{first}");
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = root.get(&format!("{STATS}?limit=1&cursor={cursor}")).await.ok();
    assert_eq!(second["workspacePools"].as_object().unwrap().len(), 1, "{second}");
}

async fn anybody_reads_the_totals(server: &'static Server) {
    let totals = server.anonymous().get("/health").await.ok();
    assert!(totals["total_open_connections"].as_u64() >= Some(1), "{totals}");
    assert_eq!(totals["max_connections"], 100);
    server.anonymous().post("/health", &json!({})).await.problem(405);
}

async fn the_figures_have_the_documented_shape(server: &'static Server) {
    server.bare_tenant().await.list("news").await;
    let figures = server.root().await.get(&format!("{STATS}?limit=1000")).await.ok();
    assert!(!figures["workspacePools"].as_object().unwrap().is_empty());
    assert_eq!(differences(&figures, "ConnectionStats"), [""; 0]);
}

async fn the_figures_are_for_the_administrator_alone(server: &'static Server) {
    server.anonymous().get(STATS).await.problem(401);
    server.anonymous().with_token("no token").get(STATS).await.problem(401);
    let owner = server.bare_tenant().await;
    let member = owner.member(json!({"contacts": {"read": true, "write": true}})).await;
    member.get(STATS).await.problem(403);
    server.root().await.post(STATS, &json!({})).await.problem(405);
}

on_both_databases! {
    the_figures_have_the_documented_shape
    the_figures_are_for_the_administrator_alone
    the_administrator_sees_who_uses_connections
    pages_lead_through_the_workspaces
    anybody_reads_the_totals
}

/// Holds every query on the contacts of a workspace until it is dropped.
async fn hold_contacts(workspace: &str) -> sqlx::PgConnection {
    let url = tests::postgres::server().url(&format!("{}_ws_{workspace}", small_prefix()));
    let mut lock = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    lock
}

/// What clients have been answered.
#[derive(Default)]
struct Tally {
    served: AtomicUsize,
    refused: AtomicUsize,
    /// Refusals that name the workspace.
    named: AtomicUsize,
    done: AtomicBool,
}

impl Tally {
    fn note(&self, answer: Answer, workspace: &str) {
        if answer.status == StatusCode::OK {
            self.served.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let after: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        let problem = answer.problem(503);
        assert!((1..=30).contains(&after), "{problem}");
        assert_eq!((&problem["code"], &problem["retryAfter"]), (&json!("connection_limit"), &json!(after)));
        assert_eq!(problem["max"], 20);
        self.refused.fetch_add(1, Ordering::Relaxed);
        // Without a workspace it was the system database's turn.
        if problem["workspace"].is_string() {
            assert_eq!(problem["workspace"], workspace);
            self.named.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn reaches(&self, counter: impl Fn(&Self) -> usize, goal: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while counter(self) < goal {
            assert!(tokio::time::Instant::now() < deadline, "{} of {goal}", counter(self));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Asks for contacts until told to stop.
async fn ask(client: Client, workspace: String, tally: Arc<Tally>) {
    while !tally.done.load(Ordering::Relaxed) {
        let answer = client.get(&format!("/api/contacts.list?workspace_id={workspace}")).await;
        tally.note(answer, &workspace);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_free_connections_serves_or_says_when_to_come_back() {
    const WORKSPACES: usize = 6;
    const CLIENTS: usize = 100;
    let root = small().root().await;
    // From now on the administrator may look without being looked up.
    root.get(STATS).await.ok();
    let ids: Vec<String> = (0..WORKSPACES).map(|n| format!("full{n}")).collect();
    let mut locks = Vec::new();
    for id in &ids {
        root.post("/api/workspaces.create", &workspace(id)).await.ok();
        locks.push(hold_contacts(id).await);
    }
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        clients.spawn(ask(root.clone(), ids[n % WORKSPACES].clone(), tally.clone()));
    }
    tally.reaches(|t| t.named.load(Ordering::Relaxed), 100).await;
    let figures = small().anonymous().get("/health").await.ok();
    assert_eq!(figures["status"], "limited", "{figures}");
    assert!(figures["total_open_connections"].as_u64() <= Some(20), "{figures}");
    // The figures are taken without a connection: whoever waited for one would be refused after 200 ms. Told
    // by the quickest of a few answers: the others also wait for the processors that the clients keep busy.
    let mut took = Vec::new();
    for _ in 0..9 {
        let asked = std::time::Instant::now();
        root.get(STATS).await.ok();
        took.push(asked.elapsed());
    }
    took.sort();
    assert!(took[0] < Duration::from_millis(200), "{took:?}");
    for lock in locks {
        lock.close().await.unwrap();
    }
    tally.reaches(|t| t.served.load(Ordering::Relaxed), 100).await;
    tally.done.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("every answer is one of the two");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_leases_only_the_workspaces_with_work() {
    const WORKSPACES: usize = 197;
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let resting = start_in(folder.path(), false);
    let root = resting.root().await;
    let idle = (0..WORKSPACES).map(|n| {
        let root = root.clone();
        async move { root.post("/api/workspaces.create", &workspace(&format!("idle{n}"))).await.ok() }
    });
    stream::iter(idle).buffer_unordered(8).for_each(|_| async {}).await;
    let mut active = BTreeSet::new();
    for _ in 0..3 {
        let tenant = resting.tenant_with(&sink).await;
        tenant.notification("hello", crate::support::mjml("Hello", "<mj-text>Hello</mj-text>")).await;
        let message = json!({"id": "hello", "channels": ["email"], "contact": {"email": "ann@shop.example"}});
        tenant.send(message).await.ok();
        active.insert(tenant.id);
    }
    resting.stop().await;

    let working = start_in(folder.path(), true);
    let client = working.anonymous().with_token(root.token());
    assert!(sink.wait_for(active.len(), PATIENCE).await, "mails still wait");
    let figures = client.get(&format!("{STATS}?limit=1000")).await.ok();
    let leased: BTreeSet<_> = figures["workspacePools"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(leased, active);
    assert_eq!(figures["activeWorkspaceDatabases"], active.len());
    working.stop().await;
}
