//! Figures of the connection broker, read whenever metrics are collected. No connection is needed.

use broker::{BrokerStats, ByClass, Spread, StatsPage};
use opentelemetry::{KeyValue, global, metrics::Meter};
use prometheus::{
    core::{Collector, Desc},
    proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};
use store::StoreBroker;

/// No workspace is named in metrics: their number is not bounded.
const TOTALS: StatsPage = StatsPage { limit: 0, sort: broker::SortBy::InUse, after: None };

/// A value with its labels.
type Point<T> = (Vec<(&'static str, &'static str)>, T);

/// Offers the figures to the metrics of the process. Histograms are told to scrapers only: the broker
/// has counted already, and what is pushed to a collector cannot be counted beforehand.
///
/// # Errors
/// When they are offered already.
pub fn observe_connections(store: &StoreBroker, telemetry: &super::Telemetry) -> anyhow::Result<()> {
    let meter = global::meter("notifuse");
    for gauge in GAUGES {
        gauge.offer(&meter, store);
    }
    for counter in COUNTERS {
        counter.offer(&meter, store);
    }
    telemetry.registry.register(Box::new(Times::new(store.clone())?))?;
    Ok(())
}

/// A figure of the moment.
struct Gauge {
    name: &'static str,
    description: &'static str,
    read: fn(&BrokerStats) -> Vec<Point<f64>>,
}

/// A figure that only grows.
struct Counter {
    name: &'static str,
    description: &'static str,
    read: fn(&BrokerStats) -> Vec<Point<u64>>,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "db.broker.connections",
        description: "Connections to databases of workspaces, by state",
        read: |stats| by_state(&of_workspaces(stats)),
    },
    Gauge {
        name: "db.broker.system.connections",
        description: "Connections to the system database, by state",
        read: |stats| {
            let system = &stats.system;
            let other = system.open.saturating_sub(system.idle + system.in_use);
            by_state(&[("idle", system.idle), ("in_use", system.in_use), ("other", other)])
        },
    },
    Gauge {
        name: "db.broker.budget",
        description: "Most connections of all processes together",
        read: |stats| plain(f64::from(stats.max_connections)),
    },
    Gauge {
        name: "db.broker.share",
        description: "Most connections of this process",
        read: |stats| plain(f64::from(stats.effective_share)),
    },
    Gauge {
        name: "db.broker.waiters",
        description: "Requests that wait for a connection, by class",
        read: |stats| {
            let waiters = stats.waiters_by_class.named();
            waiters.map(|(class, count)| (vec![("class", class)], f64::from(*count))).into()
        },
    },
    Gauge {
        name: "db.broker.zero.wants",
        description: "Workspaces that wait for their only connection",
        read: |stats| plain(f64::from(stats.workspaces_without_connection_waiting)),
    },
    Gauge {
        name: "db.broker.quantum.seconds",
        description: "How long a workspace keeps its only connection while others have none",
        read: |stats| plain(stats.quantum_ms / 1000.0),
    },
    Gauge {
        name: "db.broker.active.workspaces",
        description: "Workspaces with a connection",
        read: |stats| plain(f64::from(stats.active_workspaces)),
    },
    Gauge {
        name: "db.broker.oldest.lease.seconds",
        description: "Age of the oldest lease",
        read: |stats| plain(stats.oldest_lease_ms / 1000.0),
    },
];

