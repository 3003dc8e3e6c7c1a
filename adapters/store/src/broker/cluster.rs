//! This process among others on the same budget: it joins, is heard of, gives back, and stops in time.

use crate::{
    connector::{EngineConnector, PostgresConnector, shares},
    failure::store_error,
    fence::Fence,
};
use ::broker::{Broker, CannotJoin, ClusterRules, Report, StatsPage, Told};
use application::ports::StoreError;
use sea_orm::DbErr;
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// This process as one of several.
pub(super) struct Membership {
    broker: Broker<EngineConnector>,
    server: Arc<PostgresConnector>,
    fence: Fence,
    instance: Arc<str>,
    /// Connections that are never lent.
    own: u32,
    ttl: Duration,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How this process stands.
struct Standing {
    rules: ClusterRules,
    /// Connections this process cannot work without, its own included.
    floor: u32,
    /// What the table says, as far as is known; zero outside.
    share: u32,
    /// What the broker keeps to, those that are never lent included; at most the share.
    limit: u32,
    wanted: f64,
    /// When the others take this process for dead.
    expires: Instant,
    /// Everything has been closed, since it could not be known whether it may still be had.
    stopped: bool,
}

/// The table was changed, but not as wished.
enum Trouble {
    Refused(CannotJoin),
    Failed(DbErr),
    Late,
}

impl Membership {
    /// While it gives back or joins it does not wait for the next heartbeat.
    const SOON: Duration = Duration::from_millis(300);

    pub(super) fn new(
        broker: Broker<EngineConnector>,
        server: Arc<PostgresConnector>,
        fence: Fence,
        instance: Arc<str>,
        own: u32,
        ttl: Duration,
    ) -> Self {
        Self { broker, server, fence, instance, own, ttl, task: Mutex::new(None) }
    }

    /// Waits for a share, and sees to it from then on. Does nothing the second time.
    ///
    /// # Errors
    /// When the budget is too small for one more process, or no share comes in time: those of
    /// processes that died are free only when they have been silent for long enough.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<(), StoreError> {
        if self.task().is_some() {
            return Ok(());
        }
        let mut standing = self.standing();
        let began = Instant::now();
        while !standing.has_share() {
            match self.beat(&mut standing).await {
                Ok(()) => {}
                Err(Trouble::Refused(why)) => return Err(StoreError::Internal(Box::new(why))),
                Err(Trouble::Failed(error)) if began.elapsed() > self.ttl * 4 => {
                    return Err(store_error(error));
                }
                Err(trouble) => trouble.log(),
            }
            if standing.has_share() {
                break;
            }
            if began.elapsed() > self.ttl * 4 + Duration::from_secs(20) {
                return Err(StoreError::Unavailable { retry_after: self.ttl });
            }
            sleep(Self::SOON).await;
        }
        tracing::info!(share = standing.share, budget = standing.rules.budget, "this process has its share");
        *self.task() = Some(tokio::spawn(run(Arc::downgrade(self), standing)));
        Ok(())
    }

