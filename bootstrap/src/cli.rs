//! The commands.

use crate::{
    app::{self, App, Running},
    demo, ledger, migrate,
    settings::{SecretKey, Settings, table},
    telemetry::{Scraping, Telemetry, observe_connections},
    welcome,
};
use clap::{Parser, Subcommand};
use crypto::OsRandom;

/// Self-hosted e-mail platform: contacts, templates, transactional mail and newsletters.
#[derive(Debug, Parser)]
#[command(name = "notifuse", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers requests and sends mails (the default)
    Serve,
    /// Shows the main job: imports contacts, sends one mail and a newsletter to a mail server of its own
    Demo(demo::Options),
    /// Brings all databases up to date
    Migrate,
    /// Looks after the accounts of broadcasts
    Ledger {
        #[command(subcommand)]
        job: ledger::Job,
    },
    /// Prints the public contract (`OpenAPI`)
    Openapi,
    /// Prints the documentation of all settings
    Settings,
}

impl Cli {
    /// Carries the command out.
    ///
    /// # Errors
    /// When it fails; the text is for people.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => with_telemetry(Settings::load()?, serve).await,
            Command::Demo(options) => {
                with_telemetry(demo::settings(Settings::load()?, &options)?, async |settings, _| {
                    demo::run(settings, options).await
                })
                .await
            }
            Command::Migrate => {
                with_telemetry(Settings::load()?, async |settings, _| migrate::run(settings).await).await
            }
            Command::Ledger { job } => {
                with_telemetry(Settings::load()?, async |settings, _| ledger::run(settings, &job).await).await
            }
            Command::Openapi => {
                println!("{}", http_api::document());
                Ok(())
            }
            Command::Settings => {
                print!("{}", table::page());
                Ok(())
            }
        }
    }
}

async fn with_telemetry(
    settings: Settings,
    job: impl AsyncFnOnce(Settings, &Telemetry) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&settings.telemetry)?;
    let done = job(settings, &telemetry).await;
    telemetry.shutdown().await;
    done
}

async fn serve(mut settings: Settings, telemetry: &Telemetry) -> anyhow::Result<()> {
    let (listener, _) = app::listen(&mut settings).await?;
    let key = SecretKey::ensure(settings.secret_key.as_ref(), &settings.data_dir, &OsRandom)?;
    key.warn_if_short();
    let scraping = telemetry.serve(&settings.telemetry).await?;
    let app = App::assemble(settings.clone(), key.key.clone())?;
    observe_connections(app.store(), telemetry)?;
    let mut running = app.start(listener).await?;
    welcome::print(&settings, &key, running.address(), scraping.as_ref().map(Scraping::address));
    let outcome = tokio::select! {
        () = stop_asked() => Ok(()),
        error = running.failed() => Err(error),
    };
    end(running).await;
    drop(scraping);
    outcome
}

/// Ends in order, or at once when asked a second time.
async fn end(running: Running) {
    tokio::select! {
        () = running.stop() => {}
        () = stop_asked() => tracing::warn!("ended at once, as asked twice"),
    }
}

/// Ends when the process is asked to stop, by Ctrl-C or by its supervisor.
///
/// # Panics
/// When the system refuses to tell about signals.
pub(crate) async fn stop_asked() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("the runtime listens to signals");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}
