//! Accounts and sessions of the installation.

use crate::{
    backends::Store,
    cases,
    samples::{acme, at, member, session_id, user, user_id},
};
use application::ports::{StoreError, SystemUnitOfWork};
use domain::users::{Session, SignInCode, User, UserKind};

cases![
    an_unknown_account_is_none,
    an_account_is_read_as_it_was_stored,
    an_account_is_found_by_exactly_its_address,
    an_account_address_is_taken_once,
    an_update_keeps_the_moment_of_creation,
    an_unknown_account_is_not_updated,
    a_deleted_account_takes_its_sessions_and_memberships_along,
    an_unknown_account_is_not_deleted,
    a_session_is_read_as_it_was_stored,
    sessions_awaiting_a_code_come_newest_first,
    a_session_is_opened_once,
    a_session_without_a_code_is_not_opened,
    of_two_attempts_at_once_one_opens_the_session,
    all_sessions_of_a_user_are_removed,
    sessions_that_ended_are_purged,
];

async fn system_with_ana(store: &Store) -> Box<dyn SystemUnitOfWork> {
    let mut system = store.write_system().await;
    system.insert_user(&user(1, "ana@shop.example")).await.unwrap();
    system
}

fn waiting(number: u32, asked: i64) -> Session {
    Session::awaiting_code(session_id(number), user_id(1), "c0de".to_owned(), at(asked))
}

fn open(number: u32, user: u32) -> Session {
    Session::open(session_id(number), user_id(user), at(0))
}

async fn an_unknown_account_is_none(store: &Store) {
    let mut system = store.read_system().await;
    assert_eq!(system.user(user_id(1)).await.unwrap(), None);
    assert_eq!(system.user_by_email("ana@shop.example").await.unwrap(), None);
    assert_eq!(system.session(session_id(1)).await.unwrap(), None);
}

async fn an_account_is_read_as_it_was_stored(store: &Store) {
    let key = User {
        kind: UserKind::ApiKey,
        name: None,
        token_hash: Some("f00d".to_owned()),
        language: "pt-BR".to_owned(),
        ..user(2, "key@localhost:8080")
    };
    let mut system = system_with_ana(store).await;
    system.insert_user(&key).await.unwrap();
    system.commit().await.unwrap();
    let mut system = store.read_system().await;
    assert_eq!(system.user(user_id(1)).await.unwrap(), Some(user(1, "ana@shop.example")));
    assert_eq!(system.user(user_id(2)).await.unwrap(), Some(key));
}

async fn an_account_is_found_by_exactly_its_address(store: &Store) {
    let mut system = system_with_ana(store).await;
    let found = system.user_by_email("ana@shop.example").await.unwrap();
    assert_eq!(found.map(|u| u.id), Some(user_id(1)));
    for other in ["Ana@shop.example", "ana@shop", "%", "ana_shop.example"] {
        assert_eq!(system.user_by_email(other).await.unwrap(), None, "{other}");
    }
}

async fn an_account_address_is_taken_once(store: &Store) {
    let mut system = system_with_ana(store).await;
    let again = system.insert_user(&user(2, "ana@shop.example")).await;
    assert!(matches!(again, Err(StoreError::Duplicate)));
}

async fn an_update_keeps_the_moment_of_creation(store: &Store) {
    let mut system = system_with_ana(store).await;
    let changed = User {
        name: None,
        language: "fr".to_owned(),
        created_at: at(70),
        updated_at: at(80),
        ..user(1, "anna@shop.example")
    };
    assert!(system.update_user(&changed).await.unwrap());
    assert_eq!(system.user(user_id(1)).await.unwrap(), Some(User { created_at: at(0), ..changed }));
}

async fn an_unknown_account_is_not_updated(store: &Store) {
    assert!(!store.write_system().await.update_user(&user(1, "ana@shop.example")).await.unwrap());
}

async fn a_deleted_account_takes_its_sessions_and_memberships_along(store: &Store) {
    let mut system = system_with_ana(store).await;
    system.insert_user(&user(2, "ben@shop.example")).await.unwrap();
    for number in [1, 2] {
        system.insert_session(&open(number, number)).await.unwrap();
        system.insert_member(&member("acme", number, 0)).await.unwrap();
    }
    assert!(system.delete_user(user_id(1)).await.unwrap());
    assert_eq!(system.user(user_id(1)).await.unwrap(), None);
    assert_eq!(system.session(session_id(1)).await.unwrap(), None);
    assert_eq!(system.member(&acme(), user_id(1)).await.unwrap(), None);
    assert!(system.session(session_id(2)).await.unwrap().is_some());
    assert!(system.member(&acme(), user_id(2)).await.unwrap().is_some());
}

