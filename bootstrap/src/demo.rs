//! `notifuse demo`: the main job on real input, through the API, to a mail server inside the process.

mod client;
mod contacts;
mod play;
mod summary;

use crate::{
    app::{self, App},
    cli,
    settings::{Database, Environment, SecretKey, Settings, SystemMail},
};
use anyhow::Context as _;
use clap::Args;
use client::Client;
use crypto::OsRandom;
use play::Play;
use smtp::sink::{Act, Keep, Script, Sink, SinkOptions};
use std::path::PathBuf;

/// The name of the demo's own databases on a PostgreSQL server, so that it never touches others.
const DATABASE: &str = "notifuse_demo";

/// Contacts of the sample data whose mailbox the demo's mail server refuses, by external identifier.
const REFUSED: [&str; 3] = ["customer-0300", "customer-0600", "customer-0900"];

/// How the demo goes.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Keeps the server up afterwards, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Rows to import; the sample has 1000, more are made by repeating them under other addresses
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub contacts: Option<u32>,
    /// Folder to keep the data in; by default a new one in the folder for temporary files
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// The settings of the demo: those of the environment, but for this machine alone.
///
/// # Errors
/// When no folder can be made.
pub fn settings(mut settings: Settings, options: &Options) -> anyhow::Result<Settings> {
    settings.environment = Environment::Development;
    "127.0.0.1".clone_into(&mut settings.host);
    settings.api_endpoint = None;
    settings.system_mail = SystemMail::Outbox;
    settings.worker_enabled = true;
    if !options.serve {
        settings.port = 0;
    }
    if settings.telemetry.log_filter == "info" {
        "warn".clone_into(&mut settings.telemetry.log_filter);
    }
    if let Database::PostgreSql(server) = &mut settings.database {
        DATABASE.clone_into(&mut server.database);
        DATABASE.clone_into(&mut server.prefix);
    }
    settings.data_dir = match &options.data_dir {
        Some(folder) => folder.clone(),
        None => temporary_folder()?,
    };
    Ok(settings)
}

/// A folder that was not there before.
fn temporary_folder() -> anyhow::Result<PathBuf> {
    let base = std::env::temp_dir();
    for number in 1.. {
        let folder = base.join(format!("notifuse-demo-{}-{number}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot make the folder {}", folder.display()));
            }
        }
    }
    unreachable!("the numbers do not end")
}

/// Plays the main job from an empty folder to delivered mails, and tells how it went.
///
/// # Errors
/// When a step fails.
pub async fn run(mut settings: Settings, options: Options) -> anyhow::Result<()> {
    let rows = contacts::rows(options.contacts.unwrap_or(1_000))?;
    let mailbox = start(SinkOptions { keep: Keep::Mails, ..SinkOptions::default() }).await?;
    let sink = start(bulk_server(&rows)).await?;
    let (listener, address) = app::listen(&mut settings).await?;
    let key = SecretKey::ensure(settings.secret_key.as_ref(), &settings.data_dir, &OsRandom)?;
    let folder = settings.data_dir.clone();
    let root = settings.root_email.to_string();

    println!("Starting: data in {}, mail servers inside this process", folder.display());
    let running = App::assemble(settings, key.key)?.start(listener).await?;
    let client = Client::new(address)?;
    let play = Play { client, mailbox: &mailbox, sink: &sink, rows, root, folder };
    let played = tokio::select! {
        played = play.run() => played.map(Some),
        () = cli::stop_asked() => Ok(None),
    };
    if let Ok(Some(summary)) = &played {
        summary.print();
        println!(
            "  Swagger UI   http://{address}/docs{}",
            if options.serve { "" } else { " (with --serve)" }
        );
        if options.serve {
            println!("\nThe server stays up. Sign in with the address of ROOT_EMAIL. Ctrl-C ends it.");
            cli::stop_asked().await;
        }
    }
    running.stop().await;
    played.map(drop)
}

/// Takes every mail but those to a few mailboxes that do not exist, and keeps none of them.
fn bulk_server(rows: &[serde_json::Value]) -> SinkOptions {
    let refused =
        rows.iter().filter(|row| row["external_id"].as_str().is_some_and(|id| REFUSED.contains(&id)));
    let script =
        refused.filter_map(|row| row["email"].as_str()).fold(Script::default(), |script, address| {
            let answer = Act::answer("550 5.1.1 no such mailbox here");
            script.recipient(address.trim().to_lowercase(), answer)
        });
    SinkOptions { keep: Keep::Nothing, script, ..SinkOptions::default() }
}

async fn start(options: SinkOptions) -> anyhow::Result<Sink> {
    Sink::start(options).await.context("a mail server of the demo cannot be started")
}
