//! Settings from given values, never from the environment of the process.

use super::*;
use std::collections::BTreeSet;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings::from_values(&values(pairs)).unwrap()
}

fn problems(pairs: &[(&str, &str)]) -> Vec<Problem> {
    Settings::from_values(&values(pairs)).unwrap_err().problems
}

fn bad_variables(pairs: &[(&str, &str)]) -> Vec<&'static str> {
    problems(pairs).iter().map(|p| p.variable).collect()
}

fn postgres(pairs: &[(&str, &str)]) -> PostgreSql {
    match settings(pairs).database {
        Database::PostgreSql(postgres) => postgres,
        Database::Embedded => panic!("embedded"),
    }
}

#[test]
fn nothing_needs_to_be_set() {
    let settings = settings(&[]);
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 8080));
    assert_eq!(settings.environment, Environment::Production);
    assert_eq!(settings.database, Database::Embedded);
    assert_eq!(settings.system_mail, SystemMail::Outbox);
    assert_eq!(settings.public_address(), "http://localhost:8080");
    assert_eq!(settings.outbox(), PathBuf::from("./data/outbox"));
    assert_eq!((settings.telemetry.metrics, settings.telemetry.otlp_endpoint), (None, None));
}

#[test]
fn the_defaults_of_the_broker_are_those_of_the_table() {
    assert_eq!(settings(&[]).limits, Limits { single_writer: true, ..Limits::default() });
    assert_eq!(settings(&[("DB_HOST", "db")]).limits, Limits::default());
}

#[test]
fn every_variable_of_the_table_is_read() {
    let nothing = values(&[]);
    let mut reader = Reader::new(&nothing);
    read(&mut reader);
    let described: BTreeSet<_> = table::GROUPS.iter().flat_map(|g| g.variables).map(|v| v.name).collect();
    assert_eq!(reader.names, described);
}

#[test]
fn every_default_of_the_table_is_accepted_when_set() {
    for variable in table::GROUPS.iter().flat_map(|g| g.variables) {
        let Some(default) = variable.default else { continue };
        let found = Settings::from_values(&values(&[(variable.name, default)]));
        assert!(found.is_ok(), "{}: {:?}", variable.name, found.err());
    }
}

#[test]
fn all_bad_values_are_reported_together() {
    let bad = bad_variables(&[
        ("SERVER_PORT", "http"),
        ("ENVIRONMENT", "staging"),
        ("DB_MAX_CONNECTIONS", "19"),
        ("DB_QUANTUM", "1ms"),
        ("LOG_LEVEL", "loud"),
        ("ROOT_EMAIL", "root"),
    ]);
    let expected =
        ["ENVIRONMENT", "SERVER_PORT", "ROOT_EMAIL", "DB_MAX_CONNECTIONS", "DB_QUANTUM", "LOG_LEVEL"];
    assert_eq!(bad, expected);
}

#[test]
fn a_problem_names_variable_value_and_range() {
    let text = Settings::from_values(&values(&[("DB_MAX_CONNECTIONS", "19"), ("DB_QUANTUM", "1m")]))
        .unwrap_err()
        .to_string();
    let expected = "2 settings cannot be used:\
        \n  DB_MAX_CONNECTIONS is 19; accepted: 20 to 10000\
        \n  DB_QUANTUM is 1m; accepted: 5ms to 10s";
    assert_eq!(text, expected);
}

#[test]
fn every_number_and_time_is_held_to_its_range() {
    use table::Kind;
    for variable in table::GROUPS.iter().flat_map(|g| g.variables) {
        let outside = match variable.kind {
            Kind::Number(_, to) => vec![(u64::from(to) + 1).to_string(), "-1".to_owned(), "x".to_owned()],
            Kind::Duration(_, to) => vec![format!("{}ms", to.as_millis() + 1), "5".to_owned()],
            _ => continue,
        };
        for value in outside {
            assert!(
                bad_variables(&[(variable.name, &value)]).contains(&variable.name),
                "{} {value}",
                variable.name
            );
        }
    }
}

#[test]
fn values_that_do_not_go_together_are_named() {
    assert_eq!(
        bad_variables(&[("DB_MAX_CONNECTIONS", "20"), ("DB_SYSTEM_RESERVE", "19")]),
        ["DB_SYSTEM_RESERVE + DB_MAX_CONNECTIONS_PER_DB"]
    );
}

#[test]
fn an_embedded_database_is_not_shared() {
    assert_eq!(bad_variables(&[("DB_CLUSTER_MODE", "shared")]), ["DB_CLUSTER_MODE"]);
    let server = settings(&[("DB_CLUSTER_MODE", "shared"), ("DB_HOST", "db"), ("DB_CLUSTER_TTL", "30s")]);
    assert_eq!(server.cluster, Some(Cluster { ttl: Duration::from_secs(30) }));
    assert_eq!(settings(&[("DB_CLUSTER_TTL", "30s")]).cluster, None);
}

