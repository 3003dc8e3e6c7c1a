//! Signing in, and what a token is good for.

use crate::installation::{House, ROOT, acme, email};
use application::{
    access::{AccessError, Denied},
    failure::{Failure as _, FailureKind},
    platform::Environment,
    ports::{Clock as _, ConnectionBroker as _, Purpose, SendError, Vault as _},
    users::UsersError,
};
use chrono::Duration;
use domain::{
    ids::WorkspaceId,
    permissions::Permissions,
    users::{Session, UserKind},
};

const CODE: &str = "123456";

#[tokio::test]
async fn a_mailed_code_opens_a_session() {
    let house = House::new().await;
    assert_eq!(house.asks_for_code(ROOT).await, None);
    let mail = house.mailer.sent().pop().unwrap();
    assert!(mail.text.contains(CODE));
    assert_eq!(mail.to.address, email(ROOT));
    let signed_in = house.users.verify_code(&email(ROOT), CODE).await.unwrap();
    let identity = house.identity(&signed_in).await;
    assert!(identity.is_root);
    assert_eq!(house.users.me(&identity).await.unwrap().user.email, ROOT);
}

#[tokio::test]
async fn production_never_answers_the_code_and_development_does() {
    let house = House::with(|i| i.environment = Environment::Development).await;
    let code = house.asks_for_code(ROOT).await.unwrap();
    assert_eq!(code.expose(), CODE);
    assert_eq!(house.mailer.sent().len(), 1);
}

#[tokio::test]
async fn an_unknown_address_gets_the_same_answer_and_no_mail() {
    let house = House::new().await;
    assert_eq!(house.asks_for_code("nobody@shop.example").await, None);
    assert!(house.mailer.sent().is_empty());
}

#[tokio::test]
async fn a_mail_that_is_not_taken_changes_nothing() {
    let house = House::new().await;
    house.mailer.fail_next([SendError::Refused { reply: "550 unknown".into() }]);
    assert_eq!(house.asks_for_code(ROOT).await, None);
    house.users.verify_code(&email(ROOT), CODE).await.unwrap();
}

#[tokio::test]
async fn a_code_is_good_once() {
    let house = House::new().await;
    house.users.request_code(&email(ROOT)).await.unwrap();
    house.users.verify_code(&email(ROOT), CODE).await.unwrap();
    let again = house.users.verify_code(&email(ROOT), CODE).await.unwrap_err();
    assert!(matches!(again, UsersError::WrongCode));
}

#[tokio::test]
async fn a_code_ends_after_fifteen_minutes() {
    let house = House::new().await;
    house.users.request_code(&email(ROOT)).await.unwrap();
    house.clock.advance(Session::CODE_LIFETIME);
    let late = house.users.verify_code(&email(ROOT), CODE).await.unwrap_err();
    assert!(matches!(late, UsersError::WrongCode));
}

#[tokio::test]
async fn a_wrong_code_and_an_unknown_address_are_told_alike() {
    let house = House::new().await;
    house.users.request_code(&email(ROOT)).await.unwrap();
    let wrong = house.users.verify_code(&email(ROOT), "000000").await.unwrap_err();
    let unknown = house.users.verify_code(&email("nobody@shop.example"), CODE).await.unwrap_err();
    assert_eq!(wrong.kind(), FailureKind::Unauthenticated);
    assert_eq!(wrong.to_string(), unknown.to_string());
}

#[tokio::test]
async fn the_sixth_request_and_the_sixth_guess_are_refused() {
    let house = House::new().await;
    for _ in 0..5 {
        house.users.request_code(&email(ROOT)).await.unwrap();
        house.users.verify_code(&email(ROOT), "000000").await.unwrap_err();
    }
    let request = house.users.request_code(&email(ROOT)).await.unwrap_err();
    let guess = house.users.verify_code(&email(ROOT), CODE).await.unwrap_err();
    for error in [request, guess] {
        assert_eq!(error.kind(), FailureKind::RateLimited(std::time::Duration::from_mins(5)), "{error}");
    }
}

#[tokio::test]
async fn root_signs_in_with_the_secret_key() {
    let house = House::new().await;
    let signed_in = house.root_signs_in().await;
    assert!(house.identity(&signed_in).await.is_root);
}

#[tokio::test]
async fn a_root_signature_is_fresh_right_and_used_once() {
    let house = House::new().await;
    let now = house.clock.now().timestamp();
    let sign = |email: &str, at: i64| house.vault.hash(&format!("{email}:{at}"));
    let good = sign(ROOT, now);
    let users = &house.users;
    users.root_sign_in(ROOT, now, &good).await.unwrap();
    for (address, at, signature) in [
        (ROOT, now, good),
        (ROOT, now - 61, sign(ROOT, now - 61)),
        (ROOT, now + 61, sign(ROOT, now + 61)),
        (ROOT, now + 1, sign(ROOT, now)),
        ("other@host.example", now, sign("other@host.example", now)),
    ] {
        let refused = users.root_sign_in(address, at, &signature).await.unwrap_err();
        assert!(matches!(refused, UsersError::WrongSignature), "{address} {at}");
    }
}

