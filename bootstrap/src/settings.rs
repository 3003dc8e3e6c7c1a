//! The settings: environment over an optional `.env` file over the defaults of the table.

mod database;
mod reader;
mod secret_key;
pub mod table;

pub use database::{Database, PostgreSql, TlsMode};
pub use reader::Problem;
pub use secret_key::{SecretKey, SecretKeyError};

use broker::Limits;
use domain::{email_address::EmailAddress, mail_name::MailName, secret::Secret};
use http_api::TrustedProxies;
use reader::Reader;
use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, time::Duration};

/// Everything that can be set.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Production or development.
    pub environment: Environment,
    /// Host name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Address under which others reach this server, without a trailing slash; `None` when it
    /// follows from the port.
    pub api_endpoint: Option<String>,
    /// `*`, or the origins that may call from a browser, separated by commas.
    pub cors_allow_origin: String,
    /// Who is believed about where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Folder of databases, key and outbox.
    pub data_dir: PathBuf,
    /// The configured key; `None` for the one kept in the data folder.
    pub secret_key: Option<Secret>,
    /// The key before it, under which mails were signed and secrets sealed.
    pub previous_secret_key: Option<Secret>,
    /// The administrator.
    pub root_email: EmailAddress,
    /// Whether data feeds may be at private addresses and without TLS.
    pub data_feed_allow_private: bool,
    /// Most workspaces; `None` for any number.
    pub max_workspaces: Option<u32>,
    /// Most people per workspace; `None` for any number.
    pub max_users: Option<u32>,
    /// Whether this process does the work of the queues.
    pub worker_enabled: bool,
    /// Where data is kept.
    pub database: Database,
    /// Limits of the connection broker.
    pub limits: Limits,
    /// What sessions of PostgreSQL are told.
    pub sessions: Sessions,
    /// Whether to make do with fewer connections than the budget when the server gives fewer.
    pub budget_clamp: bool,
    /// How processes share the budget; `None` when this is the only one.
    pub cluster: Option<Cluster>,
    /// Where the installation's own mail goes.
    pub system_mail: SystemMail,
    /// Sender of the installation's own mail.
    pub from_email: EmailAddress,
    /// Name beside it.
    pub from_name: MailName,
    /// Wait before the first retry of a mail.
    pub retry_base: Duration,
    /// How long a mail stays claimed by a process that has ended.
    pub claim: Duration,
    /// Time to reach a mail server.
    pub dial_timeout: Duration,
    /// Whether a mail that was handed over without an answer is sent again.
    pub retry_unknown: bool,
    /// How long a provider that fails is left alone at first.
    pub breaker_pause: Duration,
    /// How long the key of a request is good.
    pub key_retention: Duration,
    /// How long the bytes of attached files are kept.
    pub attachment_retention: Duration,
    /// How long messages stay in the history.
    pub message_retention: Duration,
    /// Logs, metrics and traces.
    pub telemetry: Telemetry,
}

/// Production is strict, development is convenient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// For servers that others reach.
    Production,
    /// Sign-in codes in answers, private mail servers allowed.
    Development,
}

/// Several processes on one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// A process that has not been heard of for so long loses its part.
    pub ttl: Duration,
}

/// Limits that the database server enforces for us; zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// Longest statement.
    pub statement_timeout: Duration,
    /// Longest statement of background work.
    pub statement_timeout_background: Duration,
    /// Longest pause inside a transaction.
    pub idle_in_transaction_timeout: Duration,
    /// Prepared statements kept per connection; zero prepares none.
    pub statement_cache: u32,
}

/// Where sign-in codes and invitations go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemMail {
    /// Files in the outbox of the data folder.
    Outbox,
    /// A mail server.
    Smtp(SystemSmtp),
}

/// The mail server of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemSmtp {
    /// Host name or address.
    pub host: String,
    /// Port; 465 means TLS from the first byte.
    pub port: u16,
    /// Account.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Whether the session must be protected.
    pub use_tls: bool,
    /// Name given in the greeting.
    pub ehlo_hostname: Option<String>,
}

