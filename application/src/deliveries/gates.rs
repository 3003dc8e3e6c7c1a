//! The gates before providers: how fast each may be used, and whether it works at all.
//!
//! A process that is alone keeps them itself. Of several processes each keeps what it last read, decides
//! by that, and settles with the others once per batch: never once per mail, as long as the provider works.

use super::earlier;
use crate::ports::{ConnectionBroker, Gate, Purpose, StoreError, SystemStore};
use domain::{
    Timestamp,
    circuits::{BreakerPolicy, Circuit, Passage, Sign},
    deliveries::Delivery,
    ids::{IntegrationId, MessageId},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The gates as this process knows them.
pub(super) struct Gates {
    policy: BreakerPolicy,
    /// Where all processes keep them; `None` for a process that is alone.
    common: Option<Arc<dyn ConnectionBroker>>,
    known: Mutex<HashMap<IntegrationId, Gate>>,
}

/// A provider as it is set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) per_minute: u32,
    /// When it was last changed.
    pub(super) version: Timestamp,
}

/// Providers of one workspace.
pub(super) type Setups = BTreeMap<IntegrationId, Setup>;

/// What may be claimed now.
#[derive(Default)]
pub(super) struct Openings {
    /// Providers that are left alone, or whose rate is used up.
    pub(super) closed: Vec<IntegrationId>,
    /// When the first of them opens.
    pub(super) next: Option<Timestamp>,
    /// Those that take one mail, to try them.
    trials: HashSet<IntegrationId>,
    /// How many mails the others take.
    free: HashMap<IntegrationId, usize>,
}

impl Openings {
    /// Most deliveries that can be of use; `None` when the workspace has no provider.
    pub(super) fn most(&self) -> Option<usize> {
        let any = !self.closed.is_empty() || !self.free.is_empty();
        any.then(|| self.free.values().fold(0_usize, |sum, free| sum.saturating_add(*free)))
    }

    /// Takes out of the list what the providers do not take. A delivery whose provider is gone stays:
    /// it fails without sending.
    pub(super) fn keep(mut self, claimed: &mut Vec<Delivery>) -> Vec<MessageId> {
        for trial in &self.trials {
            self.free.entry(*trial).and_modify(|free| *free = (*free).min(1));
        }
        drop_over(claimed, &mut self.free)
    }
}

impl Gates {
    pub(super) fn new(policy: BreakerPolicy, common: Option<Arc<dyn ConnectionBroker>>) -> Self {
        Self { policy, common, known: Mutex::default() }
    }

    /// Learns what other processes have settled since the last time.
    pub(super) async fn learn(
        &self,
        system: &mut dyn SystemStore,
        ids: &[IntegrationId],
    ) -> Result<(), StoreError> {
        if self.common.is_some() {
            let gates = system.gates(ids).await?;
            self.known().extend(gates.into_iter().map(|gate| (gate.integration, gate)));
        }
        Ok(())
    }

    /// What the providers take, as far as is known here.
    pub(super) fn openings(&self, setups: &Setups, now: Timestamp) -> Openings {
        let known = self.known();
        let mut openings = Openings::default();
        for (id, setup) in setups {
            let gate = known.get(id).copied().unwrap_or(Gate::unused(*id));
            let passage = circuit(&gate, setup.version).map_or(Passage::Free, |c| c.passage(now));
            let free = gate.pace.available(setup.per_minute, now);
            match passage {
                Passage::Barred(until) => openings.close(*id, until),
                _ if free == 0 => openings.close(*id, gate.pace.next(setup.per_minute, now)),
                passage => {
                    openings.free.insert(*id, free);
                    if passage == Passage::Trial {
                        openings.trials.insert(*id);
                    }
                }
            }
        }
        openings
    }

    /// Uses the rates for claimed deliveries. Answers those that other processes were faster with, taken
    /// out of the list, and when the first of their providers takes a mail again.
    pub(super) async fn take(
        &self,
        claimed: &mut Vec<Delivery>,
        setups: &Setups,
        now: Timestamp,
    ) -> Result<(Vec<MessageId>, Option<Timestamp>), StoreError> {
        let mut wanted: BTreeMap<IntegrationId, usize> = BTreeMap::new();
        for delivery in claimed.iter().filter(|d| setups.contains_key(&d.integration)) {
            *wanted.entry(delivery.integration).or_default() += 1;
        }
        if wanted.is_empty() {
            return Ok((Vec::new(), None));
        }
        let ids: Vec<_> = wanted.keys().copied().collect();
        let (mut taken, mut next) = (HashMap::new(), None);
        self.change(&ids, |gate| {
            let Some(setup) = setups.get(&gate.integration) else { return };
            let wanted = wanted[&gate.integration];
            let got = gate.pace.take(wanted, setup.per_minute, now);
            taken.insert(gate.integration, got);
            if got < wanted {
                next = earlier(next, Some(gate.pace.next(setup.per_minute, now)));
            }
        })
        .await?;
        Ok((drop_over(claimed, &mut taken), next))
    }

