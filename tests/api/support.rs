//! A running server per database engine, and tenants made through its API.

use bootstrap::{
    app::{App, Running, listen},
    settings::Settings,
};
use domain::secret::Secret;
use reqwest::StatusCode;
use serde_json::{Value, json};
use smtp::sink::{Sink, SinkOptions};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tests::postgres::Databases;
use tokio::sync::{OnceCell, oneshot};

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

const SECRET_KEY: &str = "a key for tests only, long enough to sign with";
pub const ROOT: &str = "root@acme.example";

/// Makes each case a test over SQLite and one over PostgreSQL.
macro_rules! on_both_databases {
    ($($case:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case($crate::support::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                super::$case($crate::support::postgres()).await;
            })*
        }
    };
}

/// A server that runs as long as the test process.
pub struct Server {
    address: SocketAddr,
    /// Takes the mails of all tenants.
    pub sink: Sink,
    /// The token of the administrator: signing in is limited in how often it may be tried.
    root: OnceCell<String>,
    /// Ends the server, and tells when it has ended.
    end: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
    /// Files and databases, kept while the server runs.
    kept: (Option<tempfile::TempDir>, Option<Databases>),
}

static SQLITE: LazyLock<Server> = LazyLock::new(|| start("development", None));
static POSTGRES: LazyLock<Server> = LazyLock::new(|| start("development", Some(Databases::new())));
static PRODUCTION: LazyLock<Server> = LazyLock::new(|| start("production", None));
static SMALL: LazyLock<Server> = LazyLock::new(start_small);

pub fn sqlite() -> &'static Server {
    &SQLITE
}

pub fn postgres() -> &'static Server {
    &POSTGRES
}

/// A server with nothing relaxed.
pub fn production() -> &'static Server {
    &PRODUCTION
}

/// A server whose role may have twenty sessions, and no more wanted.
pub fn small() -> &'static Server {
    &SMALL
}

/// The prefix of its databases.
pub fn small_prefix() -> &'static str {
    let (_, databases) = &SMALL.kept;
    databases.as_ref().expect("it has databases").prefix()
}

fn start(environment: &str, databases: Option<Databases>) -> Server {
    // clients want one to be chosen, as the program does at its start; a second choice changes nothing
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut values = values(environment, folder.path());
    if let Some(databases) = &databases {
        values.extend(on_server(tests::postgres::server(), databases));
    }
    Server { kept: (Some(folder), databases), ..launch(values) }
}

fn start_small() -> Server {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let databases = Databases::new();
    let mut values = values("development", folder.path());
    values.extend(on_server(&databases.limited_to(20), &databases));
    values.insert("DB_MAX_CONNECTIONS".into(), "20".into());
    values.insert("DB_ACQUIRE_TIMEOUT".into(), "200ms".into());
    Server { kept: (Some(folder), Some(databases)), ..launch(values) }
}

/// Starts a server over the files of a folder that outlives it.
pub fn start_in(folder: &Path, with_worker: bool) -> &'static Server {
    let mut values = values("development", folder);
    values.insert("TASK_SCHEDULER_ENABLED".into(), with_worker.to_string());
    Box::leak(Box::new(launch(values)))
}

fn values(environment: &str, folder: &Path) -> BTreeMap<String, String> {
    let data = folder.join("data").display().to_string();
    [
        ("ENVIRONMENT", environment),
        ("SERVER_PORT", "0"),
        ("SECRET_KEY", SECRET_KEY),
        ("ROOT_EMAIL", ROOT),
        ("API_ENDPOINT", "https://mail.acme.example"),
        ("EMAIL_QUEUE_RETRY_BASE", "1s"),
        ("CIRCUIT_BREAKER_COOLDOWN", "1s"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("DATA_DIR", &data),
        ("DATA_FEED_ALLOW_PRIVATE", if environment == "development" { "true" } else { "false" }),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn on_server(server: &tests::postgres::Server, databases: &Databases) -> [(String, String); 3] {
    [
        ("DATABASE_URL".into(), server.url(&databases.system())),
        ("DB_PREFIX".into(), databases.prefix().to_owned()),
        ("DB_SSLMODE".into(), "disable".into()),
    ]
}

/// Starts a server on a thread of its own, since the runtime of a test ends with the test.
fn launch(values: BTreeMap<String, String>) -> Server {
    let (ready, started) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut settings = Settings::from_values(&values).expect("the settings of the tests are good");
            let (listener, address) = listen(&mut settings).await.expect("a free port");
            let app = App::assemble(settings, Secret::new(SECRET_KEY)).expect("the application");
            let running: Running = app.start(listener).await.expect("the server starts");
            let sink = Sink::start(SinkOptions::default()).await.expect("a mail server");
            ready.send((address, sink)).expect("the starter waits");
            let _ = ended.await;
            running.stop().await;
        });
    });
    let (address, sink) = started.recv().expect("the server starts");
    let end = Mutex::new(Some((end, thread)));
    Server { address, sink, root: OnceCell::new(), end, kept: (None, None) }
}

/// An answer of the server.
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.body
    }

    /// The body of a problem, whose form is checked.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["error"], self.body["detail"], "clients read `error`");
        for member in ["type", "title", "code"] {
            assert!(self.body[member].is_string(), "{member} is missing: {}", self.body);
        }
        self.body
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// A request of any form.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn send(&self, mut request: reqwest::RequestBuilder) -> Answer {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("the server answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.expect("the answer ends");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("it is somebody known")
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }
}