async fn an_unknown_account_is_not_deleted(store: &Store) {
    assert!(!store.write_system().await.delete_user(user_id(1)).await.unwrap());
}

async fn a_session_is_read_as_it_was_stored(store: &Store) {
    let mut system = system_with_ana(store).await;
    for session in [&waiting(1, 5), &open(2, 1)] {
        system.insert_session(session).await.unwrap();
    }
    system.commit().await.unwrap();
    let mut system = store.read_system().await;
    assert_eq!(system.session(session_id(1)).await.unwrap(), Some(waiting(1, 5)));
    assert_eq!(system.session(session_id(2)).await.unwrap(), Some(open(2, 1)));
}

async fn sessions_awaiting_a_code_come_newest_first(store: &Store) {
    let mut system = system_with_ana(store).await;
    system.insert_user(&user(2, "ben@shop.example")).await.unwrap();
    let other = Session { user: user_id(2), ..waiting(5, 9) };
    for session in [waiting(1, 2), waiting(2, 3), waiting(3, 1), open(4, 1), other] {
        system.insert_session(&session).await.unwrap();
    }
    let found = system.sessions_awaiting_code(user_id(1)).await.unwrap();
    assert_eq!(found, [waiting(2, 3), waiting(1, 2), waiting(3, 1)]);
}

async fn a_session_is_opened_once(store: &Store) {
    let mut system = system_with_ana(store).await;
    system.insert_session(&waiting(1, 0)).await.unwrap();
    assert!(system.open_session(session_id(1)).await.unwrap());
    assert!(!system.open_session(session_id(1)).await.unwrap());
    let opened = system.session(session_id(1)).await.unwrap();
    assert_eq!(opened, Some(Session { code: None, ..waiting(1, 0) }));
}

async fn a_session_without_a_code_is_not_opened(store: &Store) {
    let mut system = system_with_ana(store).await;
    system.insert_session(&open(1, 1)).await.unwrap();
    assert!(!system.open_session(session_id(1)).await.unwrap());
    assert!(!system.open_session(session_id(9)).await.unwrap());
}

async fn of_two_attempts_at_once_one_opens_the_session(store: &Store) {
    let mut system = system_with_ana(store).await;
    system.insert_session(&waiting(1, 0)).await.unwrap();
    system.commit().await.unwrap();
    let attempt = |store: Store| async move {
        let mut system = store.write_system().await;
        let opened = system.open_session(session_id(1)).await.unwrap();
        tokio::task::yield_now().await;
        system.commit().await.unwrap();
        opened
    };
    let [one, two] = [0; 2].map(|_| tokio::spawn(attempt(store.clone())));
    assert_ne!(one.await.unwrap(), two.await.unwrap());
}

async fn all_sessions_of_a_user_are_removed(store: &Store) {
    let mut system = system_with_ana(store).await;
    system.insert_user(&user(2, "ben@shop.example")).await.unwrap();
    for session in [waiting(1, 0), open(2, 1), open(3, 2)] {
        system.insert_session(&session).await.unwrap();
    }
    system.delete_sessions(user_id(1)).await.unwrap();
    assert_eq!(system.session(session_id(1)).await.unwrap(), None);
    assert_eq!(system.session(session_id(2)).await.unwrap(), None);
    assert!(system.session(session_id(3)).await.unwrap().is_some());
}

async fn sessions_that_ended_are_purged(store: &Store) {
    let mut system = system_with_ana(store).await;
    let ending = |number, seconds| Session { expires_at: at(seconds), ..open(number, 1) };
    let coded = |number, seconds| Session {
        code: Some(SignInCode { hash: "c0de".to_owned(), expires_at: at(seconds) }),
        ..ending(number, 500)
    };
    for session in [ending(1, 99), ending(2, 100), ending(3, 101), coded(4, 100), coded(5, 101)] {
        system.insert_session(&session).await.unwrap();
    }
    assert_eq!(system.purge_sessions(at(100)).await.unwrap(), 3);
    assert_eq!(system.purge_sessions(at(100)).await.unwrap(), 0);
    for (number, is_there) in [(1, false), (2, false), (3, true), (4, false), (5, true)] {
        assert_eq!(system.session(session_id(number)).await.unwrap().is_some(), is_there, "{number}");
    }
}