#[tokio::test]
async fn signing_out_ends_every_session_at_once() {
    let house = House::new().await;
    let (first, second) = (house.root_signs_in().await, house.root_signs_in().await);
    house.users.logout(&house.identity(&first).await).await.unwrap();
    for token in [first.token, second.token] {
        let refused = house.access.authenticate(token.expose()).await.unwrap_err();
        assert_eq!(refused.to_string(), "Session expired");
        assert_eq!(refused.kind(), FailureKind::Unauthenticated);
    }
}

#[tokio::test]
async fn an_administrator_watches_for_a_minute_without_being_looked_up() {
    let house = House::new().await;
    let signed_in = house.root_signs_in().await;
    let token = signed_in.token.expose();
    let root = house.access.authenticate_watcher(token).await.unwrap();
    house.users.logout(&root).await.unwrap();
    house.clock.advance(Duration::seconds(59));
    assert_eq!(house.access.authenticate_watcher(token).await.unwrap(), root);
    house.clock.advance(Duration::seconds(1));
    assert!(matches!(house.access.authenticate_watcher(token).await, Err(AccessError::SessionExpired)));
}

#[tokio::test]
async fn nobody_else_watches_with_an_ended_session() {
    let house = House::new().await;
    house.with_workspace().await;
    let signed_in = house.joins("member@shop.example", Permissions::default()).await;
    let token = signed_in.token.expose();
    let member = house.access.authenticate_watcher(token).await.unwrap();
    house.users.logout(&member).await.unwrap();
    assert!(house.access.authenticate_watcher(token).await.is_err());
}

#[tokio::test]
async fn a_session_ends_after_thirty_days() {
    let house = House::new().await;
    let signed_in = house.root_signs_in().await;
    house.clock.set(signed_in.expires_at - Duration::seconds(1));
    assert!(house.access.authenticate(signed_in.token.expose()).await.is_ok());
    house.clock.set(signed_in.expires_at);
    let refused = house.access.authenticate(signed_in.token.expose()).await.unwrap_err();
    assert!(matches!(refused, AccessError::SessionExpired));
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let house = House::new().await;
    let refused = house.access.authenticate("abc").await.unwrap_err();
    assert!(matches!(refused, AccessError::BadToken));
}

#[tokio::test]
async fn the_token_of_an_unopened_session_is_not_good() {
    let house = House::new().await;
    house.users.request_code(&email(ROOT)).await.unwrap();
    let mut store = house.broker.read_system(Purpose::interactive("test")).await.unwrap();
    let user = store.user_by_email(ROOT).await.unwrap().unwrap();
    let waiting = store.sessions_awaiting_code(user.id).await.unwrap().remove(0);
    drop(store);
    let forged = application::ports::Claims::Session {
        user: user.id,
        session: waiting.id,
        email: ROOT.into(),
        expires_at: waiting.expires_at,
    };
    let token = house.platform.tokens.issue(&forged, house.clock.now());
    assert!(house.access.authenticate(token.expose()).await.is_err());
}

#[tokio::test]
async fn a_language_is_one_of_the_consoles() {
    let house = House::new().await;
    let root = house.root().await;
    house.users.update_language(&root, "fr").await.unwrap();
    assert_eq!(house.users.me(&root).await.unwrap().user.language, "fr");
    let refused = house.users.update_language(&root, "nl").await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Invalid);
    house.asks_for_code(ROOT).await;
    assert!(house.mailer.sent().pop().unwrap().subject.contains("connexion"));
}

#[tokio::test]
async fn the_root_user_is_made_once() {
    let house = House::new().await;
    house.users.ensure_root_user().await.unwrap();
    let mut store = house.broker.read_system(Purpose::interactive("test")).await.unwrap();
    let user = store.user_by_email(ROOT).await.unwrap().unwrap();
    assert_eq!((user.kind, user.name.as_deref()), (UserKind::Person, Some("Root User")));
}

#[tokio::test]
async fn a_stranger_cannot_tell_whether_a_workspace_exists() {
    let house = House::new().await;
    house.with_workspace().await;
    let signed_in = house.joins("ana@shop.example", Permissions::all()).await;
    let ana = house.identity(&signed_in).await;
    let owner = house.owner().await;
    house.members.remove(&owner, ana.user).await.unwrap();
    let nowhere = WorkspaceId::parse("nowhere").unwrap();
    for workspace in [acme(), nowhere.clone()] {
        let refused = house.access.enter(&ana, &workspace).await.unwrap_err();
        assert!(matches!(refused, AccessError::Denied(Denied::NotMember)), "{workspace}");
    }
    let told = house.access.enter(&owner.identity, &nowhere).await.unwrap_err();
    assert_eq!(told.kind(), FailureKind::NotFound);
}
