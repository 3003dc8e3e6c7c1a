//! How this adapter behaves. The defaults suit a submission server on the internet.

use std::{path::PathBuf, time::Duration};

/// Settings of the adapter.
#[derive(Debug, Clone)]
pub struct Config {
    /// Most connections to one route at a time.
    pub connections_per_route: usize,
    /// Mails after which a connection is closed and made anew.
    pub mails_per_connection: u32,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Longest durations of the steps.
    pub timeouts: Timeouts,
    /// Folder of [`application::ports::MailRoute::Outbox`].
    pub outbox: PathBuf,
    /// Whether loopback, private and link-local addresses may be connected to. Only for
    /// development: tenants choose the host names.
    pub allow_private_hosts: bool,
    /// Further trusted root certificates (DER), beside those of the web.
    pub trusted_roots: Vec<Vec<u8>>,
}

/// Longest durations of the steps of a delivery. Each covers a step as a whole, however slowly
/// the server drips.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Looking up the name and connecting.
    pub connect: Duration,
    /// Handshake of TLS.
    pub tls: Duration,
    /// The greeting, and each answer to a command.
    pub reply: Duration,
    /// Taking 64 KiB of the text of the mail.
    pub body: Duration,
    /// Answering to the final dot. Generous: giving up leaves a mail unconfirmed.
    pub confirmation: Duration,
    /// The whole delivery up to the final dot, waiting for a free connection included. Then only
    /// `confirmation` counts, so that a delivery takes no longer than both together.
    pub overall: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_per_route: 8,
            mails_per_connection: 100,
            idle: Duration::from_secs(30),
            timeouts: Timeouts::default(),
            outbox: PathBuf::from("outbox"),
            allow_private_hosts: false,
            trusted_roots: Vec::new(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            tls: Duration::from_secs(15),
            reply: Duration::from_secs(30),
            body: Duration::from_secs(30),
            confirmation: Duration::from_mins(2),
            overall: Duration::from_mins(4),
        }
    }
}
