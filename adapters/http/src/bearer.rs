//! Finding out who calls.

use crate::{features::Shared, problem::Problem};
use application::access::Identity;
use poem::{Request, Result};
use poem_openapi::{SecurityScheme, auth};

/// A caller whose token is good: the session token of a person, or an API key.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT", checker = "authenticate")]
pub struct Bearer(pub Identity);

async fn authenticate(request: &Request, bearer: auth::Bearer) -> Result<Identity> {
    let Some(shared) = request.data::<Shared>() else {
        return Err(Problem::internal().into());
    };
    Ok(shared.access.authenticate(&bearer.token).await.map_err(Problem::from)?)
}
