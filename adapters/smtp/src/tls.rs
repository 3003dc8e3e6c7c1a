//! Trust in servers.

use crate::{Config, TlsError};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::CertificateDer,
    version::{TLS12, TLS13},
};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// A connector for TLS 1.2 and 1.3 that trusts the web's roots and those of the settings.
pub(crate) fn connector(config: &Config) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in &config.trusted_roots {
        roots.add(CertificateDer::from(root.clone())).map_err(|_| TlsError::Root)?;
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|_| TlsError::Versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(client)))
}
