//! Hands mails to e-mail providers over HTTP, reads what they report, and tells them whom to report
//! to: the ports `Mailer`, `FeedbackReader` and `CallbackRegistrar`. For each port, one file for each
//! provider tells what its requests look like and how its answers are read.

mod answer;
mod callbacks;
mod client;
mod config;
mod feedback;
mod guard;
mod letter;
mod mailer;
mod mailgun;
mod mailjet;
mod postmark;
mod sendgrid;
mod ses;
mod sigv4;
mod slots;
mod sparkpost;

pub use callbacks::HttpRegistrar;
pub use client::TlsError;
pub use config::{Bases, Config};
pub use feedback::SignedFeedback;
pub use mailer::HttpMailer;
