//! Hands mails to e-mail providers over HTTP: the `Mailer` port. One file for each provider tells
//! what its requests look like and how its answers are read.

mod answer;
mod config;
mod guard;
mod letter;
mod mailer;
mod mailgun;
mod mailjet;
mod postmark;
mod sendgrid;
mod ses;
mod slots;
mod sparkpost;

pub use config::{Bases, Config};
pub use mailer::{HttpMailer, TlsError};