    /// Whether a mail may still begin: the circuit may have opened since it was claimed.
    pub(super) async fn admits(&self, id: IntegrationId, now: Timestamp) -> bool {
        let passage = self.circuit_known(id).map_or(Passage::Free, |circuit| circuit.passage(now));
        match passage {
            Passage::Free => true,
            Passage::Barred(_) => false,
            Passage::Trial => {
                let mut may = false;
                let ids = [id];
                let begun = self.change(&ids, |gate| {
                    // Another process may have seen it work, or be trying it.
                    let begin = |circuit: &mut Circuit| {
                        circuit.passage(now) == Passage::Free || circuit.begin_trial(now, &self.policy)
                    };
                    may = gate.circuit.as_mut().is_none_or(begin);
                });
                match begun.await {
                    Ok(()) => may,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "whether the e-mail provider is being tried cannot be told"
                        );
                        false
                    }
                }
            }
        }
    }

    /// Notes that a mail has not reached the provider after all: a trial is still to be made.
    pub(super) async fn note_nothing(&self, id: IntegrationId, now: Timestamp) {
        if self.circuit_known(id).is_some() {
            self.note_change(id, |circuit| {
                if let Some(circuit) = circuit {
                    circuit.note_nothing(now);
                }
            })
            .await;
        }
    }

    /// Notes what an attempt says.
    pub(super) async fn note(&self, id: IntegrationId, version: Timestamp, sign: Sign, now: Timestamp) {
        let known = self.circuit_known(id).filter(|circuit| circuit.version == version);
        match (sign, known) {
            // Providers that work need no circuit.
            (Sign::Works, None) => {}
            (Sign::Works, Some(circuit)) => {
                self.note_change(id, |circuit| *circuit = None).await;
                if circuit.trips > 0 {
                    tracing::info!(integration.id = %id, "the e-mail provider works again");
                }
            }
            (Sign::Fails, Some(circuit))
                if matches!(circuit.passage(now), Passage::Barred(_)) && !is_trial(&circuit) => {}
            (Sign::Fails, _) => {
                let mut tripped = false;
                self.note_change(id, |circuit| {
                    let mut changed =
                        circuit.filter(|c| c.version == version).unwrap_or(Circuit::new(version));
                    let before = changed.trips;
                    changed.note(sign, now, &self.policy);
                    tripped = changed.trips > before;
                    *circuit = Some(changed);
                })
                .await;
                if tripped {
                    tracing::warn!(
                        integration.id = %id,
                        "the e-mail provider fails: it is left alone for a while"
                    );
                }
            }
        }
    }

    /// Changes a circuit; where the others cannot be told, at least here.
    async fn note_change(&self, id: IntegrationId, mut change: impl FnMut(&mut Option<Circuit>) + Send) {
        if let Err(error) = self.change(&[id], |gate| change(&mut gate.circuit)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "other processes do not learn how the e-mail provider does"
            );
            change(&mut self.known().entry(id).or_insert(Gate::unused(id)).circuit);
        }
    }

    /// Changes gates, and knows them from then on. Of processes that do so at once each sees what the
    /// one before it has made.
    async fn change(
        &self,
        ids: &[IntegrationId],
        mut change: impl FnMut(&mut Gate) + Send,
    ) -> Result<(), StoreError> {
        let Some(broker) = &self.common else {
            let mut known = self.known();
            for id in ids {
                change(known.entry(*id).or_insert(Gate::unused(*id)));
            }
            return Ok(());
        };
        let mut system = broker.write_system(Purpose::delivery("deliveries.gates")).await?;
        let mut gates = system.gates_for_update(ids).await?;
        for gate in &mut gates {
            let before = *gate;
            change(gate);
            if *gate != before {
                system.update_gate(gate).await?;
            }
        }
        system.commit().await?;
        self.known().extend(gates.into_iter().map(|gate| (gate.integration, gate)));
        Ok(())
    }

    fn circuit_known(&self, id: IntegrationId) -> Option<Circuit> {
        self.known().get(&id).and_then(|gate| gate.circuit)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IntegrationId, Gate>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Openings {
    fn close(&mut self, id: IntegrationId, until: Timestamp) {
        self.closed.push(id);
        self.next = earlier(self.next, Some(until));
    }
}

/// The circuit, unless the provider was changed since: a change is a reason to try anew.
fn circuit(gate: &Gate, version: Timestamp) -> Option<Circuit> {
    gate.circuit.filter(|circuit| circuit.version == version)
}

fn is_trial(circuit: &Circuit) -> bool {
    matches!(circuit.state, domain::circuits::CircuitState::HalfOpen { .. })
}

/// Keeps as many deliveries of each provider as it takes; answers the others.
fn drop_over(claimed: &mut Vec<Delivery>, free: &mut HashMap<IntegrationId, usize>) -> Vec<MessageId> {
    let mut over = Vec::new();
    claimed.retain(|delivery| match free.get_mut(&delivery.integration) {
        None => true,
        Some(0) => {
            over.push(delivery.message.clone());
            false
        }
        Some(free) => {
            *free -= 1;
            true
        }
    });
    over
}
