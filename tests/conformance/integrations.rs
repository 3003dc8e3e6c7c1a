//! Integrations of workspaces.

use crate::{
    backends::Store,
    cases,
    samples::{acme, at, integration, integration_id, workspace},
};
use application::ports::SystemUnitOfWork;
use domain::integrations::Integration;

cases![
    an_integration_is_read_as_it_was_stored,
    an_integration_belongs_to_its_workspace,
    integrations_of_the_given_workspaces_come_oldest_first,
    an_update_keeps_the_moment_of_creation,
    an_unknown_integration_is_not_updated,
    an_integration_is_deleted_once,
    an_integration_is_not_deleted_from_elsewhere,
];

async fn system(store: &Store) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    system.insert_workspace(&workspace("other", 0)).await.unwrap();
    for integration in [integration(1, "acme", 2), integration(2, "other", 3), integration(3, "acme", 1)] {
        system.insert_integration(&integration).await.unwrap();
    }
    system
}

async fn an_integration_is_read_as_it_was_stored(store: &Store) {
    system(store).await.commit().await.unwrap();
    let stored = store.read_system().await.integration(&acme(), integration_id(1)).await.unwrap();
    assert_eq!(stored, Some(integration(1, "acme", 2)));
}

async fn an_integration_belongs_to_its_workspace(store: &Store) {
    let mut system = system(store).await;
    assert_eq!(system.integration(&acme(), integration_id(2)).await.unwrap(), None);
    assert_eq!(system.integration(&acme(), integration_id(9)).await.unwrap(), None);
}

async fn integrations_of_the_given_workspaces_come_oldest_first(store: &Store) {
    let mut system = system(store).await;
    let other = workspace("other", 0).id;
    let of_acme = system.integrations(&[acme()]).await.unwrap();
    assert_eq!(of_acme, [integration(3, "acme", 1), integration(1, "acme", 2)]);
    let ids: Vec<_> =
        system.integrations(&[other, acme()]).await.unwrap().into_iter().map(|i| i.id).collect();
    assert_eq!(ids, [3, 1, 2].map(integration_id));
    assert_eq!(system.integrations(&[]).await.unwrap(), []);
}

async fn an_update_keeps_the_moment_of_creation(store: &Store) {
    let mut system = system(store).await;
    let mut changed = Integration {
        name: "Renamed".to_owned(),
        created_at: at(70),
        updated_at: at(80),
        ..integration(1, "acme", 2)
    };
    changed.provider.rate_limit_per_minute = 600;
    assert!(system.update_integration(&changed).await.unwrap());
    let stored = system.integration(&acme(), integration_id(1)).await.unwrap();
    assert_eq!(stored, Some(Integration { created_at: at(2), ..changed }));
}

async fn an_unknown_integration_is_not_updated(store: &Store) {
    let mut system = system(store).await;
    assert!(!system.update_integration(&integration(9, "acme", 0)).await.unwrap());
    assert!(!system.update_integration(&integration(2, "acme", 0)).await.unwrap());
}

async fn an_integration_is_deleted_once(store: &Store) {
    let mut system = system(store).await;
    assert!(system.delete_integration(&acme(), integration_id(1)).await.unwrap());
    assert!(!system.delete_integration(&acme(), integration_id(1)).await.unwrap());
    assert_eq!(system.integration(&acme(), integration_id(1)).await.unwrap(), None);
}

async fn an_integration_is_not_deleted_from_elsewhere(store: &Store) {
    let mut system = system(store).await;
    assert!(!system.delete_integration(&acme(), integration_id(2)).await.unwrap());
    let other = workspace("other", 0).id;
    assert!(system.integration(&other, integration_id(2)).await.unwrap().is_some());
}
