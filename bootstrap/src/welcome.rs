//! What a person reads when the server has started.

use crate::settings::{Database, Environment, SecretKey, Settings, SystemMail};
use std::net::SocketAddr;

/// Prints where everything is and what to do next.
pub fn print(settings: &Settings, key: &SecretKey, address: SocketAddr, metrics: Option<SocketAddr>) {
    for line in lines(settings, key, address, metrics) {
        println!("{line}");
    }
}

fn lines(
    settings: &Settings,
    key: &SecretKey,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
) -> Vec<String> {
    let line = |label: &str, text: String| format!("  {label:<11}{text}");
    let data = settings.data_dir.display();
    let mut lines = vec![
        format!("notifuse {} is listening on http://{address}", env!("CARGO_PKG_VERSION")),
        line("try it", format!("http://{address}/docs")),
        line(
            "data",
            match &settings.database {
                Database::Embedded => format!("SQLite files in {data}"),
                Database::PostgreSql(server) => {
                    format!("PostgreSQL on {}:{}, files in {data}", server.host, server.port)
                }
            },
        ),
    ];
    if let Some(file) = &key.file {
        lines.push(line("secret key", format!("{} (back it up, or set SECRET_KEY)", file.display())));
    }
    lines.push(line("sign in", sign_in(settings)));
    if let Some(address) = metrics {
        lines.push(line("metrics", format!("http://{address}/metrics")));
    }
    if settings.environment == Environment::Development {
        lines.push(line("caution", "ENVIRONMENT=development is for this machine alone".to_owned()));
        if !settings.listens_on_loopback() {
            lines.push(line("caution", "others may reach this address, and sign in as anybody".to_owned()));
        }
    }
    lines
}

fn sign_in(settings: &Settings) -> String {
    let code = match (settings.environment, &settings.system_mail) {
        (Environment::Development, _) => "the answer has the code".to_owned(),
        (_, SystemMail::Smtp(_)) => "the code comes by mail".to_owned(),
        (_, SystemMail::Outbox) => format!("the code comes as a file in {}", settings.outbox().display()),
    };
    format!("POST /api/user.signin with the address of ROOT_EMAIL ({code})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::secret::Secret;
    use std::collections::BTreeMap;

    fn text(pairs: &[(&str, &str)]) -> String {
        let values: BTreeMap<_, _> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let settings = Settings::from_values(&values).unwrap();
        let key = SecretKey { key: Secret::new("c4nary"), file: Some("data/secret_key".into()) };
        lines(&settings, &key, "127.0.0.1:8080".parse().unwrap(), None).join("\n")
    }

    #[test]
    fn a_newcomer_is_told_where_the_code_is() {
        assert!(text(&[]).contains("the code comes as a file in ./data/outbox"));
        assert!(text(&[("ENVIRONMENT", "development")]).contains("the answer has the code"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = text(&[("DATABASE_URL", "postgres://ann:c4nary@db.example/main")]);
        assert!(shown.contains("PostgreSQL on db.example:5432"));
        assert!(!shown.contains("c4nary"));
    }

    #[test]
    fn development_for_all_the_world_is_warned_of() {
        let shown = text(&[("ENVIRONMENT", "development"), ("SERVER_HOST", "0.0.0.0")]);
        assert!(shown.contains("sign in as anybody"));
    }
}
