//! The client of all requests.

use crate::{Config, guard::PublicNames};
use reqwest::{Client, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    version::{TLS12, TLS13},
};
use std::sync::Arc;

/// Why the client cannot be set up: the cryptography at hand does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct TlsError;

pub(crate) fn client(config: &Config) -> Result<Client, TlsError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|_| TlsError)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent("notifuse")
        // a redirect could lead anywhere, and a proxy would look up names for us
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(config.connect)
        .pool_idle_timeout(config.idle)
        .pool_max_idle_per_host(config.requests_per_route.saturating_mul(4));
    if !config.allow_private_hosts {
        client = client.dns_resolver(PublicNames);
    }
    client.build().map_err(|_| TlsError)
}
