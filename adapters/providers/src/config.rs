//! How this adapter behaves. The defaults suit the providers on the internet.

use std::time::Duration;

/// Settings of the adapter.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the providers are.
    pub bases: Bases,
    /// Most requests of one route at a time.
    pub requests_per_route: usize,
    /// Longest time to look up the name, connect and agree on TLS.
    pub connect: Duration,
    /// Longest time of a whole delivery, waiting for a free slot included.
    pub overall: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Most bytes of an answer that are read.
    pub answer_limit: usize,
    /// Whether loopback, private and link-local addresses may be connected to. Only for
    /// development: tenants choose some of the host names.
    pub allow_private_hosts: bool,
}

/// Base URLs of the providers, without a slash at the end. That of `SparkPost` is a setting of the
/// integration.
#[derive(Debug, Clone)]
pub struct Bases {
    /// Postmark.
    pub postmark: String,
    /// Mailgun in the United States.
    pub mailgun: String,
    /// Mailgun in the European Union.
    pub mailgun_eu: String,
    /// `SendGrid`.
    pub sendgrid: String,
    /// Mailjet.
    pub mailjet: String,
    /// Amazon SES; `{region}` stands for the region.
    pub ses: String,
    /// Amazon SNS; `{region}` stands for the region.
    pub sns: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bases: Bases::default(),
            requests_per_route: 8,
            connect: Duration::from_secs(10),
            overall: Duration::from_secs(45),
            idle: Duration::from_secs(30),
            answer_limit: 64 * 1024,
            allow_private_hosts: false,
        }
    }
}

impl Default for Bases {
    fn default() -> Self {
        Self {
            postmark: "https://api.postmarkapp.com".to_owned(),
            mailgun: "https://api.mailgun.net".to_owned(),
            mailgun_eu: "https://api.eu.mailgun.net".to_owned(),
            sendgrid: "https://api.sendgrid.com".to_owned(),
            mailjet: "https://api.mailjet.com".to_owned(),
            ses: "https://email.{region}.amazonaws.com".to_owned(),
            sns: "https://sns.{region}.amazonaws.com".to_owned(),
        }
    }
}
