//! Real conversations between the mailer and a sink.

mod connections;
mod outbox;
mod replies;
mod stalls;
mod support;
mod tls;
