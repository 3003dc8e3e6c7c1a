//! The acts of the demo, one after the other.

use super::{
    client::Client,
    summary::{Imported, Newsletter, Summary},
};
use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use smtp::sink::{ReceivedMail, Sink};
use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

const NEWSLETTER_SOURCE: &str = include_str!("../../demo/newsletter.mjml");
const WELCOME_SOURCE: &str = include_str!("../../demo/welcome.mjml");

/// The identifier of the demo's workspace.
const WORKSPACE: &str = "demo";

/// The name of the demo's workspace, by which a later run knows it again.
const SHOP: &str = "Nordlys Coffee";

/// Rows of an import per request.
const BATCH: usize = 500;

/// How often the newsletter's progress is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// How long nothing may move before the demo gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that the acts need.
pub(super) struct Play<'a> {
    pub(super) client: Client,
    /// Keeps its mails, to be read.
    pub(super) mailbox: &'a Sink,
    /// Takes the newsletter.
    pub(super) sink: &'a Sink,
    pub(super) rows: Vec<Value>,
    /// The administrator's address.
    pub(super) root: String,
    /// Where the mails to read are written.
    pub(super) folder: PathBuf,
}

impl Play<'_> {
    pub(super) async fn run(self) -> anyhow::Result<Summary> {
        let Self { client, mailbox, sink, rows, root, folder } = self;
        let client = sign_in(client, &root).await?;
        let stage = Stage { workspace: workspace(&client).await?, client, mailbox };
        let reading = stage.provider("Mailbox", mailbox.addr()).await?;
        let bulk = stage.provider("Bulk", sink.addr()).await?;
        stage.use_providers(&reading, &reading).await?;
        step("connected two SMTP servers as providers");
        stage.templates().await?;
        let imported = stage.import(&rows).await?;
        let welcome = stage.welcome().await?;
        let preview = stage.preview().await?;
        stage.use_providers(&reading, &bulk).await?;
        let newsletter = stage.newsletter().await?;
        let mails = [("welcome.eml", &welcome), ("newsletter.eml", &preview)]
            .into_iter()
            .map(|(name, mail)| {
                let path = folder.join(name);
                std::fs::write(&path, &mail.data).map(|()| path)
            })
            .collect::<Result<Vec<_>, _>>()
            .context("the mails cannot be written")?;
        let welcome_from = welcome.header("From").unwrap_or_default();
        Ok(Summary { imported, newsletter, welcome_from, mails })
    }
}

async fn sign_in(client: Client, root: &str) -> anyhow::Result<Client> {
    let asked = client.post("user.signin", &json!({"email": root})).await?;
    let code = asked["code"].as_str().context("user.signin answered without a code")?;
    let session = client.post("user.verify", &json!({"email": root, "code": code})).await?;
    let token = session["token"].as_str().context("user.verify answered without a token")?.to_owned();
    step("signed in as the administrator");
    Ok(client.signed_in(token))
}

/// Makes a workspace of its own. Those that earlier runs left on the same database are deleted:
/// their mail servers are gone, and on PostgreSQL the key of their secrets too.
async fn workspace(client: &Client) -> anyhow::Result<String> {
    let there = client.get("workspaces.list").await?;
    let mut taken = Vec::new();
    for workspace in there.as_array().into_iter().flatten() {
        let id = workspace["id"].as_str().context("a workspace has no identifier")?;
        if id.starts_with(WORKSPACE) && workspace["name"] == SHOP {
            client.post("workspaces.delete", &json!({"id": id})).await?;
            step(&format!("deleted the workspace {id} of an earlier run"));
        } else {
            taken.push(id);
        }
    }
    let names = std::iter::once(WORKSPACE.to_owned()).chain((2..).map(|n| format!("{WORKSPACE}{n}")));
    let id = names.into_iter().find(|name| !taken.contains(&name.as_str())).context("no name is left")?;
    client.post("workspaces.create", &workspace_draft(&id, None, None)).await?;
    step(&format!("created the workspace {id}, with a database of its own"));
    Ok(id)
}

fn workspace_draft(id: &str, transactional: Option<&str>, marketing: Option<&str>) -> Value {
    json!({
        "id": id,
        "name": SHOP,
        "settings": {
            "website_url": "https://shop.nordlys.example",
            "timezone": "Europe/Copenhagen",
            "default_language": "en",
            "languages": ["en"],
            "transactional_email_provider_id": transactional,
            "marketing_email_provider_id": marketing,
        },
    })
}

/// A workspace to act in.
struct Stage<'a> {
    client: Client,
    workspace: String,
    mailbox: &'a Sink,
}

