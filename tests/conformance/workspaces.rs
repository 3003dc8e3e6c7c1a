//! The directory of workspaces.

use crate::{
    backends::Store,
    cases,
    samples::{
        acme, at, integration, integration_id, invitation, invitation_id, member, session_id, user, user_id,
        workspace,
    },
};
use application::ports::{StoreError, SystemUnitOfWork, WorkItem, WorkKind};
use domain::{
    languages::Language,
    secret::Sealed,
    timezones::Timezone,
    users::{Session, User, UserKind},
    workspaces::{Workspace, WorkspaceSettings, WorkspaceState},
};

cases![
    an_unknown_workspace_is_none,
    a_workspace_is_read_as_it_was_stored,
    a_workspace_identifier_is_taken_once,
    workspaces_of_every_state_come_newest_first,
    a_user_sees_active_workspaces_only,
    an_update_keeps_the_moment_of_creation,
    an_unknown_workspace_is_not_updated,
    a_workspace_is_found_by_its_host,
    a_host_belongs_to_one_workspace,
    a_host_that_is_given_up_is_free,
    a_deleted_workspace_takes_everything_along,
    a_deleted_workspace_leaves_people_and_others_alone,
    an_unknown_workspace_is_not_deleted,
];

fn standing(id: &str, created: i64, state: WorkspaceState) -> Workspace {
    Workspace { state, ..workspace(id, created) }
}

async fn an_unknown_workspace_is_none(store: &Store) {
    let mut system = store.read_system().await;
    assert_eq!(system.workspace(&workspace("other", 0).id).await.unwrap(), None);
    assert_eq!(system.workspaces_of(user_id(1)).await.unwrap(), []);
}

async fn a_workspace_is_read_as_it_was_stored(store: &Store) {
    let french = Language::parse("fr").unwrap();
    let bare = Workspace {
        settings: WorkspaceSettings::new(Timezone::UTC, french.clone(), vec![french]),
        state: WorkspaceState::Creating,
        ..workspace("bare", 7)
    };
    let mut system = store.write_system().await;
    system.insert_workspace(&bare).await.unwrap();
    system.commit().await.unwrap();
    let mut system = store.read_system().await;
    assert_eq!(system.workspace(&bare.id).await.unwrap(), Some(bare));
    assert_eq!(system.workspace(&acme()).await.unwrap(), Some(workspace("acme", 0)));
}

async fn a_workspace_identifier_is_taken_once(store: &Store) {
    let again = store.write_system().await.insert_workspace(&workspace("acme", 5)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

/// Beside the workspace that every store has, made at 0.
async fn system_with_three(store: &Store) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    for workspace in [
        standing("b", 2, WorkspaceState::Creating),
        standing("c", 3, WorkspaceState::Active),
        standing("d", 1, WorkspaceState::Deleting),
    ] {
        system.insert_workspace(&workspace).await.unwrap();
    }
    system
}

async fn workspaces_of_every_state_come_newest_first(store: &Store) {
    let mut system = system_with_three(store).await;
    let ids: Vec<_> = system.workspaces().await.unwrap().into_iter().map(|w| w.id.to_string()).collect();
    assert_eq!(ids, ["c", "b", "d", "acme"]);
}

async fn a_user_sees_active_workspaces_only(store: &Store) {
    let mut system = system_with_three(store).await;
    system.insert_user(&user(1, "ana@shop.example")).await.unwrap();
    system.insert_user(&user(2, "ben@shop.example")).await.unwrap();
    for id in ["acme", "b", "c", "d"] {
        system.insert_member(&member(id, 1, 0)).await.unwrap();
    }
    system.insert_member(&member("acme", 2, 0)).await.unwrap();
    for (number, expected) in [(1, vec!["c", "acme"]), (2, vec!["acme"]), (3, vec![])] {
        let found = system.workspaces_of(user_id(number)).await.unwrap();
        assert_eq!(found.iter().map(|w| w.id.as_str()).collect::<Vec<_>>(), expected);
    }
}

async fn an_update_keeps_the_moment_of_creation(store: &Store) {
    let mut changed = Workspace {
        name: "Renamed".to_owned(),
        secret_key: Sealed::new("beef"),
        state: WorkspaceState::Deleting,
        created_at: at(70),
        updated_at: at(80),
        ..workspace("acme", 0)
    };
    changed.settings.email_tracking_enabled = false;
    changed.settings.website_url = Some("https://acme.example".to_owned());
    let mut system = store.write_system().await;
    assert!(system.update_workspace(&changed).await.unwrap());
    let stored = system.workspace(&acme()).await.unwrap();
    assert_eq!(stored, Some(Workspace { created_at: at(0), ..changed }));
}

async fn an_unknown_workspace_is_not_updated(store: &Store) {
    assert!(!store.write_system().await.update_workspace(&workspace("other", 0)).await.unwrap());
}

/// Two workspaces, each with a person, an API key with a session, an invitation, an integration and
/// due work. Ana is in both.
async fn furnished(store: &Store) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    system.insert_workspace(&workspace("other", 1)).await.unwrap();
    system.insert_user(&user(1, "ana@shop.example")).await.unwrap();
    for (number, id) in [(2, "acme"), (3, "other")] {
        let key = User { kind: UserKind::ApiKey, ..user(number, &format!("key-{id}@localhost")) };
        system.insert_user(&key).await.unwrap();
        let session = Session::open(session_id(number), key.id, at(0));
        system.insert_session(&session).await.unwrap();
        system.insert_member(&member(id, 1, 0)).await.unwrap();
        system.insert_member(&member(id, number, 0)).await.unwrap();
        system.put_invitation(&invitation(number, id, "dan", 0)).await.unwrap();
        system.insert_integration(&integration(number, id, 0)).await.unwrap();
        let item = WorkItem {
            workspace: workspace(id, 0).id,
            kind: WorkKind::Deliveries,
            due_at: at(i64::from(number)),
            promised_at: at(0),
        };
        system.promise_work(&item).await.unwrap();
    }
    system
}

