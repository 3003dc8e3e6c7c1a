//! One question: posted, and answered within bounds.

use crate::{
    names::{PrivateAddress, PublicNames},
    slots::Slots,
};
use application::ports::{FeedError, FeedReader, FeedRequest};
use async_trait::async_trait;
use domain::data_feeds::check_url;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    version::{TLS12, TLS13},
};
use serde_json::{Map, Value};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Settings of the adapter.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest time of a question, from the look-up of the name to the last byte of the answer.
    pub overall: Duration,
    /// Longest time a question waits for others of its workspace.
    pub wait: Duration,
    /// Most bytes of an answer.
    pub answer_limit: usize,
    /// Most open questions of one workspace.
    pub at_once: usize,
    /// Whether addresses inside, and those without TLS, may be asked. Only for development: tenants
    /// choose them.
    pub allow_private: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            overall: Duration::from_secs(5),
            wait: Duration::from_secs(30),
            answer_limit: 1024 * 1024,
            at_once: 8,
            allow_private: false,
        }
    }
}

/// Why the client cannot be set up: the cryptography at hand does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct TlsError;

/// Asks feeds over HTTP.
pub struct HttpFeedReader {
    client: Client,
    slots: Slots,
    config: Config,
}

impl HttpFeedReader {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, TlsError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|_| TlsError)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent("notifuse data feed")
            // a redirect could lead anywhere, and a proxy would look up names for us
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(config.at_once);
        if !config.allow_private {
            client = client.dns_resolver(PublicNames);
        }
        let client = client.build().map_err(|_| TlsError)?;
        Ok(Self { client, slots: Slots::new(config.at_once), config })
    }

    async fn exchange(&self, request: FeedRequest<'_>) -> Result<Map<String, Value>, FeedError> {
        // An address instead of a name is looked up by nobody, so that it is checked here.
        let url = check_url(request.url, self.config.allow_private);
        let url = url.map_err(|why| never(&format!("its address {why}")))?;
        self.post(url, request).await
    }

    async fn post(&self, url: Url, request: FeedRequest<'_>) -> Result<Map<String, Value>, FeedError> {
        let body = serde_json::to_vec(request.body).map_err(|_| never("the question cannot be written"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| never("a header cannot be sent"))?;
            let mut value =
                HeaderValue::from_str(value.expose()).map_err(|_| never("a header cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.client.post(url).headers(headers).body(body).send().await;
        let response = response.map_err(|error| explain(&error))?;
        let status = response.status();
        if !status.is_success() {
            let passing = status.is_server_error()
                || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
            let reason = format!("it answered with status {}", status.as_u16());
            return Err(FeedError { reason, may_pass: passing });
        }
        let bytes = self.bytes(response).await?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(data)) => Ok(data),
            Ok(_) | Err(_) => Err(never("its answer is no JSON object")),
        }
    }

    async fn bytes(&self, mut response: Response) -> Result<Vec<u8>, FeedError> {
        let limit = self.config.answer_limit;
        let too_large = || never(&format!("its answer is larger than {limit} bytes"));
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| later("its answer broke off"))? {
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[async_trait]
impl FeedReader for HttpFeedReader {
    fn check(&self, url: &str) -> Result<(), &'static str> {
        check_url(url, self.config.allow_private).map(drop)
    }

    #[tracing::instrument(name = "feed", skip_all)]
    async fn read(&self, request: FeedRequest<'_>) -> Result<Map<String, Value>, FeedError> {
        let slot = timeout(self.config.wait, self.slots.slot(request.workspace)).await;
        let _slot = slot.map_err(|_| later("too many questions are open"))?;
        let answer = timeout(self.config.overall, self.exchange(request)).await;
        answer.unwrap_or_else(|_| {
            Err(later(&format!("it took longer than {} ms", self.config.overall.as_millis())))
        })
    }
}

fn explain(error: &reqwest::Error) -> FeedError {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    if causes.any(<dyn Error>::is::<PrivateAddress>) {
        return never("its address is private, which is not allowed");
    }
    if error.is_builder() {
        return never("the question cannot be written");
    }
    later(if error.is_connect() { "no connection" } else { "the connection was lost before the answer" })
}

fn later(reason: &str) -> FeedError {
    FeedError { reason: reason.to_owned(), may_pass: true }
}

fn never(reason: &str) -> FeedError {
    FeedError { reason: reason.to_owned(), may_pass: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::WorkspaceId;
    use serde_json::json;

    #[tokio::test]
    async fn a_name_that_leads_inside_is_never_connected_to() {
        let reader = HttpFeedReader::new(Config::default()).unwrap();
        let workspace = WorkspaceId::parse("acme").unwrap();
        let request = FeedRequest { workspace: &workspace, url: "", headers: &[], body: &json!({}) };
        let error = reader.post("https://localhost:1/".parse().unwrap(), request).await.unwrap_err();
        assert_eq!(error, never("its address is private, which is not allowed"));
    }
}