/// Logs, metrics and traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Levels, per part of the program when it says so.
    pub log_filter: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Where metrics are served; `None` for nowhere.
    pub metrics: Option<(String, u16)>,
    /// Collector of traces and metrics; `None` for none.
    pub otlp_endpoint: Option<String>,
    /// Name of this service.
    pub service_name: String,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The settings cannot be used; names every bad value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSettings {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} setting{} cannot be used:", if count == 1 { "" } else { "s" })?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for BadSettings {}

impl Settings {
    /// Reads the environment of the process, and `.env` in the working directory when there is one.
    ///
    /// # Errors
    /// When a value, or the `.env` file, cannot be used.
    pub fn load() -> Result<Self, BadSettings> {
        let unreadable = |problem: String| BadSettings {
            problems: vec![Problem { variable: ".env", problem, accepted: "lines of NAME=value".to_owned() }],
        };
        let mut values = BTreeMap::new();
        match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for (place, line) in lines.enumerate() {
                    let (name, value) = line.map_err(|e| match e {
                        dotenvy::Error::LineParse(..) => {
                            unreadable(format!("breaks off at setting {}", place + 1))
                        }
                        _ => unreadable("cannot be read".to_owned()),
                    })?;
                    values.insert(name, value);
                }
            }
            Err(error) if error.not_found() => {}
            Err(_) => return Err(unreadable("cannot be read".to_owned())),
        }
        let process = std::env::vars_os();
        values.extend(
            process.filter_map(|(n, v)| Some((n.into_string().ok()?, v.to_string_lossy().into_owned()))),
        );
        Self::from_values(&values)
    }

    /// Reads given values.
    ///
    /// # Errors
    /// When some cannot be used; all of them are named.
    pub fn from_values(values: &BTreeMap<String, String>) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(values);
        let settings = read(&mut reader);
        match settings {
            Some(settings) if reader.problems.is_empty() => Ok(settings),
            _ => Err(BadSettings { problems: reader.problems }),
        }
    }

    /// Address under which others reach this server, without a trailing slash.
    #[must_use]
    pub fn public_address(&self) -> String {
        self.api_endpoint.clone().unwrap_or_else(|| format!("http://localhost:{}", self.port))
    }

    /// Folder of the mails that are written instead of sent.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.data_dir.join("outbox")
    }

    /// Whether only this machine reaches the server.
    #[must_use]
    pub fn listens_on_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// `None` only when a problem was noted: every value below has a default in the table.
