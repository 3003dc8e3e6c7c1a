//! Gates before providers.

use crate::{
    backends::Store,
    cases,
    samples::{acme, at, integration, integration_id, workspace},
};
use application::ports::{Gate, StoreError, SystemUnitOfWork};
use domain::{
    circuits::{Circuit, CircuitState},
    pace::Pace,
};

cases![
    an_integration_begins_with_an_unused_gate,
    a_gate_is_read_as_it_was_stored,
    only_gates_of_integrations_are_kept,
    a_changed_integration_keeps_its_gate,
    gates_are_changed_one_unit_after_the_other,
];

async fn system(store: &Store) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    system.insert_workspace(&workspace("other", 0)).await.unwrap();
    for integration in [integration(1, "acme", 2), integration(2, "other", 3)] {
        system.insert_integration(&integration).await.unwrap();
    }
    system
}

fn gate(number: u32, seconds: i64, state: Option<CircuitState>) -> Gate {
    let circuit = state.map(|state| Circuit { version: at(3), state, trips: 2 });
    Gate { integration: integration_id(number), pace: Pace::full_at(at(seconds), 60), circuit }
}

async fn an_integration_begins_with_an_unused_gate(store: &Store) {
    let mut system = system(store).await;
    let gates = system.gates(&[integration_id(1), integration_id(9)]).await.unwrap();
    assert_eq!(gates, [Gate::unused(integration_id(1))]);
}

async fn a_gate_is_read_as_it_was_stored(store: &Store) {
    let mut system = system(store).await;
    let states = [
        None,
        Some(CircuitState::Closed { failures: 3 }),
        Some(CircuitState::Open { until: at(70) }),
        Some(CircuitState::HalfOpen { until: at(80) }),
        None,
    ];
    for state in states {
        let changed = gate(1, 5, state);
        system.update_gate(&changed).await.unwrap();
        assert_eq!(system.gates_for_update(&[integration_id(1)]).await.unwrap(), [changed]);
    }
    assert_eq!(system.gates(&[integration_id(2)]).await.unwrap(), [Gate::unused(integration_id(2))]);
}

async fn only_gates_of_integrations_are_kept(store: &Store) {
    let mut system = system(store).await;
    system.update_gate(&gate(9, 5, None)).await.unwrap();
    assert!(system.delete_integration(&acme(), integration_id(1)).await.unwrap());
    assert!(system.delete_workspace(&workspace("other", 0).id).await.unwrap());
    assert_eq!(system.gates(&[1, 2, 9].map(integration_id)).await.unwrap(), []);
}

async fn a_changed_integration_keeps_its_gate(store: &Store) {
    let mut system = system(store).await;
    let used = gate(1, 5, Some(CircuitState::Open { until: at(70) }));
    system.update_gate(&used).await.unwrap();
    system.update_integration(&integration(1, "acme", 2)).await.unwrap();
    assert_eq!(system.gates(&[integration_id(1)]).await.unwrap(), [used]);
}

async fn gates_are_changed_one_unit_after_the_other(store: &Store) {
    system(store).await.commit().await.unwrap();
    let take = async |store: Store| -> Result<usize, StoreError> {
        let mut system = store.write_system().await;
        let mut gate = system.gates_for_update(&[integration_id(1)]).await?.remove(0);
        let taken = gate.pace.take(1, 300, at(0));
        system.update_gate(&gate).await?;
        system.commit().await?;
        Ok(taken)
    };
    let all: Vec<_> = (0..8).map(|_| tokio::spawn(take(store.clone()))).collect();
    let mut taken = 0;
    for one in all {
        taken += one.await.unwrap().unwrap();
    }
    assert_eq!(taken, 5, "of five that there were");
}
