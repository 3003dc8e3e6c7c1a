//! `admin.connectionStats` and `/health`: how the database connections are used.

mod bodies;

use crate::{Problem, bearer::WatcherBearer, cursor, features::Shared, tags::Tag};
use application::ports::{ConnectionPage, ConnectionSort};
use bodies::ConnectionStatsAnswer;
use domain::validation::{Check, Invalid};
use poem::{Endpoint, Response as Reply, RouteMethod, endpoint::make_sync};
use poem_openapi::{
    Enum, OpenApi,
    param::Query,
    payload::{Json, Response},
};

pub(crate) struct ConnectionsApi(pub(crate) Shared);

/// The order of workspaces, the highest first.
#[derive(Debug, Clone, Copy, Default, Enum)]
#[oai(rename = "ConnectionSort", rename_all = "camelCase")]
enum SortParameter {
    /// Connections in use.
    #[default]
    InUse,
    /// Callers waiting.
    Waiting,
    /// Connections opened.
    Opens,
}

/// Workspaces of a page, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;

#[OpenApi(tag = "Tag::Status")]
#[expect(clippy::unused_async, reason = "poem-openapi's operations are async")]
impl ConnectionsApi {
    /// Tells how the database connections are used
    ///
    /// For the administrator of the installation. Takes no connection, so it answers also when none
    /// is left. Listed are the workspaces with a connection or a caller waiting.
    #[oai(path = "/admin.connectionStats", method = "get", operation_id = "adminConnectionStats")]
    async fn stats(
        &self,
        bearer: WatcherBearer,
        /// Workspaces of the page, 1 to 1000.
        #[oai(default = "usual")]
        limit: Query<usize>,
        /// Their order, the highest first.
        #[oai(default)]
        sort: Query<SortParameter>,
        /// `nextCursor` of the page before, with the same `sort`.
        cursor: Query<Option<String>>,
    ) -> Result<Response<Json<ConnectionStatsAnswer>>, Problem> {
        let page = page(limit.0, sort.0, cursor.0.as_deref())?;
        let report = self.0.connections.report(&bearer.0, &page)?;
        Ok(Response::new(Json(report.into())).header("cache-control", "no-store"))
    }
}

const fn usual() -> usize {
    USUAL
}

fn page(limit: usize, sort: SortParameter, cursor: Option<&str>) -> Result<ConnectionPage, Invalid> {
    let mut check = Check::default();
    if !(1..=MOST).contains(&limit) {
        check.problem("/limit", "must be 1 to 1000");
    }
    let after = cursor.map(cursor::read_place).transpose().unwrap_or_else(|error| {
        check.problem("/cursor", error.to_string());
        None
    });
    check.finish()?;
    let sort = match sort {
        SortParameter::InUse => ConnectionSort::InUse,
        SortParameter::Waiting => ConnectionSort::Waiting,
        SortParameter::Opens => ConnectionSort::Opens,
    };
    Ok(ConnectionPage { limit, sort, after })
}

/// Totals for anybody: load balancers and the dashboards of the reference product. No workspace is
/// named.
pub(crate) fn health(shared: Shared) -> impl Endpoint<Output = Reply> {
    let answer = move |_| {
        let body = bodies::health(&shared.connections.totals());
        Reply::builder()
            .content_type("application/json")
            .header("cache-control", "no-store")
            .body(body.to_string())
    };
    RouteMethod::new().get(make_sync(answer))
}