#[test]
fn only_a_budget_that_was_asked_for_is_insisted_on() {
    assert!(settings(&[]).budget_clamp);
    assert!(!settings(&[("DB_MAX_CONNECTIONS", "50")]).budget_clamp);
    assert!(settings(&[("DB_MAX_CONNECTIONS", "50"), ("DB_BUDGET_CLAMP", "true")]).budget_clamp);
    assert!(!settings(&[("DB_BUDGET_CLAMP", "false")]).budget_clamp);
}

#[test]
fn an_empty_value_counts_as_none() {
    let settings = settings(&[("SERVER_PORT", ""), ("DATABASE_URL", " "), ("SMTP_HOST", "")]);
    assert_eq!(settings.port, 8080);
    assert_eq!(settings.database, Database::Embedded);
    assert_eq!(settings.system_mail, SystemMail::Outbox);
}

#[test]
fn an_address_selects_postgresql() {
    let found =
        postgres(&[("DATABASE_URL", "postgres://ann:p%40ss@db.example:6432/main?sslmode=verify-full")]);
    assert_eq!((found.host.as_str(), found.port), ("db.example", 6432));
    assert_eq!((found.user.as_str(), found.password.expose()), ("ann", "p@ss"));
    assert_eq!((found.database.as_str(), found.prefix.as_str()), ("main", "notifuse"));
    assert_eq!(found.tls, TlsMode::VerifyFull);
}

#[test]
fn a_short_address_takes_the_usual_parts() {
    let found = postgres(&[("DATABASE_URL", "postgresql://localhost"), ("DB_PREFIX", "mail")]);
    assert_eq!((found.user.as_str(), found.password.expose()), ("postgres", ""));
    assert_eq!((found.database.as_str(), found.prefix.as_str()), ("notifuse_system", "mail"));
    assert_eq!((found.port, found.tls), (5432, TlsMode::Prefer));
}

#[test]
fn an_address_may_name_a_unix_socket() {
    let by_query = postgres(&[("DATABASE_URL", "postgres:///main?host=/run/postgresql&user=ann")]);
    assert_eq!((by_query.host.as_str(), by_query.user.as_str()), ("/run/postgresql", "ann"));
    let by_host = postgres(&[("DATABASE_URL", "postgres://%2Frun%2Fpostgresql/main")]);
    assert_eq!(by_host.host, "/run/postgresql");
}

#[test]
fn parts_select_postgresql_and_the_rest_has_defaults() {
    let found = postgres(&[("DB_HOST", "db")]);
    assert_eq!((found.host.as_str(), found.port, found.tls), ("db", 5432, TlsMode::Require));
    assert_eq!((found.user.as_str(), found.password.expose()), ("postgres", "postgres"));
    assert_eq!(postgres(&[("DB_SSLMODE", "disable")]).tls, TlsMode::Disable);
}

#[test]
fn the_prefix_alone_selects_nothing() {
    assert_eq!(settings(&[("DB_PREFIX", "mail")]).database, Database::Embedded);
}

#[test]
fn a_prefix_is_safe_in_the_name_of_a_database() {
    for bad in ["Mail", "a-b", "a\"b", &"x".repeat(40)] {
        assert_eq!(bad_variables(&[("DB_PREFIX", bad)]), ["DB_PREFIX"], "{bad}");
    }
}

#[test]
fn the_database_is_named_one_way() {
    let pairs = [("DATABASE_URL", "postgres://db/main"), ("DB_HOST", "other")];
    assert_eq!(bad_variables(&pairs), ["DATABASE_URL"]);
    let with_tls = [("DATABASE_URL", "postgres://db/main"), ("DB_SSLMODE", "require")];
    assert_eq!(postgres(&with_tls).tls, TlsMode::Require);
}

#[test]
fn an_address_of_another_database_is_refused() {
    for bad in [
        "mysql://db/main",
        "db/main",
        "postgres://db/main?sslmode=maybe",
        "postgres://db/a/b",
        "postgres://db/x?y=z",
    ] {
        assert_eq!(bad_variables(&[("DATABASE_URL", bad)]), ["DATABASE_URL"], "{bad}");
    }
}

#[test]
fn a_parsed_address_can_be_written_and_parsed_again() {
    for url in [
        "postgres://ann:p%40s%2Fs@db.example:6432/main?sslmode=verify-full",
        "postgres://ann@[::1]/main",
        "postgres:///main?host=/run/postgresql&user=ann",
    ] {
        let found = postgres(&[("DATABASE_URL", url)]);
        assert_eq!(postgres(&[("DATABASE_URL", found.url().expose())]), found, "{url}");
    }
}

