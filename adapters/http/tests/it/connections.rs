//! How the database connections are used.

use crate::house::House;
use poem::http::StatusCode;
use serde_json::json;

const STATS: &str = "/api/admin.connectionStats";

#[tokio::test]
async fn the_administrator_reads_the_figures() {
    let house = House::new().await;
    let root = house.root().await;
    let answer = house.get(STATS, Some(&root)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = &answer.body;
    assert_eq!([&body["maxConnections"], &body["maxConnectionsPerDB"]], [40, 4]);
    assert_eq!([&body["totalOpenConnections"], &body["totalInUseConnections"]], [10, 4]);
    assert_eq!([&body["utilization"], &body["saturation"]], [0.25, 0.1]);
    assert_eq!([&body["status"], &body["breaker"]], ["ok", "closed"]);
    assert_eq!([&body["available"], &body["degraded"]], [true, false]);
    assert_eq!(
        body["workspacePools"]["acme"],
        json!({
            "openConnections": 2, "inUse": 2, "idle": 0, "maxOpen": 4, "waiting": 0, "waitCount": 12,
            "waitDurationMs": 84.2, "waitP99Ms": 14.0, "opens": 7, "closedIdle": 2, "closedLifetime": 1,
            "closedStolen": 3, "closedBroken": 0, "saturation": 0.5, "breaker": "closed", "debtMs": 0.0
        })
    );
    assert!(body["lastLimitAt"].is_string(), "{body}");
}

#[tokio::test]
async fn figures_are_not_kept_by_caches() {
    let house = House::new().await;
    let root = house.root().await;
    let authorized = house.client.get(STATS).header("authorization", format!("Bearer {root}"));
    authorized.send().await.assert_header("cache-control", "no-store");
    house.client.get("/health").send().await.assert_header("cache-control", "no-store");
}

#[tokio::test]
async fn a_page_is_bounded_and_says_that_there_is_more() {
    let house = House::new().await;
    let root = house.root().await;
    let page = house.get(&format!("{STATS}?limit=1&sort=opens"), Some(&root)).await.body;
    assert_eq!(page["workspacePools"].as_object().unwrap().len(), 1);
    assert_eq!(page["truncated"], true);
}

#[tokio::test]
async fn bad_parameters_are_refused() {
    let house = House::new().await;
    let root = house.root().await;
    let refused = house.get(&format!("{STATS}?limit=1001&cursor=x"), Some(&root)).await;
    assert_eq!((refused.status, refused.pointers()), (StatusCode::BAD_REQUEST, vec!["/limit", "/cursor"]));
    let unknown = house.get(&format!("{STATS}?sort=size"), Some(&root)).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn totals_for_anybody_have_the_members_that_dashboards_read() {
    let house = House::new().await;
    let answer = house.get("/health", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        json!({
            "active_workspace_databases": 2, "max_connections": 40, "max_connections_per_db": 4,
            "system_connections": {
                "open_connections": 6, "in_use": 1, "idle": 5, "max_open": 6, "wait_count": 9,
                "wait_duration": 3_000
            },
            "total_idle_connections": 6, "total_in_use_connections": 4, "total_open_connections": 10,
            "status": "ok"
        })
    );
}

#[tokio::test]
async fn figures_are_only_read() {
    let house = House::new().await;
    for path in [STATS, "/health"] {
        assert_eq!(house.post(path, None, &json!({})).await.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}
