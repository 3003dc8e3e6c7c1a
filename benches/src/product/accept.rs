//! `transactional.send`: what the caller waits for.

use super::{
    Options,
    house::{Engine, House, repeat},
};
use crate::{
    figures::{per_second, percentile},
    table::Table,
};
use anyhow::Context as _;
use serde_json::json;
use smtp::sink::{Sink, SinkOptions};
use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{sync::Arc, time::Duration};
use tests::postgres::{Databases, server};
use tokio::sync::Mutex;

const CLIENTS: usize = 64;
/// As many connections as a workspace may have at the same time.
const CONNECTIONS: usize = 3;
const TABLE: &str = "CREATE TABLE bare (id INTEGER, body TEXT)";
const INSERT: &str =
    "INSERT INTO bare (id, body) VALUES (1, 'a row of about as many bytes as an address has')";

pub(super) async fn measure(options: &Options) -> anyhow::Result<()> {
    println!(
        "transactional.send, {CLIENTS} clients, beside commits of one row over {CONNECTIONS} connections"
    );
    let head = ["database", "accepted/s", "p50 ms", "p99 ms", "commits/s", "accepted ÷ commits"];
    let mut table = Table::new(&head);
    for engine in options.engines() {
        let took = accepted(engine, options.time()).await?;
        let accepted = per_second(took.len() as u64, options.time());
        let commits = match engine {
            Engine::Sqlite => sqlite_commits(options.time()).await?,
            Engine::Postgres => postgres_commits(options.time()).await?,
        };
        table.row([
            engine.name().to_owned(),
            format!("{accepted:.0}"),
            format!("{:.2}", percentile(&took, 0.5).as_secs_f64() * 1e3),
            format!("{:.2}", percentile(&took, 0.99).as_secs_f64() * 1e3),
            format!("{commits:.0}"),
            format!("{:.2}", accepted / commits.max(1.0)),
        ]);
    }
    table.print(options.markdown);
    println!();
    Ok(())
}

async fn accepted(engine: Engine, time: Duration) -> anyhow::Result<Vec<Duration>> {
    let sink = Sink::start(SinkOptions::default()).await.context("no mail server")?;
    let house = House::start(engine, sink.addr(), false).await?;
    let client = house.client.clone();
    let took = repeat(CLIENTS, time, move |number, turn| {
        let client = client.clone();
        async move {
            let send = json!({"notification": {"id": "letter", "channels": ["email"],
                "contact": {"email": format!("c{number}-{turn}@example.com")},
                "external_id": format!("{number}-{turn}")}});
            client.post("transactional.send", send).await.map(drop)
        }
    })
    .await;
    house.end().await;
    took
}

async fn sqlite_commits(time: Duration) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    // One writer at a time is all that a file has.
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let mut connection = options.connect().await?;
    sqlx::query(TABLE).execute(&mut connection).await?;
    let connection = Arc::new(Mutex::new(connection));
    let took = repeat(1, time, move |_, _| {
        let connection = Arc::clone(&connection);
        async move {
            sqlx::query(INSERT).execute(&mut *connection.lock().await).await?;
            Ok(())
        }
    })
    .await?;
    Ok(per_second(took.len() as u64, time))
}

async fn postgres_commits(time: Duration) -> anyhow::Result<f64> {
    let databases = Databases::new();
    let options = |name: &str| {
        let server = server();
        PgConnectOptions::new_without_pgpass()
            .host(&server.host)
            .port(server.port)
            .username(&server.user)
            .password(&server.password)
            .database(name)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging()
    };
    let name = databases.system();
    let mut admin = options(&server().database).connect().await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&mut admin).await?;
    admin.close().await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Mutex::new(options(&name).connect().await?));
    }
    sqlx::query(TABLE).execute(&mut *connections[0].lock().await).await?;
    let connections = Arc::new(connections);
    let took = repeat(CONNECTIONS, time, move |client, _| {
        let connections = Arc::clone(&connections);
        async move {
            sqlx::query(INSERT).execute(&mut *connections[client].lock().await).await?;
            Ok(())
        }
    })
    .await?;
    Ok(per_second(took.len() as u64, time))
}
