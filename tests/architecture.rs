//! The map of the house, read from the manifests: who may name whom, and why.
//!
//! Cargo enforces what a manifest says; this says what a manifest may say.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// What a crate may name in `[dependencies]`.
struct Row {
    package: &'static str,
    /// Crates of this workspace.
    ours: &'static [&'static str],
    /// Crates of others; `None` for all that are not fenced.
    others: Option<&'static [&'static str]>,
    why: &'static str,
}

const ADAPTER: &[&str] = &["application", "domain"];
const ADAPTERS_WHY: &str = "an adapter serves a port of the application; adapters know nothing of each other, so \
                            that each can be replaced";

const MAP: &[Row] = &[
    Row {
        package: "domain",
        ours: &[],
        others: Some(&[
            "chrono",
            "chrono-tz",
            "serde",
            "serde_json",
            "thiserror",
            "url",
            "uuid",
            "validator",
        ]),
        why: "the rules of the business depend on nothing that can change for other reasons",
    },
    Row {
        package: "application",
        ours: &["domain"],
        others: Some(&[
            "async-trait",
            "chrono",
            "futures-util",
            "serde",
            "serde_json",
            "thiserror",
            "tracing",
            "url",
            "uuid",
        ]),
        why: "use cases know ports, never what stands behind them, not even the async runtime",
    },
    Row {
        package: "broker",
        ours: &[],
        others: Some(&["loom", "thiserror", "tokio", "tracing"]),
        why: "the connection broker is a library that anyone could use: it knows no engine and none of our crates",
    },
    Row {
        package: "migration",
        ours: &[],
        others: Some(&["async-trait", "sea-orm", "sea-orm-migration", "thiserror"]),
        why: "tables are described in the words of databases alone",
    },
    Row {
        package: "store",
        ours: &["application", "broker", "domain", "migration"],
        others: None,
        why: "the store is the only adapter with parts of its own: tables and the connection broker",
    },
    Row { package: "crypto", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "feeds", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "http-api", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "memory", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "providers", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "render", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "smtp", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row { package: "worker", ours: ADAPTER, others: None, why: ADAPTERS_WHY },
    Row {
        package: "bootstrap",
        ours: &[
            "application",
            "broker",
            "crypto",
            "domain",
            "feeds",
            "http-api",
            "migration",
            "providers",
            "render",
            "smtp",
            "store",
            "worker",
        ],
        others: None,
        why: "bootstrap puts adapters into ports; fakes never reach the program",
    },
    Row {
        package: "benches",
        ours: &["application", "bootstrap", "broker", "crypto", "domain", "render", "smtp", "store", "tests"],
        others: None,
        why: "what is measured is what the program uses, in the same form",
    },
    Row {
        package: "tests",
        ours: ADAPTER,
        others: None,
        why: "what the suites share must not pull the whole program into whoever uses it",
    },
];

/// Crates that only some of ours may name, also in tests.
const FENCES: &[(&[&str], &[&str], &str)] = &[
    (
        &["poem"],
        &["http-api", "bootstrap", "tests", "benches"],
        "HTTP ends at adapters/http; bootstrap runs the server, measurements run a bare one beside it",
    ),
    (&["poem-openapi"], &["http-api"], "bodies and operations live in adapters/http and nowhere else"),
    (
        &["sea-orm", "sea-query", "sea-query-sqlx"],
        &["store", "migration"],
        "rows and queries end at the store",
    ),
    (&["sea-orm-migration"], &["migration"], "tables change in migration only"),
    (
        &["sqlx"],
        &["store", "tests", "benches"],
        "connections are opened for the broker only; tests make databases, measurements compare with what others do",
    ),
    (&["lettre", "mail-parser"], &["smtp"], "mails become messages, and messages are read, in adapters/smtp"),
    (&["x509-parser"], &["providers"], "certificates are read where providers sign with them"),
    (
        &["mrml", "liquid", "liquid-core", "liquid-lib", "lol_html", "html2text"],
        &["render"],
        "MJML and Liquid end at adapters/render",
    ),
    (&["jsonwebtoken", "aes-gcm"], &["crypto"], "keys and tokens are handled in adapters/crypto"),
    (
        &["hmac"],
        &["crypto", "providers"],
        "keys are handled in adapters/crypto; the tests of providers make the signature of SES themselves",
    ),
    (&["dotenvy", "figment"], &["bootstrap"], "only bootstrap reads the environment"),
    (
        &["clap", "indicatif"],
        &["bootstrap", "benches"],
        "programs for people talk to a terminal; libraries do not",
    ),
    (
        &[
            "opentelemetry",
            "opentelemetry-otlp",
            "opentelemetry_sdk",
            "tracing-opentelemetry",
            "tracing-subscriber",
        ],
        &["bootstrap"],
        "crates write spans and events; where these go is decided at the start",
    ),
    (
        &["anyhow"],
        &["bootstrap", "benches", "tests"],
        "a failure keeps its type until somebody has to print it",
    ),
    (&["testcontainers"], &["tests"], "servers are started for test suites only"),
];

/// Words that open a connection to a database.
const OPENINGS: &[&str] = &[
    "PgConnection",
    "SqliteConnection",
    "PgPool",
    "SqlitePool",
    "PgConnectOptions",
    "SqliteConnectOptions",
    "Database::connect",
];

#[test]
fn every_crate_stands_on_the_map() {
    let packages: BTreeSet<_> = manifests().into_iter().map(|m| m.package).collect();
    let map: BTreeSet<_> = MAP.iter().map(|row| row.package.to_owned()).collect();
    assert_eq!(
        packages, map,
        "a crate was added or removed: give it a row in MAP that says what it may name"
    );
}

#[test]
fn a_crate_names_only_those_of_ours_that_its_row_allows() {
    let manifests = manifests();
    let ours: BTreeSet<_> = manifests.iter().map(|m| m.package.clone()).collect();
    report(manifests.iter().flat_map(|manifest| {
        let row = row(&manifest.package);
        let named = manifest.dependencies.iter().filter(|d| ours.contains(*d));
        named.filter(|d| !row.ours.contains(&d.as_str())).map(move |d| forbidden(manifest, d, row.why))
    }));
}

#[test]
fn tests_of_a_crate_name_its_row_and_what_is_made_for_tests() {
    let manifests = manifests();
    let ours: BTreeSet<_> = manifests.iter().map(|m| m.package.clone()).collect();
    report(manifests.iter().filter(|m| m.package != "tests").flat_map(|manifest| {
        let row = row(&manifest.package);
        let named = manifest.dev_dependencies.iter().filter(|d| ours.contains(*d));
        let strange =
            named.filter(|d| !row.ours.contains(&d.as_str()) && !["memory", "tests"].contains(&d.as_str()));
        strange.map(move |d| forbidden(manifest, d, "what needs several adapters is tested in tests/"))
    }));
}

#[test]
fn fakes_are_named_by_tests_only() {
    report(manifests().iter().flat_map(|manifest| {
        // Measurements are no part of the program either.
        let dependencies = manifest.dependencies.iter().filter(|_| manifest.package != "benches");
        let fakes = dependencies.filter(|d| ["memory", "tests"].contains(&d.as_str()));
        fakes
            .map(|d| {
                forbidden(manifest, d, "it belongs in [dev-dependencies]: fakes never reach the program")
            })
            .collect::<Vec<_>>()
    }));
}

#[test]
fn the_inner_crates_name_no_framework() {
    report(manifests().iter().flat_map(|manifest| {
        let row = row(&manifest.package);
        let ours: Vec<_> = MAP.iter().map(|row| row.package).collect();
        let named = manifest.dependencies.iter().filter(|d| !ours.contains(&d.as_str()));
        let strange = named.filter(|d| row.others.is_some_and(|others| !others.contains(&d.as_str())));
        strange.map(|d| forbidden(manifest, d, row.why)).collect::<Vec<_>>()
    }));
}

#[test]
fn a_framework_is_named_by_its_own_crate_only() {
    let manifests = manifests();
    report(FENCES.iter().flat_map(|(fenced, allowed, why)| {
        let outside = manifests.iter().filter(|m| !allowed.contains(&m.package.as_str()));
        outside.flat_map(move |manifest| {
            let named = manifest.dependencies.iter().chain(&manifest.dev_dependencies);
            named.filter(|d| fenced.contains(&d.as_str())).map(move |d| forbidden(manifest, d, why))
        })
    }));
}

#[test]
fn connections_are_opened_by_the_store_only() {
    let root = root();
    let mut found = Vec::new();
    for file in sources(&root) {
        let place = file.strip_prefix(&root).unwrap();
        if ["adapters/store/src", "tests", "benches"].iter().any(|folder| place.starts_with(folder)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for word in OPENINGS.iter().filter(|word| text.contains(**word)) {
            found.push(format!(
                "{} speaks of {word}: only adapters/store opens connections to databases, since every one must be \
                 counted by the broker",
                place.display()
            ));
        }
    }
    report(found);
}

#[test]
fn only_the_connectors_open_connections_within_the_store() {
    let store = root().join("adapters/store/src");
    // Each line: where a connection is made, or one is asked of whoever makes it.
    let allowed =
        ["connection.rs", "connection/listener.rs", "connection/postgres.rs", "connection/sqlite.rs"];
    let mut found = Vec::new();
    for file in sources(&store) {
        let place = file.strip_prefix(&store).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        if !allowed.contains(&place.as_str()) {
            for word in OPENINGS.iter().filter(|word| text.contains(**word)) {
                found.push(format!("adapters/store/src/{place} speaks of {word}: that is for connection/"));
            }
        }
        let asks = ["PostgresLink", "SqliteLink"].iter().any(|link| text.contains(link));
        let may_ask =
            place.starts_with("connection") || place.starts_with("connector") || is_for_tests(&place);
        if asks && !may_ask {
            found.push(format!("adapters/store/src/{place} opens connections: that is for connector/"));
        }
    }
    report(found);
}

#[test]
fn leases_for_any_sql_are_for_measurements_only() {
    let root = root();
    let workspace = table(&root.join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let mut found = Vec::new();
    for member in members.iter().map(|member| member.as_str().unwrap()) {
        let text = fs::read_to_string(root.join(member).join("Cargo.toml")).unwrap();
        let enables = text.lines().any(|line| line.starts_with("store") && line.contains("\"raw\""));
        if enables && member != "benches" {
            found.push(format!("{member} enables the feature `raw` of store: the program uses its stores"));
        }
    }
    report(found);
}

/// Files of the store that are compiled into its tests alone.
fn is_for_tests(place: &str) -> bool {
    place == "testing.rs" || place.contains("tests")
}

/// A crate's manifest, as far as the rules speak of it. Names are those of packages.
struct Manifest {
    package: String,
    dependencies: BTreeSet<String>,
    dev_dependencies: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn table(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn manifests() -> Vec<Manifest> {
    let workspace = table(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| manifest(&root().join(member.as_str().unwrap()))).collect()
}

fn manifest(folder: &Path) -> Manifest {
    let manifest = table(&folder.join("Cargo.toml"));
    let package = manifest["package"]["name"].as_str().unwrap().to_owned();
    let mut dependencies = names(&manifest, "dependencies");
    dependencies.extend(names(&manifest, "build-dependencies"));
    let mut dev_dependencies = names(&manifest, "dev-dependencies");
    // `[target.'cfg(…)'.dependencies]` counts as well.
    for target in manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values) {
        let target = target.as_table().unwrap();
        dependencies.extend(names(target, "dependencies"));
        dependencies.extend(names(target, "build-dependencies"));
        dev_dependencies.extend(names(target, "dev-dependencies"));
    }
    Manifest { package, dependencies, dev_dependencies }
}

fn names(table: &Table, section: &str) -> BTreeSet<String> {
    let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
    let renamed = |entry: &Value| entry.get("package").and_then(Value::as_str).map(str::to_owned);
    entries.map(|(name, entry)| renamed(entry).unwrap_or_else(|| name.clone())).collect()
}

fn row(package: &str) -> &'static Row {
    MAP.iter().find(|row| row.package == package).unwrap_or_else(|| panic!("{package} has no row in MAP"))
}

fn forbidden(manifest: &Manifest, dependency: &str, why: &str) -> String {
    format!("{} must not name {dependency}: {why}", manifest.package)
}

fn report(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(
        problems.is_empty(),
        "\n{}\nThe map in tests/architecture.rs is changed only when its reason is.",
        problems.join("\n")
    );
}

/// Every Rust file of the workspace.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