const COUNTERS: &[Counter] = &[
    Counter {
        name: "db.broker.leases",
        description: "Requests for a connection, by class and by how they ended",
        read: leases,
    },
    Counter {
        name: "db.broker.opens",
        description: "Connections opened, or not",
        read: |stats| by("result", &[("succeeded", stats.opens.succeeded), ("failed", stats.opens.failed)]),
    },
    Counter {
        name: "db.broker.closes",
        description: "Connections closed, by reason",
        read: |stats| {
            let closes = &stats.closes;
            by(
                "reason",
                &[
                    ("idle", closes.idle),
                    ("lifetime", closes.lifetime),
                    ("stolen", closes.stolen),
                    ("share", closes.share),
                    ("quantum", closes.quantum),
                    ("broken", closes.broken),
                    ("dirty", closes.dirty),
                    ("generation", closes.generation),
                    ("retired", closes.retired),
                    ("shutdown", closes.shutdown),
                ],
            )
        },
    },
    Counter {
        name: "db.broker.steals",
        description: "Connections taken from one workspace for another, by rule",
        read: |stats| {
            let steals = &stats.steals;
            by(
                "rule",
                &[
                    ("idle", steals.idle),
                    ("share", steals.share),
                    ("unneeded", steals.unneeded),
                    ("quantum", steals.quantum),
                ],
            )
        },
    },
    Counter {
        name: "db.broker.refusals",
        description: "Requests refused, by reason",
        read: |stats| {
            let refusals = &stats.refusals;
            by(
                "reason",
                &[
                    ("wait_timed_out", refusals.wait_timed_out),
                    ("predicted_too_long", refusals.predicted_too_long),
                    ("workspace_queue_full", refusals.workspace_queue_full),
                    ("queue_full", refusals.queue_full),
                    ("unavailable", refusals.unavailable),
                    ("other", refusals.other),
                ],
            )
        },
    },
    Counter {
        name: "db.broker.server.refusals",
        description: "Connections within the budget that the server refused; should be 0",
        read: |stats| plain(stats.server_refusals),
    },
    Counter {
        name: "db.broker.zombies",
        description: "Closed connections that the server did not let go in time",
        read: |stats| plain(stats.zombies),
    },
    Counter {
        name: "db.broker.cancels",
        description: "Requests for a connection that the caller gave up",
        read: |stats| plain(stats.leases.cancelled),
    },
    Counter {
        name: "db.broker.nested.leases",
        description: "Leases asked for by a task that held one; should be 0",
        read: |stats| plain(stats.nested_leases),
    },
    Counter {
        name: "db.broker.health.checks",
        description: "Connections checked before they were lent, by result",
        read: |stats| {
            by("result", &[("passed", stats.health_checks_passed), ("failed", stats.health_checks_failed)])
        },
    },
];

impl Gauge {
    fn offer(&self, meter: &Meter, store: &StoreBroker) {
        let (store, read) = (store.clone(), self.read);
        meter
            .f64_observable_gauge(self.name)
            .with_description(self.description)
            .with_callback(move |gauge| {
                for (labels, value) in read(&store.stats(TOTALS)) {
                    gauge.observe(value, &attributes(&labels));
                }
            })
            .build();
    }
}

impl Counter {
    fn offer(&self, meter: &Meter, store: &StoreBroker) {
        let (store, read) = (store.clone(), self.read);
        meter
            .u64_observable_counter(self.name)
            .with_description(self.description)
            .with_callback(move |counter| {
                for (labels, value) in read(&store.stats(TOTALS)) {
                    counter.observe(value, &attributes(&labels));
                }
            })
            .build();
    }
}

fn attributes(labels: &[(&'static str, &'static str)]) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| KeyValue::new(*name, *value)).collect()
}

fn plain<T>(value: T) -> Vec<Point<T>> {
    vec![(Vec::new(), value)]
}

fn by(label: &'static str, values: &[(&'static str, u64)]) -> Vec<Point<u64>> {
    values.iter().map(|(name, value)| (vec![(label, *name)], *value)).collect()
}

