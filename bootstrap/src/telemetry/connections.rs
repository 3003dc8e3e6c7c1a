//! Figures of the connection broker, read whenever metrics are collected. No connection is needed.

use broker::{BrokerStats, StatsPage};
use opentelemetry::{KeyValue, global};
use store::StoreBroker;

/// No workspace is named in metrics: their number is not bounded.
const TOTALS: StatsPage = StatsPage { limit: 0, sort: broker::SortBy::InUse, after: None };

/// Offers the figures to the metrics of the process.
pub fn observe_connections(store: &StoreBroker) {
    let meter = global::meter("notifuse");
    let stats = {
        let store = store.clone();
        move || store.stats(TOTALS)
    };
    let read = stats.clone();
    meter
        .u64_observable_gauge("db.broker.connections")
        .with_description("Database connections, by state")
        .with_callback(move |gauge| {
            for (state, count) in by_state(&read()) {
                gauge.observe(u64::from(count), &[KeyValue::new("state", state)]);
            }
        })
        .build();
    let read = stats.clone();
    meter
        .u64_observable_gauge("db.broker.budget")
        .with_description("Most database connections")
        .with_callback(move |gauge| gauge.observe(u64::from(read().max_connections), &[]))
        .build();
    let read = stats.clone();
    meter
        .u64_observable_gauge("db.broker.waiters")
        .with_description("Requests that wait for a database connection, by class")
        .with_callback(move |gauge| {
            let waiters = read().waiters_by_class;
            for (class, count) in [
                ("interactive", waiters.interactive),
                ("delivery", waiters.delivery),
                ("background", waiters.background),
            ] {
                gauge.observe(u64::from(count), &[KeyValue::new("class", class)]);
            }
        })
        .build();
    meter
        .u64_observable_counter("db.broker.leases")
        .with_description("Requests for a database connection, by how they ended")
        .with_callback(move |counter| {
            let leases = stats().leases;
            for (result, count) in [
                ("hit", leases.hit),
                ("handed_over", leases.handed_over),
                ("opened", leases.opened),
                ("stolen", leases.stolen),
                ("refused", leases.refused),
                ("cancelled", leases.cancelled),
            ] {
                counter.observe(count, &[KeyValue::new("result", result)]);
            }
        })
        .build();
}

fn by_state(stats: &BrokerStats) -> [(&'static str, u32); 6] {
    [
        ("opening", stats.opening),
        ("idle", stats.total_idle),
        ("in_use", stats.total_in_use.saturating_sub(stats.cleaning)),
        ("cleaning", stats.cleaning),
        ("closing", stats.closing),
        ("zombie", stats.zombie),
    ]
}
