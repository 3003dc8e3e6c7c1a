//! Every setting: its name, default, what is accepted and what it means.

use std::{fmt::Write as _, time::Duration};

/// One variable of the environment.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The value when it is not set; `None` when there is none, as the meaning then explains.
    pub default: Option<&'static str>,
    /// What is accepted.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
}

/// What a variable accepts.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// Any text that is not empty, never printed.
    Secret,
    /// A folder.
    Path,
    /// A host name or address.
    Host,
    /// A connection address of PostgreSQL, never printed.
    DatabaseUrl,
    /// A whole number.
    Number(u32, u32),
    /// A length of time.
    Duration(Duration, Duration),
    /// `true` or `false`.
    Flag,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// An e-mail address.
    Email,
    /// A name beside an address.
    Name,
    /// An address that begins with one of some schemes.
    Url(&'static [&'static str]),
    /// `*`, or the scheme, host and port of web sites.
    Origin,
    /// Addresses and networks.
    Networks,
    /// A level, or levels per part of the program.
    LogFilter,
    /// A name in a database, up to a length.
    Identifier(usize),
    /// The beginning of names of databases, up to a length.
    Prefix(usize),
}

/// Variables that belong together.
#[derive(Debug)]
pub struct Group {
    /// Heading.
    pub title: &'static str,
    /// Its variables.
    pub variables: &'static [Variable],
}

impl Kind {
    /// What is accepted, for people.
    #[must_use]
    pub fn accepted(&self) -> String {
        match self {
            Self::Text | Self::Secret => "text".to_owned(),
            Self::Path => "a folder".to_owned(),
            Self::Host => "a host name or an IP address".to_owned(),
            Self::DatabaseUrl => "postgres://user:password@host:port/database".to_owned(),
            Self::Number(from, to) => format!("{from} to {to}"),
            Self::Duration(from, to) => format!("{} to {}", written(*from), written(*to)),
            Self::Flag => "true or false".to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::Email => "an e-mail address".to_owned(),
            Self::Name => "one line of at most 255 characters".to_owned(),
            Self::Url(schemes) => schemes.iter().map(|s| format!("{s}://…")).collect::<Vec<_>>().join(" or "),
            Self::Origin => "* or origins such as https://app.example.com, joined by commas".to_owned(),
            Self::Networks => "IP addresses and networks such as 10.0.0.0/8, joined by commas".to_owned(),
            Self::LogFilter => {
                "off, error, warn, info, debug, trace, or target=level pairs joined by commas".to_owned()
            }
            Self::Identifier(length) => {
                format!("1 to {length} letters, digits, _ or -, not beginning with a digit or -")
            }
            Self::Prefix(length) => format!("1 to {length} lower-case letters, digits or _"),
        }
    }
}

/// A length of time as it is written in settings.
#[must_use]
pub fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

/// The variable with this name.
#[must_use]
pub fn variable(name: &str) -> Option<&'static Variable> {
    GROUPS.iter().flat_map(|g| g.variables).find(|v| v.name == name)
}

/// The page about every setting.
#[must_use]
pub fn page() -> String {
    let mut text = PREAMBLE.to_owned();
    for group in GROUPS {
        let _ = write!(text, "\n## {}\n\n{}", group.title, group.markdown());
    }
    text
}

impl Group {
    /// The group as a Markdown table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = "| Variable | Default | Accepted | Meaning |\n| --- | --- | --- | --- |\n".to_owned();
        for Variable { name, default, kind, meaning } in self.variables {
            let default = default.map_or_else(|| "–".to_owned(), |d| format!("`{d}`"));
            let _ = writeln!(text, "| `{name}` | {default} | {} | {meaning} |", kind.accepted());
        }
        text
    }
}

const PREAMBLE: &str = "# Settings

Nothing needs to be set. Each setting is a variable of the environment; a file `.env` in the working
directory may hold the same names, and the environment wins over it. An empty value counts as none.
Lengths of time are written `250ms`, `30s`, `5m`, `1h30m`. A bad value stops the start, and all bad
values are reported together.

This page is printed by `notifuse settings`.
";

const fn var(name: &'static str, default: &'static str, kind: Kind, meaning: &'static str) -> Variable {
    Variable { name, default: Some(default), kind, meaning }
}

const fn unset(name: &'static str, kind: Kind, meaning: &'static str) -> Variable {
    Variable { name, default: None, kind, meaning }
}