async fn a_deleted_workspace_takes_everything_along(store: &Store) {
    let mut system = furnished(store).await;
    assert!(system.delete_workspace(&acme()).await.unwrap());
    system.commit().await.unwrap();
    let mut system = store.read_system().await;
    assert_eq!(system.workspace(&acme()).await.unwrap(), None);
    assert_eq!(system.member(&acme(), user_id(1)).await.unwrap(), None);
    assert_eq!(system.user(user_id(2)).await.unwrap(), None);
    assert_eq!(system.invitation(invitation_id(2)).await.unwrap(), None);
    assert_eq!(system.integration(&acme(), integration_id(2)).await.unwrap(), None);
    assert_eq!(system.next_work_due().await.unwrap(), Some(at(3)));
}

async fn a_deleted_workspace_leaves_people_and_others_alone(store: &Store) {
    let mut system = furnished(store).await;
    system.delete_workspace(&acme()).await.unwrap();
    let other = workspace("other", 1).id;
    assert!(system.user(user_id(1)).await.unwrap().is_some());
    assert!(system.user(user_id(3)).await.unwrap().is_some());
    assert!(system.session(session_id(3)).await.unwrap().is_some());
    assert_eq!(system.members(&other).await.unwrap().len(), 2);
    assert_eq!(system.invitations(&other).await.unwrap().len(), 1);
    assert_eq!(system.integrations(&[other]).await.unwrap().len(), 1);
}

async fn an_unknown_workspace_is_not_deleted(store: &Store) {
    assert!(!store.write_system().await.delete_workspace(&workspace("other", 0).id).await.unwrap());
}

fn hosted(id: &str, host: &str) -> Workspace {
    let mut workspace = workspace(id, 1);
    workspace.settings.custom_endpoint_url = Some(format!("https://{host}"));
    workspace
}

async fn stored(store: &Store, workspace: &Workspace) {
    let mut system = store.write_system().await;
    system.insert_workspace(workspace).await.unwrap();
    system.commit().await.unwrap();
}

async fn a_workspace_is_found_by_its_host(store: &Store) {
    let news = hosted("news", "News.Shop.example:8443");
    stored(store, &news).await;
    let mut system = store.read_system().await;
    assert_eq!(system.workspace_by_host("news.shop.example").await.unwrap(), Some(news));
    for other in ["shop.example", "NEWS.shop.example", "", "a\0b"] {
        assert_eq!(system.workspace_by_host(other).await.unwrap(), None, "{other:?}");
    }
}

async fn a_host_belongs_to_one_workspace(store: &Store) {
    stored(store, &hosted("news", "news.shop.example")).await;
    let again = store.write_system().await.insert_workspace(&hosted("blog", "news.shop.example")).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
    let mut moved = workspace("acme", 0);
    moved.settings.custom_endpoint_url = Some("http://NEWS.shop.example".into());
    let moved = store.write_system().await.update_workspace(&moved).await;
    assert!(matches!(moved, Err(StoreError::Duplicate)));
}

async fn a_host_that_is_given_up_is_free(store: &Store) {
    stored(store, &hosted("news", "news.shop.example")).await;
    let mut system = store.write_system().await;
    system.update_workspace(&workspace("news", 1)).await.unwrap();
    system.insert_workspace(&hosted("blog", "news.shop.example")).await.unwrap();
    system.commit().await.unwrap();
    let found = store.read_system().await.workspace_by_host("news.shop.example").await.unwrap();
    assert_eq!(found.map(|w| w.id.to_string()).as_deref(), Some("blog"));
}
