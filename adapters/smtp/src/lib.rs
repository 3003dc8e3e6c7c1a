//! Hands mails to SMTP servers or writes them to a folder, and reads the notices that mail servers send
//! back: the ports `Mailer` and `NoticeReader`.
//! lettre builds the messages; its transport can neither pipeline, nor time out, nor keep a
//! connection after a refused recipient, so that the conversation itself is our own.

mod client;
mod config;
mod dkim;
mod header;
mod mailer;
mod message;
mod notices;
mod outbox;
mod pool;
mod reply;
pub mod sink;
mod tls;
mod wire;

pub use config::{Config, Timeouts};
pub use dkim::DkimKeyReader;
pub use mailer::{MailRouter, SmtpMailer, TlsError};
pub use notices::MailNotices;
pub use outbox::FileMailer;
