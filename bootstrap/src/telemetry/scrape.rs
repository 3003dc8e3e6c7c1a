//! The metrics as text, on a listener of their own.

use anyhow::Context as _;
use poem::{
    EndpointExt as _, Response, Route, Server, get, handler, http::StatusCode, listener::TcpAcceptor,
    web::Data,
};
use prometheus::{Encoder as _, Registry, TextEncoder};
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::JoinSet};

/// The listener of `/metrics`; it ends when this is dropped.
pub struct Scraping {
    address: SocketAddr,
    _server: JoinSet<std::io::Result<()>>,
}

impl Scraping {
    pub(super) async fn start(host: &str, port: u16, registry: Registry) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((host, port))
            .await
            .with_context(|| format!("cannot listen on {host}:{port} (METRICS_HOST, METRICS_PORT)"))?;
        let address = listener.local_addr()?;
        let routes = Route::new().at("/metrics", get(metrics)).data(registry);
        let mut server = JoinSet::new();
        server.spawn(Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?).run(routes));
        Ok(Self { address, _server: server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
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
