//! How the database connections are used.

use application::{
    access::{Denied, Identity},
    connections::Connections,
    ports::{Clock as _, ConnectionFigures, ConnectionPage, ConnectionSort},
};
use domain::{ids::UserId, users::UserKind};
use memory::{FixedClock, FixedMeter, SequentialIds};
use std::{sync::Arc, time::Duration};

const PAGE: ConnectionPage = ConnectionPage { limit: 10, sort: ConnectionSort::InUse, after: None };

fn caller(is_root: bool) -> Identity {
    let user = UserId::from_uuid(SequentialIds::nth(1));
    Identity { user, kind: UserKind::Person, session: None, is_root }
}

fn connections(figures: ConnectionFigures) -> (Connections, FixedClock) {
    let clock = FixedClock::default();
    (Connections::new(Arc::new(FixedMeter(figures)), Arc::new(clock.clone())), clock)
}

#[test]
fn only_the_administrator_reads_the_report() {
    let (connections, _) = connections(ConnectionFigures { max: 40, ..ConnectionFigures::default() });
    assert_eq!(connections.report(&caller(false), &PAGE), Err(Denied::NotRoot));
    assert_eq!(connections.report(&caller(true), &PAGE).unwrap().figures.max, 40);
}

#[test]
fn the_last_refusal_has_its_moment() {
    let since_last_limit = Some(Duration::from_mins(1));
    let (connections, clock) =
        connections(ConnectionFigures { since_last_limit, ..ConnectionFigures::default() });
    let report = connections.report(&caller(true), &PAGE).unwrap();
    assert_eq!(report.last_limit_at, Some(clock.now() - chrono::Duration::minutes(1)));
}
