//! A server that is killed in the middle of a broadcast accounts for everybody afterwards.

use reqwest::Client;
use serde_json::{Value, json};
use smtp::sink::{Act, Script, Sink, SinkOptions, Stage};
use std::{
    collections::{HashMap, HashSet},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_mins(2);

/// How much is done. The long form is a matter of the environment: see scripts/test-crashes.sh.
#[derive(Clone, Copy)]
struct Size {
    recipients: usize,
    kills: usize,
    /// Decides the moments of the kills.
    seed: u64,
}

impl Size {
    #[expect(clippy::disallowed_methods, reason = "the long form of a test is no setting of the product")]
    fn of_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let count = |name, usual| number(name).and_then(|n| usize::try_from(n).ok()).unwrap_or(usual);
        Self {
            recipients: count("CRASH_RECIPIENTS", 1_500),
            kills: count("CRASH_KILLS", 4),
            seed: number("CRASH_SEED").unwrap_or(7),
        }
    }

    /// A pause before a kill, so that it falls into any step of planning and sending.
    fn pause(&mut self) -> Duration {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((self.seed >> 33) % 200_000)
    }
}

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

async fn set_up(process: &Process, token: &str, sink: &Sink, recipients: usize) -> String {
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
    let rows: Vec<_> = (0..recipients).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
    for rows in rows.chunks(2_000) {
        let body = json!({"workspace_id": "acme", "contacts": rows, "subscribe_to_lists": ["news"]});
        post("contacts.import", body).await;
    }
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

/// Waits until everybody is planned and nobody waits, and answers the account.
async fn settled(process: &Process, token: &str, broadcast: &str, recipients: usize) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let account = ledger(process, token, broadcast).await;
        if account["planned"] == recipients && account["queued"] == 0 && account["sending"] == 0 {
            return account;
        }
        assert!(Instant::now() < deadline, "recipients still wait: {account}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Who was mailed, as the history says.
async fn sent_in_history(process: &Process, token: &str, broadcast: &str) -> HashSet<String> {
    let mut sent = HashSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!(
            "messages.list?workspace_id=acme&broadcast_id={broadcast}&is_sent=true&limit=100&cursor={cursor}"
        );
        let page = process.call(Some(token), "GET", &path, &Value::Null).await;
        for message in page["messages"].as_array().expect("messages") {
            sent.insert(message["contact_email"].as_str().expect("an address").to_owned());
        }
        match page["next_cursor"].as_str().filter(|next| !next.is_empty()) {
            Some(next) => next.clone_into(&mut cursor),
            None => return sent,
        }
    }
}

/// Mails that may be under way when a server is killed: a few groups are handed over and a few more
/// wait for their results to be recorded.
const UNDER_WAY: usize = 64;

/// Holds the account against the log of the mail server.
async fn compare(
    process: &Process,
    token: &str,
    broadcast: &str,
    sink: &Sink,
    Size { recipients, kills, .. }: Size,
) {
    let account = settled(process, token, broadcast, recipients).await;
    let mut mails: HashMap<String, usize> = HashMap::new();
    for mail in sink.received() {
        *mails.entry(mail.to[0].clone()).or_default() += 1;
    }
    let twice: Vec<_> = mails.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "nobody is mailed twice: {twice:?}");
    let number =
        |state: &str| account[state].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a count");
    let (sent, unknown) = (number("sent"), number("unknown"));
    assert_eq!(account["failed"], 0);
    assert_eq!(sent + unknown, recipients, "nobody is missing: {account}");
    let history = sent_in_history(process, token, broadcast).await;
    assert_eq!(history.len(), sent, "the history knows everybody who was sent to");
    let missing: Vec<_> = history.iter().filter(|email| !mails.contains_key(*email)).collect();
    assert!(missing.is_empty(), "everybody recorded as sent was mailed: {missing:?}");
    assert!(unknown <= kills * UNDER_WAY, "a kill leaves no more unknown than was under way: {account}");
    println!("{recipients} recipients: {sent} sent, {unknown} unknown, {} mails", sink.count());
}

async fn killed_again_and_again(database: &[(String, String)]) {
    let mut size = Size::of_environment();
    let Size { recipients, kills, .. } = size;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let slow = Script::default().always(Stage::EndOfData, Act::Delay(Duration::from_millis(5)));
    let sink = Sink::start(SinkOptions { script: slow, ..SinkOptions::default() }).await.expect("a sink");
    let mut process = Process::start(folder.path(), database);
    let mut token = sign_in(&process).await;
    let broadcast = set_up(&process, &token, &sink, recipients).await;
    for kill in 1..=kills {
        let so_far = recipients * kill / (kills + 2);
        assert!(sink.wait_for(so_far, PATIENCE).await, "mails go out again after kill {}", kill - 1);
        tokio::time::sleep(size.pause()).await;
        drop(process);
        process = Process::start(folder.path(), database);
        token = sign_in(&process).await;
        ledger(&process, &token, &broadcast).await;
        ledger_check(folder.path(), database);
    }
    compare(&process, &token, &broadcast, &sink, size).await;
    ledger_check(folder.path(), database);
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

#[tokio::test]
async fn two_servers_on_one_postgresql_share_a_broadcast_and_one_finishes_it() {
    const RECIPIENTS: usize = 1_500;
    let databases = tests::postgres::Databases::new();
    let url = tests::postgres::server().url(&databases.system());
    let database =
        [("DATABASE_URL".to_owned(), url), ("DB_PREFIX".to_owned(), databases.prefix().to_owned())];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let slow = Script::default().always(Stage::EndOfData, Act::Delay(Duration::from_millis(5)));
    let sink = Sink::start(SinkOptions { script: slow, ..SinkOptions::default() }).await.expect("a sink");
    let first = Process::start(folder.path(), &database);
    let token = sign_in(&first).await;
    let second = Process::start(folder.path(), &database);
    let broadcast = set_up(&first, &token, &sink, RECIPIENTS).await;
    assert!(sink.wait_for(RECIPIENTS / 2, PATIENCE).await, "mails go out");
    drop(first);
    ledger(&second, &token, &broadcast).await;
    compare(&second, &token, &broadcast, &sink, Size { recipients: RECIPIENTS, kills: 1, seed: 0 }).await;
    ledger_check(folder.path(), &database);
}
