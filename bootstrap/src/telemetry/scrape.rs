//! The metrics as text, on a listener of their own.

use poem::{Response, Route, Server, get, handler, http::StatusCode, listener::Acceptor, web::Data};
use prometheus::{Encoder as _, Registry, TextEncoder};
use std::{io, time::Duration};

/// Serves `/metrics` until `stop` ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve_metrics<A: Acceptor + 'static>(
    acceptor: A,
    registry: Registry,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let routes = poem::EndpointExt::data(Route::new().at("/metrics", get(metrics)), registry);
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(routes, stop, Some(Duration::from_secs(1)))
        .await
}

#[handler]
fn metrics(Data(registry): Data<&Registry>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => Response::builder().content_type(encoder.format_type()).body(text),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into(),
    }
}
