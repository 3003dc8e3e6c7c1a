//! Which database: embedded, or PostgreSQL by address or by parts.

use super::reader::Reader;
use domain::secret::Secret;
use std::{borrow::Cow, collections::BTreeMap};
use url::Url;

/// Where the data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// SQLite files in the data folder.
    Embedded,
    /// Databases of a PostgreSQL server.
    PostgreSql(PostgreSql),
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgreSql {
    /// Host name, address, or the folder of a Unix socket.
    pub host: String,
    /// Port, also in the name of a Unix socket.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Its password; empty for none.
    pub password: Secret,
    /// The system database.
    pub database: String,
    /// A workspace's database is named `<prefix>_ws_<workspace>`.
    pub prefix: String,
    /// Protection of the connections.
    pub tls: TlsMode,
}

/// Protection of a connection to PostgreSQL, as `sslmode` of its own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never TLS.
    Disable,
    /// TLS only when the server insists.
    Allow,
    /// TLS when the server offers it.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS with a trusted certificate.
    VerifyCa,
    /// TLS with a trusted certificate of that very host.
    VerifyFull,
}

impl TlsMode {
    pub(super) const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The name in settings and addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl PostgreSql {
    /// The whole as one address, credentials included.
    #[must_use]
    pub fn url(&self) -> Secret {
        let query = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (user, password) = (percent(&self.user), percent(self.password.expose()));
        let colon = if password.is_empty() { "" } else { ":" };
        let (database, tls) = (percent(&self.database), self.tls.name());
        Secret::new(if self.host.starts_with('/') {
            let (port, host) = (self.port, query(&self.host));
            format!(
                "postgres://{user}{colon}{password}@localhost:{port}/{database}?sslmode={tls}&host={host}"
            )
        } else {
            let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
            format!("postgres://{user}{colon}{password}@{host}:{}/{database}?sslmode={tls}", self.port)
        })
    }
}

/// Percent-encodes everything that could end a part of an address.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

const PARTS: [&str; 6] = ["DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME", "DB_SSLMODE"];

pub(super) fn read(reader: &mut Reader<'_>) -> Database {
    let parts: Vec<_> =
        PARTS.into_iter().filter(|name| reader.is_set(name) && *name != "DB_SSLMODE").collect();
    let by_parts = PostgreSql {
        host: reader.text("DB_HOST").unwrap_or_default(),
        port: reader.port("DB_PORT").unwrap_or_default(),
        user: reader.text("DB_USER").unwrap_or_default(),
        password: reader.secret("DB_PASSWORD").unwrap_or_else(|| Secret::new("")),
        database: reader.text("DB_NAME").unwrap_or_default(),
        prefix: reader.text("DB_PREFIX").unwrap_or_default(),
        tls: reader.choice("DB_SSLMODE", &TlsMode::ALL).unwrap_or(TlsMode::Require),
    };
    if reader.is_set("DATABASE_URL") {
        if !parts.is_empty() {
            let problem = format!("is set together with {}", parts.join(", "));
            reader.reject("DATABASE_URL", problem, "one way to name the database, not both");
        }
        let from_url = reader.read("DATABASE_URL", |text, _| parse_url(text, &by_parts));
        let mut database = from_url.unwrap_or(by_parts.clone());
        if reader.is_set("DB_SSLMODE") {
            database.tls = by_parts.tls;
        }
        return Database::PostgreSql(database);
    }
    reader.read("DATABASE_URL", |_, _| Ok(()));
    if parts.is_empty() && !reader.is_set("DB_SSLMODE") {
        Database::Embedded
    } else {
        Database::PostgreSql(by_parts)
    }
}

fn parse_url(text: &str, defaults: &PostgreSql) -> Result<PostgreSql, String> {
    let url = Url::parse(text).map_err(|e| format!("is no address ({e})"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("does not begin with postgres://".to_owned());
    }
    let decoded = |part: &str| {
        percent_decoded(part).ok_or_else(|| "has a part that is not UTF-8 after decoding".to_owned())
    };
    let mut found = defaults.clone();
    found.tls = TlsMode::Prefer;
    found.password = Secret::new(decoded(url.password().unwrap_or_default())?);
    if !url.username().is_empty() {
        found.user = decoded(url.username())?;
    }
    if let Some(host) = url.host_str().filter(|h| !h.is_empty()) {
        found.host = decoded(host.trim_start_matches('[').trim_end_matches(']'))?;
    }
    if let Some(port) = url.port() {
        found.port = port;
    }
    let name = decoded(url.path().trim_start_matches('/'))?;
    if !name.is_empty() {
        if name.len() > 63 || name.contains(['/', '\0', '"']) {
            return Err("names a database that cannot exist".to_owned());
        }
        found.database = name;
    }
    let query: BTreeMap<Cow<'_, str>, Cow<'_, str>> = url.query_pairs().collect();
    for (name, value) in &query {
        match name.as_ref() {
            "sslmode" => {
                found.tls = TlsMode::from_name(value).ok_or_else(|| format!("has sslmode={value}"))?;
            }
            "host" => found.host = value.to_string(),
            "port" => found.port = value.parse().map_err(|_| "has a port that is no number".to_owned())?,
            "user" => found.user = value.to_string(),
            "password" => found.password = Secret::new(value.as_ref()),
            "application_name" | "connect_timeout" => {}
            _ => return Err(format!("has the parameter {name}, which is not understood")),
        }
    }
    Ok(found)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' && tail.len() >= 2 {
            let digits = std::str::from_utf8(&tail[..2]).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}
