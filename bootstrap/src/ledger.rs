//! `notifuse ledger check`: whether every planned recipient of every broadcast is accounted for.

use crate::{
    app::App,
    settings::{SecretKey, Settings},
};
use anyhow::Context as _;
use clap::Subcommand;
use crypto::OsRandom;
use domain::broadcasts::Audit;

/// What is done with the accounts of broadcasts.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Counts the accounts of all broadcasts of all workspaces, also beside a running server
    Check,
}

/// Counts all accounts and prints those that do not add up.
///
/// # Errors
/// When an account does not add up, or a workspace cannot be read; the others are counted.
pub async fn run(settings: Settings, job: &Job) -> anyhow::Result<()> {
    let Job::Check = job;
    let key = SecretKey::ensure(settings.secret_key.as_ref(), &settings.data_dir, &OsRandom)?;
    let app = App::assemble(settings, key.key)?;
    let outcome = check(&app).await;
    app.store().shutdown(std::time::Duration::from_secs(10)).await;
    outcome
}

async fn check(app: &App) -> anyhow::Result<()> {
    let broadcasts = app.broadcasts();
    let workspaces = broadcasts.audited_workspaces().await.context("the workspaces cannot be listed")?;
    let (mut accounts, mut wrong, mut unread) = (0, 0, 0);
    for workspace in &workspaces {
        match broadcasts.audit(workspace).await {
            Ok((counted, discrepancies)) => {
                accounts += counted;
                wrong += discrepancies.len();
                for found in discrepancies {
                    println!("workspace {workspace}, broadcast {}: {}", found.broadcast, told(&found.audit));
                }
            }
            Err(error) => {
                unread += 1;
                println!("workspace {workspace}: {error}");
            }
        }
    }
    println!("Workspaces: {}, accounts: {accounts}, wrong: {wrong}.", workspaces.len());
    anyhow::ensure!(unread == 0, "{unread} workspaces could not be read");
    anyhow::ensure!(wrong == 0, "{wrong} accounts do not add up");
    Ok(())
}

fn told(audit: &Audit) -> String {
    let Audit { ledger, in_queue } = audit;
    format!(
        "planned {}, accounted {} (queued {}, sending {}, sent {}, failed {}, unknown {}, skipped {}, \
         cancelled {}), in the queue {in_queue}",
        ledger.planned,
        ledger.accounted(),
        ledger.queued,
        ledger.sending,
        ledger.sent,
        ledger.failed,
        ledger.unknown,
        ledger.skipped.total(),
        ledger.cancelled,
    )
}
