//! The table of shares: read, changed and written under one lock, in one transaction.

use crate::connection::Connection;
use broker::{Ledger, Member};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, QueryResult, Statement, Value};
use std::{collections::HashSet, time::Duration};

/// Held by whoever changes shares. Any number, the same for all.
const LOCK: i64 = 0x6e6f_7469_6675_7365;

/// What an instance of ours is called before its name.
const PRODUCT: &str = "notifuse/";

/// The shares as they are, and what else a decision needs.
pub(crate) struct Scene {
    pub(crate) ledger: Ledger,
    /// Milliseconds of the server's clock.
    pub(crate) now: u64,
    /// Instances of which the server has a session.
    pub(crate) present: HashSet<String>,
}

/// Changes the shares. Nothing is changed unless this answers well; an answer may be lost on its way
/// even so.
pub(crate) async fn change<T>(
    connection: &Connection,
    ttl: Duration,
    work: impl FnOnce(&mut Scene) -> T,
) -> Result<T, DbErr> {
    match within_transaction(connection, ttl, work).await {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            // The error says more than the failure of this would.
            let _ = connection.execute_unprepared("ROLLBACK").await;
            Err(error)
        }
    }
}

/// Ends all sessions of an instance.
pub(crate) async fn terminate_all(connection: &Connection, instance: &str) -> Result<(), DbErr> {
    let sql =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(application_name, $1)";
    let name = format!("{PRODUCT}{instance}/");
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
    connection.query_all_raw(query).await.map(drop)
}

async fn within_transaction<T>(
    connection: &Connection,
    ttl: Duration,
    work: impl FnOnce(&mut Scene) -> T,
) -> Result<T, DbErr> {
    // A process that stops in the middle must not keep the others from being heard.
    let begin = format!(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = {idle}; SET LOCAL lock_timeout = {lock}; \
         SELECT pg_advisory_xact_lock({LOCK})",
        idle = (ttl / 10).as_millis(),
        lock = (ttl / 6).as_millis(),
    );
    connection.execute_unprepared(&begin).await?;
    let mut scene = scene(connection).await?;
    let before = scene.ledger.clone();
    let outcome = work(&mut scene);
    for member in &scene.ledger.members {
        if !before.members.contains(member) {
            put(connection, member).await?;
        }
    }
    for member in &before.members {
        if scene.ledger.members.iter().all(|m| m.instance != member.instance) {
            let sql = "DELETE FROM broker_shares WHERE instance = $1";
            let gone = [Value::from(member.instance.clone())];
            connection.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, gone)).await?;
        }
    }
    connection.execute_unprepared("COMMIT").await?;
    Ok(outcome)
}

async fn scene(connection: &Connection) -> Result<Scene, DbErr> {
    let all = |sql: &str| connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql));
    let rows = all("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8 AS now, s.* \
                    FROM (VALUES (1)) AS one LEFT JOIN broker_shares s ON true")
    .await?;
    let now = rows.first().map(|row| number(row, "now")).transpose()?.unwrap_or_default();
    let mut members = Vec::new();
    for row in &rows {
        if let Some(instance) = row.try_get::<Option<String>>("", "instance")? {
            members.push(member(row, instance)?);
        }
    }
    let ledger = Ledger { members };
    let mut present = HashSet::new();
    if ledger.silent(now).next().is_some() {
        let sql = format!(
            "SELECT DISTINCT split_part(application_name, '/', 2) AS instance FROM pg_stat_get_activity(NULL) \
             WHERE starts_with(application_name, '{PRODUCT}')"
        );
        for row in all(&sql).await? {
            present.insert(row.try_get("", "instance")?);
        }
    }
    Ok(Scene { ledger, now, present })
}

fn number(row: &QueryResult, column: &str) -> Result<u64, DbErr> {
    Ok(u64::try_from(row.try_get::<i64>("", column)?).unwrap_or_default())
}

fn member(row: &QueryResult, instance: String) -> Result<Member, DbErr> {
    let small = |column: &str| Ok::<_, DbErr>(u32::try_from(number(row, column)?).unwrap_or(u32::MAX));
    Ok(Member {
        instance,
        share: small("share")?,
        target: small("target")?,
        wanted: small("wanted")?,
        floor: small("floor")?,
        budget: small("budget")?,
        generation: number(row, "generation")?,
        expires_at: number(row, "expires_at")?,
        decided_at: number(row, "decided_at")?,
    })
}

async fn put(connection: &Connection, member: &Member) -> Result<(), DbErr> {
    let sql = "INSERT INTO broker_shares (instance, share, target, wanted, floor, budget, generation, \
               expires_at, decided_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
               ON CONFLICT (instance) DO UPDATE SET share = EXCLUDED.share, target = EXCLUDED.target, \
               wanted = EXCLUDED.wanted, floor = EXCLUDED.floor, generation = EXCLUDED.generation, \
               expires_at = EXCLUDED.expires_at, decided_at = EXCLUDED.decided_at";
    let big = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let values = [
        Value::from(member.instance.clone()),
        big(member.share.into()),
        big(member.target.into()),
        big(member.wanted.into()),
        big(member.floor.into()),
        big(member.budget.into()),
        big(member.generation),
        big(member.expires_at),
        big(member.decided_at),
    ];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    connection.execute_raw(statement).await.map(drop)
}
