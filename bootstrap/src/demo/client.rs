//! Calls the API as any program would.

use anyhow::{Context as _, bail};
use reqwest::RequestBuilder;
use serde_json::Value;
use std::{net::SocketAddr, time::Duration};

/// A client of one server, signed in or not.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(5)).build()?;
        Ok(Self { http, base: format!("http://{address}/api"), token: None })
    }

    pub(super) fn signed_in(self, token: String) -> Self {
        Self { token: Some(token), ..self }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(path, self.http.get(format!("{}/{path}", self.base))).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(path, self.http.post(format!("{}/{path}", self.base)).json(body)).await
    }

    async fn send(&self, path: &str, mut request: RequestBuilder) -> anyhow::Result<Value> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let name = path.split('?').next().unwrap_or(path);
        let answer = request.send().await.with_context(|| format!("{name} was not answered"))?;
        let status = answer.status();
        let body = answer.text().await.with_context(|| format!("the answer of {name} breaks off"))?;
        if !status.is_success() {
            let problem: Value = serde_json::from_str(&body).unwrap_or_default();
            bail!("{name} answered {status}: {}", problem["error"].as_str().unwrap_or(&body));
        }
        serde_json::from_str(&body).with_context(|| format!("the answer of {name} is no JSON"))
    }
}
