//! Gates before providers.

use crate::{entity::gate, session::Session};
use application::ports::{Gate, GateStore, StoreError};
use async_trait::async_trait;
use domain::{
    circuits::{Circuit, CircuitState},
    ids::IntegrationId,
    pace::Pace,
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DbBackend, EntityTrait as _, Insert, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};

#[async_trait]
impl GateStore for Session {
    async fn gates(&mut self, integrations: &[IntegrationId]) -> Result<Vec<Gate>, StoreError> {
        self.read_gates(integrations, false).await
    }

    async fn gates_for_update(&mut self, integrations: &[IntegrationId]) -> Result<Vec<Gate>, StoreError> {
        self.read_gates(integrations, true).await
    }

    async fn update_gate(&mut self, gate: &Gate) -> Result<(), StoreError> {
        let update = gate::Entity::update_many()
            .set(changes(gate))
            .filter(gate::Column::IntegrationId.eq(gate.integration.uuid()));
        self.exec(&update.into_query()).await.map(drop)
    }
}

impl Session {
    /// The gate of a new integration.
    pub(super) async fn insert_gate(&mut self, integration: IntegrationId) -> Result<(), StoreError> {
        let mut row = changes(&Gate::unused(integration));
        row.integration_id = Set(integration.uuid());
        self.exec(&Insert::one(row).into_query()).await.map(drop)
    }

    async fn read_gates(&mut self, ids: &[IntegrationId], locked: bool) -> Result<Vec<Gate>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        let mut ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
        // In one order everywhere, so that two units never wait for each other.
        ids.sort_unstable();
        for some in ids.chunks(Self::IDS_PER_STATEMENT) {
            let query = gate::Entity::find()
                .filter(gate::Column::IntegrationId.is_in(some.iter().copied()))
                .order_by_asc(gate::Column::IntegrationId);
            // A unit of work on a file is alone from its beginning.
            let locked = locked && self.backend() != DbBackend::Sqlite;
            let query = if locked { query.lock_exclusive() } else { query };
            found.extend(self.models(query).await?.iter().map(kept));
        }
        Ok(found)
    }
}

fn changes(gate: &Gate) -> gate::ActiveModel {
    let (failures, open_until, on_trial) = match gate.circuit.map(|circuit| circuit.state) {
        None => (0, None, false),
        Some(CircuitState::Closed { failures }) => (failures, None, false),
        Some(CircuitState::Open { until }) => (0, Some(until), false),
        Some(CircuitState::HalfOpen { until }) => (0, Some(until), true),
    };
    gate::ActiveModel {
        integration_id: NotSet,
        full_at: Set(gate.pace.when_full()),
        per_minute: Set(i64::from(gate.pace.per_minute())),
        circuit_version: Set(gate.circuit.map(|circuit| circuit.version)),
        failures: Set(i64::from(failures)),
        trips: Set(gate.circuit.map_or(0, |circuit| i64::from(circuit.trips))),
        open_until: Set(open_until),
        on_trial: Set(on_trial),
    }
}

fn kept(row: &gate::Model) -> Gate {
    let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let state = match row.open_until {
        None => CircuitState::Closed { failures: count(row.failures) },
        Some(until) if row.on_trial => CircuitState::HalfOpen { until },
        Some(until) => CircuitState::Open { until },
    };
    let circuit = |version| Circuit { version, state, trips: count(row.trips) };
    Gate {
        integration: IntegrationId::from_uuid(row.integration_id),
        pace: Pace::full_at(row.full_at, count(row.per_minute)),
        circuit: row.circuit_version.map(circuit),
    }
}