fn read(reader: &mut Reader<'_>) -> Option<Settings> {
    use Environment::{Development, Production};
    let environment = reader.choice("ENVIRONMENT", &[Production, Development]);
    let host = reader.text("SERVER_HOST");
    let port = reader.port("SERVER_PORT");
    let api_endpoint = reader.url("API_ENDPOINT");
    let cors_allow_origin = reader.text("CORS_ALLOW_ORIGIN");
    let trusted_proxies = reader.networks("TRUSTED_PROXIES").unwrap_or_default();
    let data_dir = reader.path("DATA_DIR");
    let secret_key = reader.secret("SECRET_KEY");
    let previous_secret_key = reader.secret("SECRET_KEY_PREVIOUS");
    let root_email = reader.email("ROOT_EMAIL");
    let data_feed_allow_private = reader.flag("DATA_FEED_ALLOW_PRIVATE");
    let limited = |number: Option<u32>| number.filter(|n| *n > 0);
    let max_workspaces = limited(reader.number("MAX_WORKSPACES"));
    let max_users = limited(reader.number("MAX_USERS"));
    let worker_enabled = reader.flag("TASK_SCHEDULER_ENABLED");
    let database = database::read(reader);
    let limits = limits(reader, database == Database::Embedded);
    let sessions = sessions(reader);
    // Whoever has not said how many are wanted is content with what there is.
    let budget_clamp = reader.flag("DB_BUDGET_CLAMP").unwrap_or(!reader.is_set("DB_MAX_CONNECTIONS"));
    let cluster = cluster(reader, &database);
    let system_mail = system_mail(reader);
    let from_email = reader.email("SMTP_FROM_EMAIL");
    let from_name = reader.name("SMTP_FROM_NAME");
    let retry_base = reader.duration("EMAIL_QUEUE_RETRY_BASE");
    let claim = reader.duration("EMAIL_QUEUE_CLAIM");
    let dial_timeout = reader.duration("SMTP_DIAL_TIMEOUT");
    let retry_unknown = reader.flag("EMAIL_QUEUE_RETRY_UNKNOWN");
    let breaker_pause = reader.duration("CIRCUIT_BREAKER_COOLDOWN");
    let key_retention = reader.duration("IDEMPOTENCY_KEY_RETENTION");
    let attachment_retention = reader.duration("ATTACHMENT_RETENTION");
    let message_retention = reader.duration("MESSAGE_RETENTION");
    let telemetry = telemetry(reader);
    Some(Settings {
        environment: environment?,
        host: host?,
        port: port?,
        api_endpoint,
        cors_allow_origin: cors_allow_origin?,
        trusted_proxies,
        data_dir: data_dir?,
        secret_key,
        previous_secret_key,
        root_email: root_email?,
        data_feed_allow_private: data_feed_allow_private?,
        max_workspaces,
        max_users,
        worker_enabled: worker_enabled?,
        database,
        limits: limits?,
        sessions: sessions?,
        budget_clamp,
        cluster,
        system_mail: system_mail?,
        from_email: from_email?,
        from_name: from_name?,
        retry_base: retry_base?,
        claim: claim?,
        dial_timeout: dial_timeout?,
        retry_unknown: retry_unknown?,
        breaker_pause: breaker_pause?,
        key_retention: key_retention?,
        attachment_retention: attachment_retention?,
        message_retention: message_retention?,
        telemetry: telemetry?,
    })
}

fn limits(reader: &mut Reader<'_>, single_writer: bool) -> Option<Limits> {
    let max_connections = reader.number("DB_MAX_CONNECTIONS");
    let max_connections_per_workspace = reader.number("DB_MAX_CONNECTIONS_PER_DB");
    let system_reserve = reader.number("DB_SYSTEM_RESERVE");
    let connection_max_lifetime = reader.duration("DB_CONNECTION_MAX_LIFETIME");
    let connection_max_idle_time = reader.duration("DB_CONNECTION_MAX_IDLE_TIME");
    let acquire_timeout = reader.duration("DB_ACQUIRE_TIMEOUT");
    let acquire_timeout_background = reader.duration("DB_ACQUIRE_TIMEOUT_BACKGROUND");
    let connect_timeout = reader.duration("DB_CONNECT_TIMEOUT");
    let close_timeout = reader.duration("DB_CLOSE_TIMEOUT");
    let clean_timeout = reader.duration("DB_CLEAN_TIMEOUT");
    let max_parallel_opens = reader.number("DB_MAX_PARALLEL_OPENS");
    let health_check_after = reader.duration("DB_HEALTH_CHECK_AFTER");
    let health_check_timeout = reader.duration("DB_HEALTH_CHECK_TIMEOUT");
    let quantum = reader.duration("DB_QUANTUM");
    let growth_delay = reader.duration("DB_GROWTH_DELAY");
    let max_waiters = reader.number("DB_MAX_WAITERS");
    let max_waiters_per_workspace = reader.number("DB_MAX_WAITERS_PER_DB");
    let background_share = reader.number("DB_BACKGROUND_SHARE");
    let lease_warn_after = reader.duration("DB_LEASE_WARN_AFTER");
    let lease_max = reader.duration("DB_LEASE_MAX");
    let prewarm = reader.number("DB_PREWARM");
    let limits = Limits {
        max_connections: max_connections?,
        max_connections_per_workspace: max_connections_per_workspace?,
        system_reserve,
        connection_max_lifetime: connection_max_lifetime?,
        connection_max_idle_time: connection_max_idle_time?,
        acquire_timeout: acquire_timeout?,
        acquire_timeout_background: acquire_timeout_background?,
        connect_timeout: connect_timeout?,
        close_timeout: close_timeout?,
        clean_timeout: clean_timeout?,
        max_parallel_opens: max_parallel_opens?,
        health_check_after: health_check_after?,
        health_check_timeout: health_check_timeout?,
        quantum: quantum?,
        growth_delay,
        max_waiters: max_waiters?,
        max_waiters_per_workspace: max_waiters_per_workspace?,
        background_share: background_share?,
        lease_warn_after: lease_warn_after?,
        lease_max: lease_max?,
        prewarm: prewarm?,
        single_writer,
        ..Limits::default()
    };
    // Each value alone was checked above; what remains is how they go together.
    for problem in limits.validate().err().unwrap_or_default() {
        reader.reject(problem.variable, format!("is {}", problem.value), problem.allowed);
    }
    Some(limits)
}