fn by_state(states: &[(&'static str, u32)]) -> Vec<Point<f64>> {
    states.iter().map(|(name, count)| (vec![("state", *name)], f64::from(*count))).collect()
}

/// Cleaning, opening, closing and lost connections of the system lane are few and counted here.
fn of_workspaces(stats: &BrokerStats) -> [(&'static str, u32); 6] {
    let leased = stats.total_in_use.saturating_sub(stats.cleaning);
    [
        ("opening", stats.opening),
        ("idle", stats.total_idle.saturating_sub(stats.system.idle)),
        ("leased", leased.saturating_sub(stats.system.in_use)),
        ("cleaning", stats.cleaning),
        ("closing", stats.closing),
        ("zombie", stats.zombie),
    ]
}

fn leases(stats: &BrokerStats) -> Vec<Point<u64>> {
    let mut all = Vec::new();
    for (class, leases) in stats.leases_by_class.named() {
        for (result, count) in [
            ("hit", leases.hit),
            ("handed_over", leases.handed_over),
            ("opened", leases.opened),
            ("stolen", leases.stolen),
            ("refused", leases.refused),
            ("cancelled", leases.cancelled),
        ] {
            all.push((vec![("class", class), ("result", result)], count));
        }
    }
    all
}

/// What the broker has measured, as histograms.
struct Times {
    store: StoreBroker,
    descriptions: Vec<Desc>,
}

/// A histogram's name, what it says, and its values by class or without one.
type Family = (&'static str, &'static str, fn(&BrokerStats) -> Vec<(Option<&'static str>, Spread)>);

const TIMES: [Family; 5] = [
    ("db_broker_wait_seconds", "How long granted leases were waited for", |s| classes(&s.wait_ms_by_class)),
    ("db_broker_hold_seconds", "How long leases were held", |s| classes(&s.hold_ms_by_class)),
    ("db_broker_open_seconds", "How long opens took", |s| vec![(None, s.open_ms)]),
    ("db_broker_close_seconds", "How long closes took until the place was free", |s| {
        vec![(None, s.close_ms)]
    }),
    (
        "db_broker_idle_age_seconds",
        "How long connections had been idle when another workspace got their place",
        |s| vec![(None, s.victim_age_ms)],
    ),
];

fn classes(spreads: &ByClass<Spread>) -> Vec<(Option<&'static str>, Spread)> {
    spreads.named().map(|(class, spread)| (Some(class), *spread)).into()
}

impl Times {
    fn new(store: StoreBroker) -> Result<Self, prometheus::Error> {
        let describe = |(name, help, _): Family| {
            Desc::new(
                name.to_owned(),
                help.to_owned(),
                vec!["class".to_owned()],
                std::collections::HashMap::new(),
            )
        };
        let descriptions = TIMES.into_iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { store, descriptions })
    }
}

impl Collector for Times {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.store.stats(TOTALS);
        TIMES.into_iter().map(|(name, help, read)| family(name, help, &read(&stats))).collect()
    }
}

fn family(name: &str, help: &str, spreads: &[(Option<&'static str>, Spread)]) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(spreads.iter().map(|(class, spread)| metric(*class, spread)).collect());
    family
}

fn metric(class: Option<&str>, spread: &Spread) -> Metric {
    let mut histogram = Histogram::default();
    histogram.set_sample_count(spread.count);
    histogram.set_sample_sum(spread.sum / 1000.0);
    let buckets = Spread::BOUNDS_MS.iter().zip(spread.up_to).map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound / 1000.0);
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    if let Some(class) = class {
        let mut label = LabelPair::default();
        label.set_name("class".to_owned());
        label.set_value(class.to_owned());
        metric.set_label(vec![label]);
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder as _, TextEncoder};

    #[test]
    fn a_histogram_is_written_as_scrapers_read_it() {
        let spread = Spread { count: 3, sum: 12.5, up_to: [2; Spread::BOUNDS], ..Spread::default() };
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&[family("db_broker_wait_seconds", "help", &[(Some("delivery"), spread)])], &mut text)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "# TYPE db_broker_wait_seconds histogram",
            r#"db_broker_wait_seconds_bucket{class="delivery",le="0.000064"} 2"#,
            r#"db_broker_wait_seconds_bucket{class="delivery",le="+Inf"} 3"#,
            r#"db_broker_wait_seconds_sum{class="delivery"} 0.0125"#,
            r#"db_broker_wait_seconds_count{class="delivery"} 3"#,
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../../docs/connection-broker.md");
        let gauges = GAUGES.iter().map(|gauge| gauge.name.replace('.', "_"));
        let counters = COUNTERS.iter().map(|counter| format!("{}_total", counter.name.replace('.', "_")));
        for name in gauges.chain(counters).chain(TIMES.map(|(name, ..)| name.to_owned())) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn leases_are_told_by_class_and_result() {
        let mut stats = BrokerStats::default();
        stats.leases_by_class.delivery.stolen = 7;
        let told = leases(&stats);
        assert_eq!(told.len(), 18);
        assert!(told.contains(&(vec![("class", "delivery"), ("result", "stolen")], 7)));
    }
}
