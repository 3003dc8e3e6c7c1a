//! `notifuse migrate`: brings all databases up to date before a new version is started.

use crate::{
    app::App,
    settings::{SecretKey, Settings},
};
use crypto::OsRandom;

/// Brings the system database and every workspace up to date.
///
/// # Errors
/// When a database cannot be brought up to date; the others are.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let key = SecretKey::ensure(settings.secret_key.as_ref(), &settings.data_dir, &OsRandom)?;
    let app = App::assemble(settings, key.key)?;
    app.prepare().await?;
    println!("The system database is up to date.");
    let failed = app
        .store()
        .migrate_all(|step| {
            let outcome = match step.outcome {
                Ok(()) => "up to date".to_owned(),
                Err(error) => format!("FAILED: {error}"),
            };
            println!("[{}/{}] workspace {}: {outcome}", step.done, step.total, step.workspace);
        })
        .await?;
    app.store().shutdown(std::time::Duration::from_secs(10)).await;
    anyhow::ensure!(failed == 0, "{failed} workspaces could not be brought up to date");
    Ok(())
}
