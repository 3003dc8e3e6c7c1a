//! The command `notifuse`.

use bootstrap::cli::Cli;
use clap::Parser as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("notifuse: TLS was set up twice");
        return ExitCode::FAILURE;
    }
    match Box::pin(Cli::parse().run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("notifuse: {error:#}");
            ExitCode::FAILURE
        }
    }
}
