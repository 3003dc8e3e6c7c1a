//! The tables of opens and clicks, and the counters of broadcasts.
//!
//! The database counts what happens to messages in the statement that writes it down, so that no
//! writer can forget it and no reader scans the history. What leaves the history stays counted.

use super::{bytewise, key, moment, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Index, Table},
};

/// Moments of a message with the counter of each.
const COUNTED: [(&str, &str); 8] = [
    ("sent_at", "sent"),
    ("delivered_at", "delivered"),
    ("bounced_at", "bounced"),
    ("complained_at", "complained"),
    ("failed_at", "failed"),
    ("opened_at", "opened"),
    ("clicked_at", "clicked"),
    ("unsubscribed_at", "unsubscribed"),
];

/// Counters that follow from engagements.
const ENGAGED: [&str; 3] = ["proxy_opened", "machine_opened", "machine_clicked"];

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let mut statements = engagements(backend);
    statements.extend(links(backend));
    statements.extend(counters(backend));
    statements.extend(match backend {
        DbBackend::Postgres => on_postgres(),
        _ => on_sqlite(),
    });
    statements
}

fn engagements(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("message_engagements")
        .col(key(backend, "message_id", 100).not_null())
        .col(key(backend, "kind", 20).not_null())
        .col(key(backend, "actor", 20).not_null())
        .col(bytewise(backend, ColumnDef::new("link").text()).not_null())
        .col(ColumnDef::new("count").big_integer().not_null())
        .col(moment("first_at"))
        .col(moment("last_at"))
        .primary_key(Index::create().col("message_id").col("kind").col("actor").col("link"))
        .take();
    tables(backend, &table, &[])
}

fn links(backend: DbBackend) -> Vec<String> {
    let table = Table::create()
        .table("broadcast_links")
        .col(key(backend, "broadcast_id", 32).not_null())
        .col(bytewise(backend, ColumnDef::new("link").text()).not_null())
        .col(ColumnDef::new("messages").big_integer().not_null())
        .col(ColumnDef::new("clicks").big_integer().not_null())
        .col(ColumnDef::new("machine_clicks").big_integer().not_null())
        .primary_key(Index::create().col("broadcast_id").col("link"))
        .take();
    tables(backend, &table, &[])
}

fn counters(backend: DbBackend) -> Vec<String> {
    let mut table = Table::create();
    table.table("broadcast_stats").col(key(backend, "broadcast_id", 32).not_null().primary_key());
    for counter in COUNTED.iter().map(|(_, counter)| *counter).chain(ENGAGED) {
        table.col(ColumnDef::new(counter).big_integer().not_null().default(0));
    }
    tables(backend, &table, &[])
}

/// One text for each counted moment, joined.
fn joined(write: impl Fn(&str, &str) -> String, with: &str) -> String {
    COUNTED.iter().map(|(at, counter)| write(at, counter)).collect::<Vec<_>>().join(with)
}

/// Counts once for each statement.
fn on_postgres() -> Vec<String> {
    let counters = joined(|_, counter| counter.to_owned(), ", ");
    let added =
        joined(|_, counter| format!("{counter} = broadcast_stats.{counter} + excluded.{counter}"), ", ");
    let inserted = joined(|at, _| format!("COUNT({at})"), ", ");
    let differences =
        joined(|at, counter| format!("COUNT(after.{at}) - COUNT(before.{at}) AS {counter}"), ", ");
    let changed = joined(|_, counter| format!("{counter} <> 0"), " OR ");
    let function = |name: &str, select: &str| {
        format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO broadcast_stats (broadcast_id, {counters}) {select} \
             ON CONFLICT (broadcast_id) DO UPDATE SET {added}; RETURN NULL; END $$"
        )
    };
    // In one order everywhere, so that two statements never wait for each other.
    let insertion = format!(
        "SELECT broadcast_id, {inserted} FROM after WHERE broadcast_id IS NOT NULL \
         GROUP BY broadcast_id ORDER BY broadcast_id"
    );
    let update = format!(
        "SELECT * FROM (SELECT after.broadcast_id, {differences} FROM after JOIN before ON before.id = after.id \
         WHERE after.broadcast_id IS NOT NULL GROUP BY after.broadcast_id) AS differences \
         WHERE {changed} ORDER BY broadcast_id"
    );
    vec![
        function("count_inserted_messages", &insertion),
        function("count_updated_messages", &update),
        "CREATE TRIGGER message_history_inserted AFTER INSERT ON message_history \
         REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_inserted_messages()"
            .to_owned(),
        "CREATE TRIGGER message_history_updated AFTER UPDATE ON message_history \
         REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_updated_messages()"
            .to_owned(),
    ]
}

/// Counts for each row, as this engine knows nothing else.
fn on_sqlite() -> Vec<String> {
    let counters = joined(|_, counter| counter.to_owned(), ", ");
    let inserted = joined(|at, _| format!("NEW.{at} IS NOT NULL"), ", ");
    let added = joined(|_, counter| format!("{counter} = {counter} + excluded.{counter}"), ", ");
    let moments = joined(|at, _| at.to_owned(), ", ");
    let changed = joined(|at, _| format!("(NEW.{at} IS NULL) <> (OLD.{at} IS NULL)"), " OR ");
    let differences = joined(
        |at, counter| format!("{counter} = {counter} + (NEW.{at} IS NOT NULL) - (OLD.{at} IS NOT NULL)"),
        ", ",
    );
    vec![
        format!(
            "CREATE TRIGGER message_history_inserted AFTER INSERT ON message_history \
             WHEN NEW.broadcast_id IS NOT NULL BEGIN \
             INSERT INTO broadcast_stats (broadcast_id, {counters}) VALUES (NEW.broadcast_id, {inserted}) \
             ON CONFLICT (broadcast_id) DO UPDATE SET {added}; END"
        ),
        format!(
            "CREATE TRIGGER message_history_updated AFTER UPDATE OF {moments} ON message_history \
             WHEN NEW.broadcast_id IS NOT NULL AND ({changed}) BEGIN \
             UPDATE broadcast_stats SET {differences} WHERE broadcast_id = NEW.broadcast_id; END"
        ),
    ]
}