impl Stage<'_> {
    /// Connects a mail server. Answers its integration.
    async fn provider(&self, name: &str, server: SocketAddr) -> anyhow::Result<String> {
        let integration = json!({
            "workspace_id": self.workspace,
            "name": name,
            "type": "email",
            "provider": {
                "kind": "smtp",
                "smtp": {"host": server.ip().to_string(), "port": server.port(), "use_tls": false},
                "senders": [{"email": "hello@nordlys.example", "name": "Nordlys Coffee", "is_default": true}],
                "rate_limit_per_minute": 6_000_000,
            },
        });
        let made = self.client.post("workspaces.createIntegration", &integration).await?;
        made["integration_id"].as_str().map(str::to_owned).context("the integration has no identifier")
    }

    async fn use_providers(&self, transactional: &str, marketing: &str) -> anyhow::Result<()> {
        let draft = workspace_draft(&self.workspace, Some(transactional), Some(marketing));
        self.client.post("workspaces.update", &draft).await.map(drop)
    }

    async fn templates(&self) -> anyhow::Result<()> {
        for (id, category, subject, source) in [
            (
                "newsletter",
                "marketing",
                "{{ contact.first_name | default: 'Hello' }}, the new harvest is here",
                NEWSLETTER_SOURCE,
            ),
            (
                "welcome",
                "transactional",
                "Welcome, {{ contact.first_name }}: order {{ order.number }}",
                WELCOME_SOURCE,
            ),
        ] {
            let template = json!({
                "workspace_id": self.workspace,
                "id": id,
                "name": id,
                "channel": "email",
                "category": category,
                "email": {"editor_mode": "code", "mjml_source": source, "subject": subject},
            });
            self.client.post("templates.create", &template).await?;
        }
        for (id, name) in [("news", "Coffee news"), ("editors", "Editors")] {
            let list = json!({"workspace_id": self.workspace, "id": id, "name": name});
            self.client.post("lists.create", &list).await?;
        }
        step("stored two MJML templates and two lists");
        Ok(())
    }

    async fn import(&self, rows: &[Value]) -> anyhow::Result<Imported> {
        let bar = bar("importing contacts", rows.len());
        let mut imported = Imported { rows: rows.len(), ..Imported::default() };
        let begun = Instant::now();
        for batch in rows.chunks(BATCH) {
            let request =
                json!({"workspace_id": self.workspace, "contacts": batch, "subscribe_to_lists": ["news"]});
            let answer = self.client.post("contacts.import", &request).await?;
            let operations = answer["operations"].as_array().context("contacts.import told nothing")?;
            for operation in operations {
                imported.note(operation);
            }
            bar.inc(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        }
        imported.lasted = begun.elapsed();
        bar.finish_and_clear();
        step(&format!("imported {} contacts into the list", imported.stored));
        Ok(imported)
    }

    /// One transactional mail with a sender name of its own.
    async fn welcome(&self) -> anyhow::Result<ReceivedMail> {
        let notification = json!({
            "workspace_id": self.workspace,
            "notification": {
                "id": "welcome",
                "name": "Welcome",
                "channels": {"email": {"template_id": "welcome"}},
            },
        });
        self.client.post("transactional.create", &notification).await?;
        let mail = json!({
            "workspace_id": self.workspace,
            "notification": {
                "id": "welcome",
                "contact": {"email": "soeren.kierkegaard@example.com", "first_name": "Søren"},
                "channels": ["email"],
                "data": {"order": {"number": "2026-041", "items": [
                    {"name": "Yirgacheffe", "quantity": 2, "grind": "filter"},
                    {"name": "Paper filters & a scoop", "quantity": 1},
                ]}},
                "email_options": {"from_name": "Nina at Nordlys", "reply_to": "nina@nordlys.example"},
            },
        });
        let before = self.mailbox.count();
        self.client.post("transactional.send", &mail).await?;
        ensure!(self.mailbox.wait_for(before + 1, PATIENCE).await, "the welcome mail did not arrive");
        step("sent a transactional mail with a sender name of its own");
        self.mailbox.received().pop().context("the welcome mail was not kept")
    }

    /// The newsletter as its editor sees it before everybody else does.
    async fn preview(&self) -> anyhow::Result<ReceivedMail> {
        let editor = json!({"email": "nina@nordlys.example", "first_name": "Nina", "language": "de",
            "custom_number_1": 52, "custom_string_1": "Sidamo"});
        let import =
            json!({"workspace_id": self.workspace, "contacts": [editor], "subscribe_to_lists": ["editors"]});
        self.client.post("contacts.import", &import).await?;
        let id = self.begin_broadcast("The new harvest (preview)", "editors").await?;
        self.follow(&id, Instant::now()).await?;
        step("sent a preview of the newsletter to its editor");
        self.mailbox.received().pop().context("the preview was not kept")
    }

    /// One newsletter to everybody on the list.
    async fn newsletter(&self) -> anyhow::Result<Newsletter> {
        let begun = Instant::now();
        let id = self.begin_broadcast("The new harvest", "news").await?;
        let mut sent = self.follow(&id, begun).await?;
        sent.failed = self.failures(&id).await?;
        step(&format!("sent the newsletter to {} contacts", sent.sent));
        Ok(sent)
    }

    async fn begin_broadcast(&self, name: &str, list: &str) -> anyhow::Result<String> {
        let draft = json!({
            "workspace_id": self.workspace,
            "name": name,
            "audience": {"list": list, "segments": [], "exclude_unsubscribed": true},
            "test_settings": {"enabled": false, "variations": [{"variation_name": "A", "template_id": "newsletter"}]},
            "utm_parameters": {"source": "newsletter", "medium": "email", "campaign": "harvest"},
        });
        let made = self.client.post("broadcasts.create", &draft).await?;
        let id = made["broadcast"]["id"].as_str().context("the broadcast has no identifier")?;
        let start = json!({"workspace_id": self.workspace, "id": id, "send_now": true});
        self.client.post("broadcasts.schedule", &start).await?;
        Ok(id.to_owned())
    }

    /// Watches a broadcast until every mail has arrived or failed.
    async fn follow(&self, id: &str, begun: Instant) -> anyhow::Result<Newsletter> {
        let bar = bar("sending the newsletter", 0);
        let mut last_move = Instant::now();
        let mut settled_before = 0;
        loop {
            let query = format!("workspace_id={}&id={id}", self.workspace);
            let broadcast = self.client.get(&format!("broadcasts.get?{query}")).await?;
            let query = format!("workspace_id={}&broadcast_id={id}", self.workspace);
            let stats = self.client.get(&format!("messages.broadcastStats?{query}")).await?;
            let number = |value: &Value| value.as_u64().unwrap_or_default();
            let planned = number(&broadcast["broadcast"]["enqueued_count"]);
            let sent = number(&stats["stats"]["total_sent"]);
            let settled = sent + number(&stats["stats"]["total_failed"]);
            bar.set_length(planned);
            bar.set_position(settled);
            if broadcast["broadcast"]["status"] == "processed" && settled >= planned {
                bar.finish_and_clear();
                return Ok(Newsletter { planned, sent, lasted: begun.elapsed(), ..Newsletter::default() });
            }
            if settled > settled_before {
                (settled_before, last_move) = (settled, Instant::now());
            }
            if last_move.elapsed() > PATIENCE {
                bail!("no mail has moved for a minute: {settled} of {planned} are settled");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The words with which mails were refused.
    async fn failures(&self, id: &str) -> anyhow::Result<std::collections::BTreeMap<String, u64>> {
        let mut failures = std::collections::BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let query =
                format!("workspace_id={}&broadcast_id={id}&is_failed=true&limit=100{cursor}", self.workspace);
            let page = self.client.get(&format!("messages.list?{query}")).await?;
            for message in page["messages"].as_array().into_iter().flatten() {
                let words = message["status_info"].as_str().unwrap_or("without a reason").to_owned();
                *failures.entry(words).or_default() += 1;
            }
            match page["next_cursor"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => {
                    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
                    cursor = format!("&cursor={next}");
                }
                None => return Ok(failures),
            }
        }
    }
}

impl Imported {
    /// Counts the answer for one row.
    fn note(&mut self, operation: &Value) {
        match (operation["action"].as_str(), operation["error"].as_str()) {
            (Some("create"), _) => self.stored += 1,
            (Some("update"), _) => self.repeated += 1,
            (_, Some(error)) if error.starts_with("duplicate") => self.repeated += 1,
            (_, error) => {
                let error = error.unwrap_or("without a reason");
                // "invalid contact at index 7: …": the place differs, the reason counts
                let reason = error.split_once(": ").map_or(error, |(_, reason)| reason);
                *self.rejected.entry(reason.to_owned()).or_default() += 1;
            }
        }
    }
}

fn step(text: &str) {
    println!("✓ {text}");
}

/// A bar on a terminal; nothing where the output goes to a file.
fn bar(label: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("  {msg:24} [{bar:40}] {pos}/{len} ({per_sec})")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX))
        .with_style(style.progress_chars("=> "))
        .with_message(label)
}