/// A workspace with a mail server, and its owner.
pub struct Tenant {
    pub id: String,
    pub owner: Client,
    pub integration: String,
    pub server: &'static Server,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it in order.
    pub async fn stop(&self) {
        let Some((end, thread)) = self.end.lock().expect("nobody panicked").take() else { return };
        end.send(()).expect("the server runs");
        tokio::task::spawn_blocking(move || thread.join()).await.expect("it waits").expect("the server ends");
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Client {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Client { http, base: format!("http://{}", self.address), token: None }
    }

    /// The administrator.
    pub async fn root(&self) -> Client {
        let token = self.root.get_or_init(|| self.sign_root_in()).await;
        self.anonymous().with_token(token)
    }

    async fn sign_root_in(&self) -> String {
        use application::ports::Vault as _;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let signature = crypto::AesVault::new(Secret::new(SECRET_KEY)).hash(&format!("{ROOT}:{now}"));
        let body = json!({"email": ROOT, "timestamp": now, "signature": signature});
        let session = self.anonymous().post("/api/user.rootSignin", &body).await.ok();
        session["token"].as_str().expect("a token").to_owned()
    }

    /// A workspace without a mail server.
    pub async fn bare_tenant(&'static self) -> Tenant {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let id = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let owner = self.root().await;
        owner.post("/api/workspaces.create", &workspace(&id)).await.ok();
        Tenant { id, owner, integration: String::new(), server: self }
    }

    /// A workspace whose mails go to the sink.
    pub async fn tenant(&'static self) -> Tenant {
        self.tenant_with(&self.sink).await
    }

    /// A workspace whose mails go to a sink of its own.
    pub async fn tenant_with(&'static self, sink: &Sink) -> Tenant {
        let mut tenant = self.bare_tenant().await;
        let provider = smtp_provider(sink.addr());
        let body = json!({"workspace_id": tenant.id, "name": "Relay", "type": "email", "provider": provider});
        let made = tenant.owner.post("/api/workspaces.createIntegration", &body).await.ok();
        tenant.integration = made["integration_id"].as_str().expect("an id").to_owned();
        let mut settings = workspace(&tenant.id);
        settings["settings"]["transactional_email_provider_id"] = json!(tenant.integration);
        settings["settings"]["marketing_email_provider_id"] = json!(tenant.integration);
        tenant.owner.post("/api/workspaces.update", &settings).await.ok();
        tenant
    }
}

pub fn workspace(id: &str) -> Value {
    json!({"id": id, "name": "Acme", "settings": {
        "timezone": "Europe/Paris", "default_language": "en", "languages": ["en", "fr"]}})
}

pub fn smtp_provider(address: SocketAddr) -> Value {
    json!({"kind": "smtp",
           "smtp": {"host": address.ip().to_string(), "port": address.port(), "use_tls": false},
           "senders": [{"email": "hello@acme.example", "name": "Acme", "is_default": true}],
           "rate_limit_per_minute": 600_000})
}

pub fn mjml(subject: &str, body: &str) -> Value {
    json!({"editor_mode": "code", "subject": subject, "mjml_source":
        format!("<mjml><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>")})
}

impl Tenant {
    /// A member of the workspace with exactly these permissions.
    pub async fn member(&self, permissions: Value) -> Client {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let email = format!("member{n}@{}.example", self.id);
        let body = json!({"workspace_id": self.id, "email": email, "permissions": permissions});
        let invited = self.owner.post("/api/workspaces.inviteMember", &body).await.ok();
        let token = json!({"token": invited["token"]});
        let accepted = self.server.anonymous().post("/api/workspaces.acceptInvitation", &token).await.ok();
        self.owner.with_token(accepted["token"].as_str().expect("a token"))
    }

    /// Posts a body with the workspace in it, as the owner.
    pub async fn post(&self, path: &str, mut body: Value) -> Answer {
        body["workspace_id"] = json!(self.id);
        self.owner.post(&format!("/api/{path}"), &body).await
    }

    /// Gets with the workspace in the query, as the owner.
    pub async fn get(&self, path: &str, query: &str) -> Answer {
        self.owner.get(&format!("/api/{path}?workspace_id={}&{query}", self.id)).await
    }

    pub async fn template(&self, id: &str, email: Value) {
        let body =
            json!({"id": id, "name": id, "channel": "email", "category": "transactional", "email": email});
        self.post("templates.create", body).await.ok();
    }

    pub async fn list(&self, id: &str) {
        self.post("lists.create", json!({"id": id, "name": id})).await.ok();
    }

    /// A template and a notification of one name.
    pub async fn notification(&self, id: &str, email: Value) {
        self.template(id, email).await;
        let channels = json!({"email": {"template_id": id}});
        let body = json!({"notification": {"id": id, "name": id, "channels": channels}});
        self.post("transactional.create", body).await.ok();
    }

    pub async fn send(&self, notification: Value) -> Answer {
        self.post("transactional.send", json!({"notification": notification})).await
    }

    /// Waits until a message has left the given state, and answers it.
    pub async fn settled(&self, message: &str, from: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let page = self.get("messages.list", &format!("id={message}")).await.ok();
            let found = page["messages"][0].clone();
            if found["state"].is_string() && found["state"] != from {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "the message stays {from}: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no recipient of a broadcast waits any longer, and answers the account.
    pub async fn account(&self, broadcast: &str, recipients: u64) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get("broadcasts.ledger", &format!("id={broadcast}")).await.ok();
            let ledger = answer["ledger"].clone();
            let sum: u64 = ["queued", "sending", "sent", "failed", "unknown", "skipped", "cancelled"]
                .iter()
                .filter_map(|s| ledger[s].as_u64())
                .sum();
            assert_eq!(ledger["planned"].as_u64(), Some(sum), "the account adds up at any moment");
            if ledger["planned"] == recipients && ledger["queued"] == 0 && ledger["sending"] == 0 {
                return ledger;
            }
            assert!(tokio::time::Instant::now() < deadline, "recipients still wait: {ledger}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