#[test]
fn a_mail_server_needs_a_sender() {
    assert_eq!(bad_variables(&[("SMTP_HOST", "mx.example")]), ["SMTP_FROM_EMAIL"]);
}

#[test]
fn an_account_needs_its_password() {
    let pairs = [("SMTP_HOST", "mx.example"), ("SMTP_FROM_EMAIL", "a@b.example"), ("SMTP_USERNAME", "ann")];
    assert_eq!(bad_variables(&pairs), ["SMTP_USERNAME"]);
}

#[test]
fn a_mail_server_is_read_whole() {
    let found = settings(&[
        ("SMTP_HOST", "mx.example"),
        ("SMTP_PORT", "465"),
        ("SMTP_FROM_EMAIL", "Post@Shop.example"),
        ("SMTP_USERNAME", "ann"),
        ("SMTP_PASSWORD", "hunter2"),
    ]);
    assert_eq!(found.from_email.as_str(), "post@shop.example");
    assert_eq!(found.from_name.as_str(), "Notifuse");
    let SystemMail::Smtp(smtp) = found.system_mail else { panic!("outbox") };
    assert_eq!((smtp.host.as_str(), smtp.port, smtp.use_tls), ("mx.example", 465, true));
}

#[test]
fn a_sender_name_of_several_lines_is_refused() {
    let pairs =
        [("SMTP_HOST", "mx.example"), ("SMTP_FROM_EMAIL", "a@b.example"), ("SMTP_FROM_NAME", "A\r\nBcc: x")];
    assert_eq!(bad_variables(&pairs), ["SMTP_FROM_NAME"]);
}

#[test]
fn addresses_lose_their_trailing_slash() {
    let found = settings(&[("API_ENDPOINT", "https://mail.example.com/")]);
    assert_eq!(found.public_address(), "https://mail.example.com");
}

#[test]
fn addresses_without_scheme_or_with_credentials_are_refused() {
    for bad in [
        "mail.example.com",
        "ftp://mail.example.com",
        "https://a:b@mail.example.com",
        "https://x.example?a=b",
    ] {
        assert_eq!(bad_variables(&[("API_ENDPOINT", bad)]), ["API_ENDPOINT"], "{bad}");
    }
}

#[test]
fn metrics_are_served_only_when_a_port_is_named() {
    assert_eq!(settings(&[("METRICS_HOST", "0.0.0.0")]).telemetry.metrics, None);
    let found = settings(&[("METRICS_PORT", "9464")]).telemetry.metrics;
    assert_eq!(found, Some(("127.0.0.1".to_owned(), 9464)));
}

#[test]
fn no_secret_is_ever_printed() {
    let canary = "c4nary-s3cret";
    let url = format!("postgres://u:{canary}@db/main?sslmode=maybe");
    let broken = format!("postgres//u:{canary}@db/main");
    for pairs in [
        vec![("DATABASE_URL", url.as_str())],
        vec![("DATABASE_URL", broken.as_str())],
        vec![("SECRET_KEY", canary), ("SMTP_PASSWORD", canary), ("SMTP_HOST", "mx.example")],
        vec![("DB_PASSWORD", canary), ("DB_PORT", "x")],
    ] {
        let error = Settings::from_values(&values(&pairs)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{error}");
    }
    let fine = settings(&[
        ("SECRET_KEY", canary),
        ("SECRET_KEY_PREVIOUS", canary),
        ("DATABASE_URL", &format!("postgres://u:{canary}@db/main")),
        ("SMTP_HOST", "mx.example"),
        ("SMTP_FROM_EMAIL", "a@b.example"),
        ("SMTP_USERNAME", "u"),
        ("SMTP_PASSWORD", canary),
    ]);
    assert!(!format!("{fine:?}").contains(canary));
}

#[test]
fn only_loopback_addresses_count_as_private() {
    for (host, expected) in [("127.0.0.1", true), ("::1", true), ("localhost", true), ("0.0.0.0", false)] {
        assert_eq!(settings(&[("SERVER_HOST", host)]).listens_on_loopback(), expected, "{host}");
    }
}

fn committed(path: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn the_page_about_settings_is_the_table() {
    assert!(committed("docs/settings.md") == table::page(), "docs/settings.md differs: run `just settings`");
}

#[test]
fn the_readme_shows_the_settings_that_a_first_installation_needs() {
    let readme = committed("README.md");
    for group in table::GROUPS.iter().filter(|g| ["Server", "Database"].contains(&g.title)) {
        assert!(readme.contains(&group.markdown()), "the table {} in README.md differs", group.title);
    }
}