fn sessions(reader: &mut Reader<'_>) -> Option<Sessions> {
    let statement_timeout = reader.duration("DB_STATEMENT_TIMEOUT");
    let statement_timeout_background = reader.duration("DB_STATEMENT_TIMEOUT_BACKGROUND");
    let idle_in_transaction_timeout = reader.duration("DB_IDLE_IN_TX_TIMEOUT");
    let statement_cache = reader.number("DB_STATEMENT_CACHE");
    Some(Sessions {
        statement_timeout: statement_timeout?,
        statement_timeout_background: statement_timeout_background?,
        idle_in_transaction_timeout: idle_in_transaction_timeout?,
        statement_cache: statement_cache?,
    })
}

fn cluster(reader: &mut Reader<'_>, database: &Database) -> Option<Cluster> {
    let shared = reader.choice("DB_CLUSTER_MODE", &[false, true]);
    let ttl = reader.duration("DB_CLUSTER_TTL");
    if shared? && *database == Database::Embedded {
        let problem = "is shared, but an embedded database belongs to one process";
        reader.reject("DB_CLUSTER_MODE", problem, "off with SQLite, shared with PostgreSQL");
    }
    shared?.then_some(Cluster { ttl: ttl? })
}

fn system_mail(reader: &mut Reader<'_>) -> Option<SystemMail> {
    let host = reader.text("SMTP_HOST");
    let port = reader.port("SMTP_PORT");
    let username = reader.text("SMTP_USERNAME");
    let password = reader.secret("SMTP_PASSWORD");
    let use_tls = reader.flag("SMTP_USE_TLS");
    let ehlo_hostname = reader.text("SMTP_EHLO_HOSTNAME");
    let Some(host) = host else {
        return (!reader.is_set("SMTP_HOST")).then_some(SystemMail::Outbox);
    };
    if !reader.is_set("SMTP_FROM_EMAIL") {
        reader.reject("SMTP_FROM_EMAIL", "is missing while SMTP_HOST is set", "an e-mail address");
    }
    if username.is_some() != password.is_some() {
        reader.reject("SMTP_USERNAME", "and SMTP_PASSWORD go together", "both or neither");
    }
    let smtp = SystemSmtp { host, port: port?, username, password, use_tls: use_tls?, ehlo_hostname };
    Some(SystemMail::Smtp(smtp))
}

fn telemetry(reader: &mut Reader<'_>) -> Option<Telemetry> {
    let log_filter = reader.text("LOG_LEVEL");
    let log_format = reader.choice("LOG_FORMAT", &[LogFormat::Text, LogFormat::Json]);
    let metrics_host = reader.text("METRICS_HOST");
    let metrics_port = reader.port("METRICS_PORT");
    let otlp_endpoint = reader.url("OTEL_EXPORTER_OTLP_ENDPOINT");
    let service_name = reader.text("OTEL_SERVICE_NAME");
    Some(Telemetry {
        log_filter: log_filter?,
        log_format: log_format?,
        metrics: metrics_host.zip(metrics_port),
        otlp_endpoint,
        service_name: service_name?,
    })
}

#[cfg(test)]
mod tests;