    /// Gives the share back, when everything is closed.
    pub(super) async fn leave(&self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
        self.fence.close();
        if self.broker.stats(StatsPage { limit: 0, ..StatsPage::default() }).total_open > 0 {
            return;
        }
        let gone = self.server.maintenance().with_session(async |connection| {
            shares::change(connection, self.ttl, |scene| scene.ledger.leave(&self.instance)).await
        });
        if timeout(self.ttl / 3, gone).await.is_err() {
            tracing::warn!("the share could not be given back: the others wait until this process is silent");
        }
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> Standing {
        let limits = self.broker.limits();
        let rules = ClusterRules { budget: limits.max_connections, ttl: self.ttl };
        // The smallest reserve, the cap, and those that are never lent.
        let floor = limits.system_reserve.unwrap_or(5) + limits.max_connections_per_workspace + self.own;
        let (share, limit, stopped) = (0, 0, true);
        Standing { rules, floor, share, limit, wanted: f64::from(floor), expires: Instant::now(), stopped }
    }

    /// Lets this process be heard of, and does what it is told.
    async fn beat(&self, standing: &mut Standing) -> Result<(), Trouble> {
        let stats = self.broker.stats(StatsPage { limit: 0, ..StatsPage::default() });
        let wanted = f64::from(stats.total_in_use + stats.waiters + self.own);
        standing.wanted = standing.wanted.mul_add(0.75, wanted * 0.25);
        let held = stats.total_open + self.own;
        if standing.share == 0 && stats.total_open > 0 {
            // Outside, and still closing.
            return Ok(());
        }
        // The broker was told its limit before it was asked what it has.
        let reached = if held <= standing.limit { standing.limit } else { standing.share };
        let sent = Instant::now();
        let heard = self.server.maintenance().with_session(async |connection| {
            let (told, silent) =
                shares::change(connection, self.ttl, |scene| self.hear(scene, standing, reached)).await?;
            for instance in silent {
                tracing::warn!(other = instance, "a process has fallen silent: ending its sessions");
                shares::terminate_all(connection, &instance).await?;
            }
            Ok(told)
        });
        let told = timeout(standing.rules.heartbeat(), heard).await.map_err(|_| Trouble::Late)?;
        match told.map_err(Trouble::Failed)?.map_err(Trouble::Refused)? {
            Told::Lost => self.lose(standing),
            Told::Share { share, target } => self.keep(standing, share, target, sent),
        }
        Ok(())
    }

    /// What is said and told within the transaction, and whom nobody has heard of but the server has.
    fn hear(
        &self,
        scene: &mut shares::Scene,
        standing: &Standing,
        reached: u32,
    ) -> (Result<Told, CannotJoin>, Vec<String>) {
        let shares::Scene { ledger, now, present } = scene;
        if standing.share == 0
            && let Err(why) = ledger.join(&standing.rules, &self.instance, standing.floor, *now)
        {
            return (Err(why), Vec::new());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, rounded")]
        let wanted = standing.wanted.ceil() as u32;
        let report = Report { instance: &self.instance, reached, wanted, floor: standing.floor };
        let told = ledger.hear(&standing.rules, &report, *now, |instance| !present.contains(instance));
        let silent = ledger.silent(*now).map(str::to_owned).filter(|instance| present.contains(instance));
        (Ok(told), silent.collect())
    }

    fn keep(&self, standing: &mut Standing, share: u32, target: u32, sent: Instant) {
        standing.share = share;
        standing.expires = sent + standing.rules.ttl;
        if !standing.has_share() {
            return;
        }
        if standing.limit != target {
            let mut limits = self.broker.limits();
            limits.share = Some(target.saturating_sub(self.own));
            match self.broker.reconfigure(limits) {
                Ok(()) => {
                    tracing::info!(from = standing.limit, to = target, "this process has another share");
                    standing.limit = target;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a share is unusable");
                }
            }
        }
        standing.stopped = false;
        let lends_for = standing.rules.ttl.saturating_sub(standing.rules.margin());
        self.fence.open_until(sent + lends_for);
    }

    fn lose(&self, standing: &mut Standing) {
        tracing::error!("the share of this process was given to others: it was not heard of in time");
        (standing.share, standing.limit) = (0, 0);
        self.stop(standing);
    }

    fn stop(&self, standing: &mut Standing) {
        if !std::mem::replace(&mut standing.stopped, true) {
            tracing::error!("this process may have no connections now: closing them");
            self.fence.close();
            self.broker.renew();
            self.broker.revoke();
        }
    }

    /// How long until the next beat.
    fn pause(standing: &Standing, failed: bool) -> Duration {
        let hurry = failed || !standing.has_share() || standing.limit < standing.share;
        let pause = if hurry { Self::SOON } else { standing.rules.heartbeat() };
        if standing.stopped {
            return pause;
        }
        // Not to be late for its own end.
        pause.min(standing.expires.saturating_duration_since(Instant::now()))
    }
}

impl Standing {
    const fn has_share(&self) -> bool {
        self.share >= self.floor
    }
}

impl Trouble {
    fn log(self) {
        match self {
            Self::Refused(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "this process cannot have a share");
            }
            // The error could quote the server.
            Self::Failed(error) => {
                let error = store_error(error);
                tracing::warn!(error = &error as &dyn std::error::Error, "shares could not be renewed");
            }
            Self::Late => tracing::warn!("shares could not be renewed in time"),
        }
    }
}

async fn run(membership: Weak<Membership>, mut standing: Standing) {
    let mut failed = false;
    loop {
        sleep(Membership::pause(&standing, failed)).await;
        let Some(membership) = membership.upgrade() else { return };
        if Instant::now() >= standing.expires {
            membership.stop(&mut standing);
        }
        let outcome = membership.beat(&mut standing).await;
        failed = outcome.is_err();
        if let Err(trouble) = outcome {
            trouble.log();
        }
    }
}
