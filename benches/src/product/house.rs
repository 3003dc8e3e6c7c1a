//! A running product, and a client of it.

use anyhow::{Context as _, bail};
use bootstrap::{
    app::{App, Running, listen},
    settings::Settings,
};
use clap::ValueEnum;
use domain::secret::Secret;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tests::postgres::{Databases, server};

const KEY: &str = "a key of the benchmark, long enough for a key";
const ROOT: &str = "root@bench.example";
/// The workspace of all measurements.
pub(super) const WORKSPACE: &str = "bench";
/// Its domain.
pub(super) const HOST: &str = "news.bench.example";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Embedded
    Sqlite,
    /// A server of its own
    Postgres,
}

impl Engine {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// The product with one workspace, a provider, a template, a list and a notification.
pub(super) struct House {
    running: Running,
    pub(super) client: Client,
    pub(super) address: SocketAddr,
    /// Dropped after it has ended.
    _kept: (tempfile::TempDir, Option<Databases>),
}

impl House {
    /// Starts it with mails going to this server; without a worker they stay in the queue.
    pub(super) async fn start(engine: Engine, smtp: SocketAddr, worker: bool) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut values: BTreeMap<String, String> = [
            ("ENVIRONMENT", "development"),
            ("SERVER_PORT", "0"),
            ("SECRET_KEY", KEY),
            ("ROOT_EMAIL", ROOT),
            ("TASK_SCHEDULER_ENABLED", if worker { "true" } else { "false" }),
            ("DATA_DIR", &folder.path().join("data").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let databases = (engine == Engine::Postgres).then(Databases::new);
        if let Some(databases) = &databases {
            values.insert("DATABASE_URL".into(), server().url(&databases.system()));
            values.insert("DB_PREFIX".into(), databases.prefix().to_owned());
            values.insert("DB_SSLMODE".into(), "disable".into());
        }
        let mut settings = Settings::from_values(&values).map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let (listener, address) = listen(&mut settings).await?;
        let running = App::assemble(settings, Secret::new(KEY))?.start(listener).await?;
        let client = Client::sign_in(address).await?;
        let house = Self { running, client, address, _kept: (folder, databases) };
        house.furnish(smtp).await?;
        Ok(house)
    }

    async fn furnish(&self, smtp: SocketAddr) -> anyhow::Result<()> {
        let client = &self.client;
        client.post("workspaces.create", workspace(None)).await?;
        let provider = json!({"name": "sink", "type": "email", "provider": {
            "kind": "smtp",
            "smtp": {"host": smtp.ip().to_string(), "port": smtp.port(), "use_tls": false},
            "senders": [{"email": "hello@bench.example", "name": "Bench", "is_default": true}],
            "rate_limit_per_minute": 6_000_000}});
        let made = client.post("workspaces.createIntegration", provider).await?;
        let integration = made["integration_id"].as_str().context("an integration without identifier")?;
        client.post("workspaces.update", workspace(Some(integration))).await?;
        let template = json!({"id": "letter", "name": "letter", "channel": "email", "category": "marketing",
            "email": {"editor_mode": "code", "subject": "{{ contact.first_name | default: 'Hello' }}, news",
                "mjml_source": super::render::LETTER}});
        client.post("templates.create", template).await?;
        client.post("lists.create", json!({"id": "news", "name": "News"})).await?;
        let notification = json!({"notification": {"id": "letter", "name": "Letter",
            "channels": {"email": {"template_id": "letter"}}}});
        client.post("transactional.create", notification).await.map(drop)
    }

    /// Stores contacts on the list.
    pub(super) async fn subscribe(&self, contacts: u32) -> anyhow::Result<()> {
        const BATCH: u32 = 500;
        for from in (0..contacts).step_by(BATCH as usize) {
            let rows: Vec<_> = (from..contacts.min(from + BATCH))
                .map(|n| json!({"email": format!("c{n}@example.com"), "first_name": format!("Ada {n}")}))
                .collect();
            let request = json!({"contacts": rows, "subscribe_to_lists": ["news"]});
            self.client.post("contacts.import", request).await?;
        }
        Ok(())
    }

    /// Makes a broadcast and starts it. Answers its identifier.
    pub(super) async fn broadcast(&self, mut draft: Value) -> anyhow::Result<String> {
        draft["audience"] = json!({"list": "news"});
        draft["test_settings"] = json!({"variations": [{"template_id": "letter"}]});
        let made = self.client.post("broadcasts.create", draft).await?;
        let id = made["broadcast"]["id"].as_str().context("a broadcast without identifier")?.to_owned();
        self.client.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await?;
        Ok(id)
    }

    pub(super) async fn end(self) {
        self.running.stop().await;
    }
}

fn workspace(integration: Option<&str>) -> Value {
    json!({"id": WORKSPACE, "name": "Bench", "settings": {"timezone": "UTC", "default_language": "en",
        "languages": ["en"], "custom_endpoint_url": format!("https://{HOST}"), "email_tracking_enabled": true,
        "transactional_email_provider_id": integration, "marketing_email_provider_id": integration}})
}

/// The administrator, over connections that are kept.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    async fn sign_in(address: SocketAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build()?;
        let mut client = Self { http, base: format!("http://{address}/api"), token: String::new() };
        let asked = client.post("user.signin", json!({"email": ROOT})).await?;
        let answer = client.post("user.verify", json!({"email": ROOT, "code": asked["code"]})).await?;
        answer["token"].as_str().context("no token")?.clone_into(&mut client.token);
        Ok(client)
    }

    /// Calls an operation on the workspace.
    pub(super) async fn post(&self, operation: &str, mut body: Value) -> anyhow::Result<Value> {
        if !operation.starts_with("user.") && body.get("workspace_id").is_none() {
            body["workspace_id"] = json!(WORKSPACE);
        }
        let request = self.http.post(format!("{}/{operation}", self.base)).bearer_auth(&self.token);
        let answer = request.json(&body).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if !status.is_success() {
            bail!("{operation} answered {status}: {}", body["error"]);
        }
        Ok(body)
    }
}

/// Does the same in many tasks for a time. Answers how long each time took, sorted.
pub(super) async fn repeat<F>(
    clients: usize,
    time: Duration,
    work: impl Fn(usize, u64) -> F + Clone + Send + 'static,
) -> anyhow::Result<Vec<Duration>>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let until = Instant::now() + time;
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let work = work.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                work(client, took.len() as u64).await?;
                took.push(began.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.extend(ended??);
    }
    all.sort_unstable();
    Ok(all)
}

/// Processor time of this process so far; a tick of Linux is a hundredth of a second.
pub(super) fn processor_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("the system does not tell")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Memory of this process now, in kilobytes.
pub(super) fn memory() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it is not told")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
