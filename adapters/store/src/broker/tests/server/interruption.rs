//! A caller that goes away, or asks twice.

use super::{Observer, Place, until};
use crate::testing::{BUDGET, TEST};
use ::broker::Access;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_given_up_is_ended_and_counts_until_the_server_has_freed_it() {
    let place = Place::on_limited_postgres().await;
    let workspace = place.workspace("given").await;
    let observer = Observer::new(&place.instance).await;
    let mut session = place.session(&workspace).await.unwrap();
    timeout(Duration::from_millis(200), session.run("SELECT pg_sleep(30)")).await.unwrap_err();
    assert_eq!(observer.running("pg_sleep").await, 1);
    drop(session);
    until("the query has ended", async || {
        // Nothing is opened meanwhile, so what was counted before is at least what the server has.
        let counted = place.figures().total_open;
        let living = observer.sessions().await;
        assert!(living <= counted + 1, "{living} sessions, {counted} counted");
        observer.running("pg_sleep").await == 0
    })
    .await;
    until("its slot is free", async || place.figures().zombie + place.figures().closing == 0).await;
    assert!(place.session(&workspace).await.unwrap().run("SELECT 1").await.is_ok());
    observer.close().await;
}

#[tokio::test]
async fn a_task_that_asks_while_it_holds_is_reported() {
    let place = Place::on_postgres_with(BUDGET, |config| config.limits.panic_on_nested = false).await;
    let workspaces = place.workspaces("nested", 2).await;
    let before = place.figures().nested_leases;
    let outer = place.store.workspace(&workspaces[0], TEST, Access::Read).await.unwrap();
    let inner = place.store.workspace(&workspaces[1], TEST, Access::Read).await.unwrap();
    drop((outer, inner));
    assert!(place.figures().nested_leases > before);
}