const fn millis(from: u64, to: u64) -> Kind {
    Kind::Duration(Duration::from_millis(from), Duration::from_millis(to))
}

const fn secs(from: u64, to: u64) -> Kind {
    Kind::Duration(Duration::from_secs(from), Duration::from_secs(to))
}

const DAY: u64 = 86_400;

/// Every setting, grouped.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Server",
        variables: &[
            var("SERVER_HOST", "127.0.0.1", Kind::Host, "Where to listen; `0.0.0.0` for all interfaces."),
            var("SERVER_PORT", "8080", Kind::Number(0, 65_535), "Port to listen on; 0 takes any free one."),
            unset(
                "API_ENDPOINT",
                Kind::Url(&["http", "https"]),
                "Address under which clients and mail readers reach this server; by default `http://localhost:<SERVER_PORT>`.",
            ),
            var("CORS_ALLOW_ORIGIN", "*", Kind::Origin, "Web sites that may call the API from a browser."),
            unset(
                "TRUSTED_PROXIES",
                Kind::Networks,
                "Proxies in front of this server; what these say in `X-Forwarded-For` is believed when the attempts of a client are counted.",
            ),
            var(
                "ENVIRONMENT",
                "production",
                Kind::Choice(&["production", "development"]),
                "`development` hands sign-in codes out in the answer and allows mail servers on private addresses. Never for a server that others reach.",
            ),
            var(
                "DATA_DIR",
                "./data",
                Kind::Path,
                "Folder of the embedded databases, the generated secret key and the outbox.",
            ),
            unset(
                "SECRET_KEY",
                Kind::Secret,
                "Root of all encryption and signing; keep it and back it up. Without it one is generated and kept in `<DATA_DIR>/secret_key`.",
            ),
            unset(
                "SECRET_KEY_PREVIOUS",
                Kind::Secret,
                "The `SECRET_KEY` before the current one: links in mails already sent stay good, and what was encrypted under it stays readable. People sign in anew, and API keys are made anew.",
            ),
            var(
                "ROOT_EMAIL",
                "root@notifuse.localhost",
                Kind::Email,
                "The administrator of the installation; the account is made at the start.",
            ),
            var(
                "DATA_FEED_ALLOW_PRIVATE",
                "false",
                Kind::Flag,
                "Whether data feeds of broadcasts may be at private addresses and without TLS. For development: with `true` every tenant reaches into the network of this server.",
            ),
            var("MAX_WORKSPACES", "0", Kind::Number(0, 1_000_000), "Most workspaces; 0 for any number."),
            var(
                "MAX_USERS",
                "0",
                Kind::Number(0, 1_000_000),
                "Most people and open invitations per workspace; 0 for any number.",
            ),
            var(
                "TASK_SCHEDULER_ENABLED",
                "true",
                Kind::Flag,
                "Whether this process sends mails; `false` for one that only answers requests.",
            ),
        ],
    },
    Group {
        title: "Database",
        variables: &[
            unset(
                "DATABASE_URL",
                Kind::DatabaseUrl,
                "Selects PostgreSQL; `?sslmode=` is understood, `prefer` by default. The database named is the system database. Without this and `DB_HOST` … `DB_SSLMODE`: embedded SQLite in `DATA_DIR`.",
            ),
            var(
                "DB_HOST",
                "localhost",
                Kind::Host,
                "Any of `DB_HOST` … `DB_SSLMODE` selects PostgreSQL, the others then have their defaults. A path names the folder of a Unix socket.",
            ),
            var("DB_PORT", "5432", Kind::Number(1, 65_535), "Port of the server."),
            var("DB_USER", "postgres", Kind::Text, "Role; it needs CREATEDB."),
            var("DB_PASSWORD", "postgres", Kind::Secret, "Password of the role."),
            var("DB_NAME", "notifuse_system", Kind::Identifier(63), "System database, made when absent."),
            var(
                "DB_SSLMODE",
                "require",
                Kind::Choice(&["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
                "Protection of the connections to PostgreSQL.",
            ),
            var(
                "DB_PREFIX",
                "notifuse",
                Kind::Prefix(39),
                "A workspace's database is named `<DB_PREFIX>_ws_<workspace>`.",
            ),
        ],
    },
    Group {
        title: "Connection broker",
        variables: &[
            var(
                "DB_MAX_CONNECTIONS",
                "100",
                Kind::Number(20, 10_000),
                "Budget: database connections of the whole platform.",
            ),
            var("DB_MAX_CONNECTIONS_PER_DB", "3", Kind::Number(1, 50), "Most connections of one workspace."),
            unset(
                "DB_SYSTEM_RESERVE",
                Kind::Number(2, 100),
                "Connections of the budget kept for the system database; by default a tenth of it, 5 to 20.",
            ),
            var(
                "DB_CONNECTION_MAX_LIFETIME",
                "10m",
                secs(10, DAY),
                "A connection is replaced after this time.",
            ),
            var(
                "DB_CONNECTION_MAX_IDLE_TIME",
                "5m",
                secs(1, DAY),
                "An unused connection is closed after this time.",
            ),
            var(
                "DB_ACQUIRE_TIMEOUT",
                "5s",
                millis(50, 120_000),
                "How long requests and deliveries wait for a connection.",
            ),
            var(
                "DB_ACQUIRE_TIMEOUT_BACKGROUND",
                "60s",
                millis(50, 900_000),
                "How long background work waits for a connection.",
            ),
            var("DB_CONNECT_TIMEOUT", "5s", millis(100, 60_000), "Time to open a connection."),
            var(
                "DB_CLOSE_TIMEOUT",
                "2s",
                millis(100, 30_000),
                "Time to close a connection; later it counts as lost until the server has freed it.",
            ),
            var(
                "DB_CLEAN_TIMEOUT",
                "1s",
                millis(50, 10_000),
                "Time for each step of cleaning a returned connection.",
            ),
            var("DB_MAX_PARALLEL_OPENS", "4", Kind::Number(1, 64), "Connections opened at the same time."),
            var(
                "DB_HEALTH_CHECK_AFTER",
                "30s",
                secs(0, 3_600),
                "A connection idle for longer is checked before use; 0 checks always.",
            ),
            var("DB_HEALTH_CHECK_TIMEOUT", "500ms", millis(50, 5_000), "Time for that check."),
            var(
                "DB_QUANTUM",
                "100ms",
                millis(5, 10_000),
                "How long a workspace keeps its only connection while others have none.",
            ),
            unset(
                "DB_GROWTH_DELAY",
                millis(0, 1_000),
                "How long a request waits before its workspace gets one more connection; by default as long as opening one takes.",
            ),
            var(
                "DB_MAX_WAITERS",
                "10000",
                Kind::Number(1, 1_000_000),
                "Requests that may wait for a connection.",
            ),
            var("DB_MAX_WAITERS_PER_DB", "256", Kind::Number(1, 1_000_000), "The same per workspace."),
            var(
                "DB_BACKGROUND_SHARE",
                "60",
                Kind::Number(10, 100),
                "Percent of the connections that background work may hold while a request waits.",
            ),
            var(
                "DB_LEASE_WARN_AFTER",
                "30s",
                millis(100, DAY * 1_000),
                "A connection held for longer is logged.",
            ),
            var(
                "DB_LEASE_MAX",
                "15m",
                millis(100, DAY * 1_000),
                "A connection held for longer is taken back and closed.",
            ),
            var(
                "DB_STATEMENT_TIMEOUT",
                "30s",
                secs(0, DAY),
                "PostgreSQL ends a statement after this time; 0 for never.",
            ),
            var(
                "DB_STATEMENT_TIMEOUT_BACKGROUND",
                "10m",
                secs(0, DAY),
                "The same for statements of background work.",
            ),
            var(
                "DB_IDLE_IN_TX_TIMEOUT",
                "30s",
                secs(1, 3_600),
                "PostgreSQL ends a transaction that does nothing for this time.",
            ),
            var(
                "DB_STATEMENT_CACHE",
                "128",
                Kind::Number(0, 4_096),
                "Prepared statements kept per connection; 0 prepares none.",
            ),
            var(
                "DB_PREWARM",
                "0",
                Kind::Number(0, 1_000),
                "So many of the busiest workspaces get a connection ahead of their next request, when places are free.",
            ),
            unset(
                "DB_BUDGET_CLAMP",
                Kind::Flag,
                "What to do when PostgreSQL gives less than `DB_MAX_CONNECTIONS`: `true` makes do with it, `false` stops the start. By default it stops only when `DB_MAX_CONNECTIONS` is set.",
            ),
            var(
                "DB_CLUSTER_MODE",
                "off",
                Kind::Choice(&["off", "shared"]),
                "`shared`: all processes on the same system database share one budget. Needs PostgreSQL and the same `DB_MAX_CONNECTIONS` everywhere.",
            ),
            var(
                "DB_CLUSTER_TTL",
                "15s",
                secs(5, 300),
                "A process that has not been heard of for so long loses its part of the budget.",
            ),
        ],
    },
    Group {
        title: "Mail of the installation",
        variables: &[
            unset(
                "SMTP_HOST",
                Kind::Host,
                "Server for sign-in codes and invitations. Without it they are written as `.eml` files to `<DATA_DIR>/outbox`.",
            ),
            var(
                "SMTP_PORT",
                "587",
                Kind::Number(1, 65_535),
                "Port of the server; 465 means TLS from the first byte.",
            ),
            unset("SMTP_USERNAME", Kind::Text, "Account; none means no authentication."),
            unset("SMTP_PASSWORD", Kind::Secret, "Password of the account."),
            var(
                "SMTP_FROM_EMAIL",
                "no-reply@notifuse.localhost",
                Kind::Email,
                "Sender address; must be set with `SMTP_HOST`.",
            ),
            var("SMTP_FROM_NAME", "Notifuse", Kind::Name, "Name beside it."),
            var("SMTP_USE_TLS", "true", Kind::Flag, "Requires STARTTLS; `false` sends in clear."),
            unset(
                "SMTP_EHLO_HOSTNAME",
                Kind::Host,
                "Name given in the greeting; by default the domain of the sender.",
            ),
        ],
    },
    Group {
        title: "Sending",
        variables: &[
            var(
                "EMAIL_QUEUE_RETRY_BASE",
                "1m",
                secs(1, 3_600),
                "Wait before the first retry; each further one doubles it.",
            ),
            var(
                "EMAIL_QUEUE_CLAIM",
                "1m",
                secs(2, 3_600),
                "A claimed mail whose process has ended is noted as unknown after so long.",
            ),
            var(
                "EMAIL_QUEUE_RETRY_UNKNOWN",
                "false",
                Kind::Flag,
                "Whether a mail that was handed over without an answer is sent again: `true` may send it twice, \
                 `false` leaves it as `unknown` in the message history.",
            ),
            var(
                "CIRCUIT_BREAKER_COOLDOWN",
                "1m",
                secs(1, 3_600),
                "How long a provider that has failed five times in a row is left alone; doubles up to fifteen \
                 times as long while it goes on failing.",
            ),
            var("SMTP_DIAL_TIMEOUT", "30s", secs(1, 300), "Time to reach a mail server."),
            var(
                "IDEMPOTENCY_KEY_RETENTION",
                "720h",
                secs(60, 366 * DAY),
                "How long a repeated `external_id` or `Idempotency-Key` is answered with the first message; \
                 after that it is forgotten and makes a new one.",
            ),
            var(
                "ATTACHMENT_RETENTION",
                "720h",
                secs(3 * DAY, 3_660 * DAY),
                "How long the bytes of attached files are kept after the last message with them was due.",
            ),
            var(
                "MESSAGE_RETENTION",
                "87600h",
                secs(30 * DAY, 3_660 * DAY),
                "How long messages stay in the history, with what happened to them. Figures of broadcasts and \
                 their accounts stay; results of A/B tests are counted from the history.",
            ),
        ],
    },
    Group {
        title: "Logs, metrics, traces",
        variables: &[
            var("LOG_LEVEL", "info", Kind::LogFilter, "How much is logged."),
            var("LOG_FORMAT", "text", Kind::Choice(&["text", "json"]), "Lines for people or for machines."),
            unset(
                "METRICS_PORT",
                Kind::Number(0, 65_535),
                "Serves `/metrics` for Prometheus on a listener of its own; off when unset.",
            ),
            var("METRICS_HOST", "127.0.0.1", Kind::Host, "Where that listener listens."),
            unset(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                Kind::Url(&["http"]),
                "Collector for traces and metrics (OTLP over HTTP); off when unset.",
            ),
            var("OTEL_SERVICE_NAME", "notifuse", Kind::Text, "Name of this service in traces and metrics."),
        ],
    },
];
