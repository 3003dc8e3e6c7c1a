//! What mails report by: an image for the opening, addresses that lead links on.
//!
//! Both answer without a database, also while it is away. Only addresses that this installation has
//! made lead anywhere.

use crate::{Problem, features::Shared};
use domain::tracking::Visit;
use poem::{
    Request, Response, handler,
    http::{Method, StatusCode, header},
    web::{Data, Path},
};

/// One transparent pixel.
const PIXEL: &[u8] = include_bytes!("tracking/pixel.png");

/// Headers by which a request says that it only looks ahead.
const AHEAD: [(&str, &str); 4] =
    [("sec-purpose", "prefetch"), ("purpose", "prefetch"), ("x-purpose", "preview"), ("x-moz", "prefetch")];

/// Answers with the image, whatever the token is worth.
#[handler]
pub(crate) fn open(Data(shared): Data<&Shared>, Path(token): Path<String>, request: &Request) -> Response {
    let to_write = shared.tracking.open(&token, visit(request));
    shared.write_down(to_write);
    Response::builder()
        .content_type("image/png")
        .header(header::CACHE_CONTROL, "no-cache, no-store, must-revalidate")
        .header(header::PRAGMA, "no-cache")
        .header(header::EXPIRES, "0")
        .body(PIXEL)
}

/// Leads a link on.
#[handler]
pub(crate) fn follow(
    Data(shared): Data<&Shared>,
    Path(token): Path<String>,
    request: &Request,
) -> Result<Response, Problem> {
    let (link, to_write) = shared.tracking.follow(&token, visit(request))?;
    shared.write_down(to_write);
    Ok(Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, link)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header("x-robots-tag", "noindex, nofollow")
        .finish())
}

fn visit(request: &Request) -> Visit<'_> {
    let says = |name: &str, value: &str| {
        request.header(name).is_some_and(|said| said.to_ascii_lowercase().contains(value))
    };
    Visit {
        user_agent: request.header(header::USER_AGENT),
        is_prefetch: AHEAD.iter().any(|(name, value)| says(name, value)) || *request.method() == Method::HEAD,
    }
}
