//! A container, removed when the test process is gone.

use super::{Server, keep};
use sqlx::ConnectOptions as _;
use std::{
    os::unix::{net::UnixStream, process::CommandExt as _},
    process::{Command, Stdio},
    time::Duration,
};
use testcontainers::{
    GenericImage, ImageExt as _,
    core::{IntoContainerPort as _, WaitFor},
    runners::AsyncRunner as _,
};

/// Enough to pull the image over a usual line.
const PATIENCE: Duration = Duration::from_mins(2);
const PASSWORD: &str = "test";

pub(super) fn start() -> Result<Server, String> {
    if !docker_answers() {
        return Err("it does not answer".to_owned());
    }
    // A runtime of its own: the container outlives that of the first test.
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
        let started = runtime.block_on(async { tokio::time::timeout(PATIENCE, run()).await });
        let outcome = started.map_err(|_| "it took too long".to_owned())?;
        std::mem::forget(runtime);
        outcome
    })
    .join()
    .map_err(|_| "the start of a container failed".to_owned())?
}

async fn run() -> Result<Server, String> {
    let container = GenericImage::new("postgres", "17-alpine")
        .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .with_cmd([
            "postgres",
            "-c",
            "fsync=off",
            "-c",
            "synchronous_commit=off",
            "-c",
            "max_connections=200",
        ])
        .start()
        .await
        .map_err(|e| e.to_string())?;
    let host = container.get_host().await.map_err(|e| e.to_string())?.to_string();
    let port = container.get_host_port_ipv4(5432.tcp()).await.map_err(|e| e.to_string())?;
    let remove = Command::new("sh")
        .args(["-c", "read -r _; docker rm --force --volumes \"$1\"", "guard", container.id()])
        // What interrupts the test must not interrupt the tidying up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    keep(remove.map_err(|e| e.to_string())?);
    std::mem::forget(container);
    let database = "postgres".to_owned();
    let (user, password) = (database.clone(), PASSWORD.to_owned());
    let server = Server { host, port, user, password, database, socket_folder: None };
    // The image's first server, which fills the folder, says that it is ready as well.
    while server.options(&server.database).connect().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(server)
}

/// An address that is set is taken at its word; the usual socket is tried.
fn docker_answers() -> bool {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings of their own")]
    let named = std::env::var("DOCKER_HOST").is_ok();
    named || UnixStream::connect("/var/run/docker.sock").is_ok()
}
