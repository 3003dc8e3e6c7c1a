//! A server that is killed in the middle of a broadcast accounts for everybody afterwards.

use reqwest::Client;
use serde_json::{Value, json};
use smtp::sink::{Act, Script, Sink, SinkOptions, Stage};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const RECIPIENTS: usize = 1_500;
const KILLS: usize = 4;
const PATIENCE: Duration = Duration::from_mins(2);

/// A server process; killed without warning when dropped.
struct Process {
    child: Child,
    base: String,
}

impl Process {
    fn start(folder: &Path, database: &[(String, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_notifuse"))
            .arg("serve")
            .current_dir(folder)
            .env_clear()
            .envs(database.iter().cloned())
            .env("ENVIRONMENT", "development")
            .env("SERVER_PORT", "0")
            .env("DATA_DIR", folder.join("data"))
            .env("ROOT_EMAIL", "root@acme.example")
            .env("EMAIL_QUEUE_RETRY_BASE", "1s")
            .env("EMAIL_QUEUE_CLAIM", "2s")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let base = loop {
            let line = lines.next().expect("the server says where it listens").expect("its output is text");
            if let Some(at) = line.find("http://") {
                let address = line[at..].split_whitespace().next().unwrap_or_default();
                break address.trim_end_matches('/').trim_end_matches("/docs").to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, base }
    }

    async fn call(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Value {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().expect("a client");
        let url = format!("{}/api/{path}", self.base);
        let mut request = if method == "GET" { client.get(url) } else { client.post(url).json(body) };
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("the server answers");
        let status = answer.status();
        let body: Value = answer.json().await.expect("the answer is JSON");
        assert!(status.is_success(), "{path}: {body}");
        body
    }
}

/// The command that counts all accounts, beside the running server.
fn ledger_check(folder: &Path, database: &[(String, String)]) {
    let output = Command::new(env!("CARGO_BIN_EXE_notifuse"))
        .args(["ledger", "check"])
        .current_dir(folder)
        .env_clear()
        .envs(database.iter().cloned())
        .env("ENVIRONMENT", "development")
        .env("DATA_DIR", folder.join("data"))
        .env("ROOT_EMAIL", "root@acme.example")
        .output()
        .expect("the command runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Workspaces: 1, accounts: 1, wrong: 0."), "{told}");
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn sign_in(process: &Process) -> String {
    let email = json!({"email": "root@acme.example"});
    let asked = process.call(None, "POST", "user.signin", &email).await;
    let code = json!({"email": "root@acme.example", "code": asked["code"]});
    process.call(None, "POST", "user.verify", &code).await["token"].as_str().expect("a token").to_owned()
}

async fn set_up(process: &Process, token: &str, sink: &Sink) -> String {
    let post =
        |path: &'static str, body: Value| async move { process.call(Some(token), "POST", path, &body).await };
    let mut settings = json!({"timezone": "UTC", "default_language": "en", "languages": ["en"]});
    post("workspaces.create", json!({"id": "acme", "name": "Acme", "settings": settings})).await;
    let provider = json!({"kind": "smtp", "rate_limit_per_minute": 6_000_000,
        "smtp": {"host": "127.0.0.1", "port": sink.addr().port(), "use_tls": false},
        "senders": [{"email": "hello@acme.example", "name": "Acme", "is_default": true}]});
    let body = json!({"workspace_id": "acme", "name": "Relay", "type": "email", "provider": provider});
    settings["marketing_email_provider_id"] =
        post("workspaces.createIntegration", body).await["integration_id"].clone();
    post("workspaces.update", json!({"id": "acme", "name": "Acme", "settings": settings})).await;
    let email = json!({"subject": "June", "editor_mode": "code",
        "mjml_source": "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ contact.email }}</mj-text></mj-column></mj-section></mj-body></mjml>"});
    post("templates.create", json!({"workspace_id": "acme", "id": "june", "name": "June", "channel": "email", "category": "marketing", "email": email})).await;
    post("lists.create", json!({"workspace_id": "acme", "id": "news", "name": "News"})).await;
    let rows: Vec<_> = (0..RECIPIENTS).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
    post(
        "contacts.import",
        json!({"workspace_id": "acme", "contacts": rows, "subscribe_to_lists": ["news"]}),
    )
    .await;
    let body = json!({"workspace_id": "acme", "name": "June", "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "june"}]}});
    let id = post("broadcasts.create", body).await["broadcast"]["id"].as_str().expect("an id").to_owned();
    post("broadcasts.schedule", json!({"workspace_id": "acme", "id": id, "send_now": true})).await;
    id
}

async fn ledger(process: &Process, token: &str, broadcast: &str) -> Value {
    let path = format!("broadcasts.ledger?workspace_id=acme&id={broadcast}");
    let ledger = process.call(Some(token), "GET", &path, &Value::Null).await["ledger"].clone();
    let parts = ["queued", "sending", "sent", "failed", "unknown"];
    let sum: u64 = parts.iter().filter_map(|part| ledger[part].as_u64()).sum();
    assert_eq!(ledger["planned"].as_u64(), Some(sum), "the account adds up: {ledger}");
    ledger
}

async fn killed_again_and_again(database: &[(String, String)]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let slow = Script::default().always(Stage::EndOfData, Act::Delay(Duration::from_millis(5)));
    let sink = Sink::start(SinkOptions { script: slow, ..SinkOptions::default() }).await.expect("a sink");
    let mut process = Process::start(folder.path(), database);
    let mut token = sign_in(&process).await;
    let broadcast = set_up(&process, &token, &sink).await;
    for kill in 1..=KILLS {
        let so_far = RECIPIENTS * kill / (KILLS + 2);
        assert!(sink.wait_for(so_far, PATIENCE).await, "mails go out again after kill {}", kill - 1);
        drop(process);
        process = Process::start(folder.path(), database);
        token = sign_in(&process).await;
        ledger(&process, &token, &broadcast).await;
        ledger_check(folder.path(), database);
    }
    let deadline = Instant::now() + PATIENCE;
    let account = loop {
        let account = ledger(&process, &token, &broadcast).await;
        if account["planned"] == RECIPIENTS && account["queued"] == 0 && account["sending"] == 0 {
            break account;
        }
        assert!(Instant::now() < deadline, "recipients still wait: {account}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ledger_check(folder.path(), database);
    let mut mails: HashMap<String, usize> = HashMap::new();
    for mail in sink.received() {
        *mails.entry(mail.to[0].clone()).or_default() += 1;
    }
    assert!(mails.values().all(|times| *times == 1), "nobody is mailed twice");
    let sent = account["sent"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a count");
    let unknown = account["unknown"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a count");
    assert_eq!(account["failed"], 0);
    assert_eq!(sent + unknown, RECIPIENTS);
    assert!(mails.len() >= sent, "everybody recorded as sent was mailed");
    assert!(unknown < RECIPIENTS / 4, "few are unknown: {account}");
}

#[tokio::test]
async fn a_killed_server_on_sqlite_accounts_for_everybody() {
    killed_again_and_again(&[]).await;
}

#[tokio::test]
async fn a_killed_server_on_postgresql_accounts_for_everybody() {
    let databases = tests::postgres::Databases::new();
    let url = tests::postgres::server().url(&databases.system());
    killed_again_and_again(&[
        ("DATABASE_URL".to_owned(), url),
        ("DB_PREFIX".to_owned(), databases.prefix().to_owned()),
    ])
    .await;
}
