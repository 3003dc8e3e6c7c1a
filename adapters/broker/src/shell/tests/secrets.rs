//! C9, I16: what a connector knows never gets out through the broker.

use super::*;
use crate::{CleanStep, CloseProof, Connector, OpenError, OpenFailure, Target, Unusable, ZombieProbe};
use std::{
    fmt::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use tracing::{Event, Metadata, Subscriber, field, span};

const CANARY: &str = "canary-password";

/// Carries a password and shows it to whoever asks.
#[derive(Clone)]
struct Secret(&'static str);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Fails in every way in turn.
struct Leaky {
    password: Secret,
    attempts: AtomicU32,
}

impl Connector for Leaky {
    type Connection = Secret;
    type Handle = Secret;

    async fn open(&self, _: &Target) -> Result<Secret, OpenError<Secret>> {
        let failure = match self.attempts.fetch_add(1, Ordering::SeqCst) {
            0 => OpenFailure::Limit,
            1 => OpenFailure::Down,
            2 => OpenFailure::Auth,
            3 => OpenFailure::Other,
            4 => OpenFailure::DatabaseMissing,
            _ => return Ok(self.password.clone()),
        };
        let error = OpenError::unproven(failure, self.password.clone());
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
        Err(error)
    }

    fn handle(&self, connection: &Secret) -> Secret {
        connection.clone()
    }

    async fn clean(&self, _: &mut Secret, _: CleanStep) -> Result<(), Unusable> {
        Err(Unusable)
    }

    async fn check(&self, _: &mut Secret) -> Result<(), Unusable> {
        Ok(())
    }

    async fn close(&self, connection: Secret) -> CloseProof<Secret> {
        CloseProof::NotProven(connection)
    }

    async fn prove_gone(&self, _: Option<&mut Secret>, zombies: &[ZombieProbe<Secret>]) -> Vec<bool> {
        assert!(!format!("{zombies:?}").contains(CANARY));
        vec![true; zombies.len()]
    }
}

/// Writes down whatever is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl field::Visit for Log {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0.lock().unwrap(), "{field}={value:?} ");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_a_connector_is_in_any_output() {
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());
    let connector = Leaky { password: Secret(CANARY), attempts: AtomicU32::new(0) };
    let broker = Broker::unchecked(limits(2, 1), connector);
    let mut seen = String::new();
    for number in 0..6 {
        match broker.lease(&key(number), read()).await {
            Ok(mut lease) => {
                let _ = write!(seen, "{lease:?}");
                lease.mark_dirty();
            }
            Err(error) => {
                let _ = write!(seen, "{error} {error:?}");
            }
        }
        tokio::time::sleep(20 * SECOND).await;
        let stats = broker.stats(StatsPage::default());
        let _ = write!(seen, "{broker:?} {stats:?} {:?}", broker.limits());
    }
    let report = broker.shutdown(SECOND).await;
    let _ = write!(seen, "{report:?}");
    drop(logging);
    let log = log.0.lock().unwrap().clone();
    for word in ["the server refused", "does not accept", "cannot be reached", "not known to be gone"] {
        assert!(log.contains(word), "{word:?} is logged: {log}");
    }
    assert!(!seen.contains(CANARY) && !log.contains(CANARY), "{seen}\n{log}");
}
