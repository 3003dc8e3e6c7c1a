//! Nothing of a holder is left for the next one.

use super::Place;
use crate::{session::Session, testing::TEST};
use ::broker::Access;
use domain::ids::WorkspaceId;

/// A session that says beforehand that it will change itself.
async fn changing(place: &Place, workspace: &WorkspaceId) -> Session {
    let mut lease = place.store.workspace(workspace, TEST, Access::Read).await.unwrap();
    lease.declare_session_state();
    Session::reading(lease, place.store.naming.clone())
}

/// What a new holder of the same session finds, after another has done this.
async fn found_after(done: &str, question: &str) -> String {
    let place = Place::on_postgres().await;
    let workspace = place.workspace("isolated").await;
    let mut session = changing(&place, &workspace).await;
    // Something of the driver's own is prepared as well.
    let pid = session.text("SELECT pg_backend_pid()::text AS text").await.unwrap();
    for statement in done.split(';') {
        session.run(statement).await.unwrap();
    }
    drop(session);
    let mut next = place.session(&workspace).await.unwrap();
    let same = next.text("SELECT pg_backend_pid()::text AS text").await.unwrap();
    assert_eq!(pid, same, "the session was closed instead of cleaned");
    next.text(question).await.unwrap()
}

#[tokio::test]
async fn a_setting_does_not_outlive_its_holder() {
    let found = found_after("SET work_mem = '77MB'", "SELECT current_setting('work_mem') AS text").await;
    assert_eq!(found, "4MB");
}

#[tokio::test]
async fn the_settings_a_session_was_opened_with_come_back() {
    let done = "SET statement_timeout = 0;SET client_connection_check_interval = 0";
    let question = "SELECT current_setting('statement_timeout') || ' ' || \
                    current_setting('client_connection_check_interval') AS text";
    assert_eq!(found_after(done, question).await, "30s 5s");
}

#[tokio::test]
async fn a_temporary_table_does_not_outlive_its_holder() {
    let question = "SELECT (to_regclass('pg_temp.scratch') IS NULL)::text AS text";
    assert_eq!(found_after("CREATE TEMP TABLE scratch (n int)", question).await, "true");
}

#[tokio::test]
async fn an_advisory_lock_does_not_outlive_its_holder() {
    let question = "SELECT COUNT(*)::text AS text FROM pg_locks WHERE locktype = 'advisory' \
                    AND pid = pg_backend_pid()";
    assert_eq!(found_after("SELECT pg_advisory_lock(7)", question).await, "0");
}

#[tokio::test]
async fn an_open_transaction_does_not_outlive_its_holder() {
    let question = "SELECT (pg_current_xact_id_if_assigned() IS NULL)::text || ' ' || COUNT(*)::text \
                    AS text FROM pg_class WHERE relname = 'half_done'";
    assert_eq!(found_after("BEGIN;CREATE TABLE half_done (n int)", question).await, "true 0");
}

#[tokio::test]
async fn a_prepared_name_does_not_outlive_its_holder() {
    let question = "SELECT COUNT(*)::text AS text FROM pg_prepared_statements WHERE name = 'mine'";
    assert_eq!(found_after("PREPARE mine AS SELECT 1", question).await, "0");
}
