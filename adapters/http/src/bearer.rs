//! Finding out who calls.

use crate::{features::Shared, problem::Problem};
use application::access::Identity;
use poem::{Request, Result};
use poem_openapi::{SecurityScheme, auth};

/// A caller whose token is good: the session token of a person, or an API key.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT", checker = "authenticate")]
pub struct Bearer(pub Identity);

// As `Bearer`, for an administrator who looks at figures when no connection is left to look up the
// session with. To the reader of the contract it is the same.
/// A caller whose token is good: the session token of a person, or an API key.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT", checker = "authenticate_watcher")]
pub struct WatcherBearer(pub Identity);

async fn authenticate_watcher(request: &Request, bearer: auth::Bearer) -> Result<Identity> {
    let Some(shared) = request.data::<Shared>() else {
        return Err(Problem::internal().into());
    };
    Ok(shared.access.authenticate_watcher(&bearer.token).await.map_err(Problem::from)?)
}

async fn authenticate(request: &Request, bearer: auth::Bearer) -> Result<Identity> {
    let Some(shared) = request.data::<Shared>() else {
        return Err(Problem::internal().into());
    };
    Ok(shared.access.authenticate(&bearer.token).await.map_err(Problem::from)?)
}
