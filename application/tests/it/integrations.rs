//! E-mail providers of a workspace.

use crate::installation::{House, acme, draft, email};
use application::{
    access::Denied,
    failure::{Failure as _, FailureKind},
    integrations::{DkimDraft, IntegrationDraft, IntegrationsError, SenderDraft},
    platform::Environment,
    ports::{ConnectionBroker as _, MailRoute, Purpose, SendError, Vault as _},
};
use domain::{
    ids::IntegrationId,
    integrations::{
        Integration, MailjetSettings, ProviderSettings, SmtpSecurity, SmtpSettings, SparkpostSettings,
    },
    mail_name::MailName,
    permissions::{Permission, Permissions, Resource},
    secret::{Sealed, Secret},
};
use memory::SequentialIds;

fn relay() -> IntegrationDraft {
    IntegrationDraft {
        name: "Relay".into(),
        settings: ProviderSettings::Smtp(SmtpSettings {
            host: "mx.acme.example".into(),
            port: 587,
            security: SmtpSecurity::StartTls,
            ehlo_hostname: None,
            username: Some("acme".into()),
            password: Some(Secret::new("hunter2")),
        }),
        senders: vec![SenderDraft {
            id: None,
            email: email("news@acme.example"),
            name: MailName::parse("Acme").unwrap(),
            is_default: true,
            dkim: None,
        }],
        rate_limit_per_minute: 300,
    }
}

fn with_smtp(change: impl FnOnce(&mut SmtpSettings<Secret>)) -> IntegrationDraft {
    let mut draft = relay();
    let ProviderSettings::Smtp(smtp) = &mut draft.settings else { unreachable!("the relay is SMTP") };
    change(smtp);
    draft
}

async fn stored(house: &House, id: IntegrationId) -> Option<Integration> {
    let mut store = house.broker.read_system(Purpose::interactive("test")).await.unwrap();
    store.integration(&acme(), id).await.unwrap()
}

fn password(integration: &Integration) -> Option<&Sealed> {
    integration.provider.settings.secret("password")
}

#[tokio::test]
async fn secrets_are_sealed_and_senders_get_identifiers() {
    let house = House::new().await;
    house.with_workspace().await;
    let made = house.integrations.create(&house.owner().await, relay()).await.unwrap();
    let kept = stored(&house, made.id).await.unwrap();
    let sealed = password(&kept).unwrap();
    assert_eq!(house.vault.open(sealed).unwrap().expose(), "hunter2");
    assert_ne!(sealed.as_str(), "hunter2");
    assert_eq!(kept.provider.senders.len(), 1);
    assert_eq!(kept, made);
}

#[tokio::test]
async fn an_update_without_a_secret_keeps_the_stored_one() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let made = house.integrations.create(&owner, relay()).await.unwrap();
    for absent in [None, Some(Secret::new(""))] {
        let change = with_smtp(|smtp| {
            smtp.password = absent;
            smtp.port = 2525;
        });
        let updated = house.integrations.update(&owner, made.id, change).await.unwrap();
        assert_eq!(password(&updated), password(&made));
    }
    let change = with_smtp(|smtp| smtp.password = Some(Secret::new("new")));
    let updated = house.integrations.update(&owner, made.id, change).await.unwrap();
    assert_eq!(house.vault.open(password(&updated).unwrap()).unwrap().expose(), "new");
}

#[tokio::test]
async fn without_a_user_name_no_password_is_kept() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let made = house.integrations.create(&owner, relay()).await.unwrap();
    let change = with_smtp(|smtp| {
        smtp.username = None;
        smtp.password = None;
    });
    let updated = house.integrations.update(&owner, made.id, change).await.unwrap();
    assert_eq!(password(&updated), None);
}

#[tokio::test]
async fn a_private_mail_server_is_for_development_only() {
    for (environment, allowed) in [(Environment::Production, false), (Environment::Development, true)] {
        let house = House::with(|i| i.environment = environment).await;
        house.with_workspace().await;
        let owner = house.owner().await;
        for host in ["127.0.0.1", "localhost", "10.0.0.8", "[::1]", "2130706433"] {
            let made = house.integrations.create(&owner, with_smtp(|s| s.host = host.into())).await;
            assert_eq!(made.is_ok(), allowed, "{host}");
        }
    }
}

#[tokio::test]
async fn every_bad_field_is_reported() {
    let house = House::new().await;
    house.with_workspace().await;
    let mut bad = with_smtp(|smtp| {
        smtp.host = "a b".into();
        smtp.port = 0;
        smtp.password = Some(Secret::new("a\r\nb"));
    });
    bad.name = " ".into();
    bad.senders.clear();
    bad.rate_limit_per_minute = 0;
    let refused = house.integrations.create(&house.owner().await, bad).await.unwrap_err();
    let pointers: Vec<_> = refused.problems().iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/name",
            "/provider/rate_limit_per_minute",
            "/provider/senders",
            "/provider/smtp/host",
            "/provider/smtp/port",
            "/provider/smtp/password"
        ]
    );
}

#[tokio::test]
async fn a_deleted_integration_is_no_provider_any_more() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let made = house.integrations.create(&owner, relay()).await.unwrap();
    let kept = house.integrations.create(&owner, relay()).await.unwrap();
    let mut chosen = draft("Acme");
    chosen.settings.transactional_email_provider_id = Some(made.id);
    chosen.settings.marketing_email_provider_id = Some(kept.id);
    house.workspaces.update(&owner, chosen).await.unwrap();
    house.integrations.delete(&owner, made.id).await.unwrap();
    let view = house.workspaces.get(&owner).await.unwrap();
    assert_eq!(view.workspace.settings.transactional_email_provider_id, None);
    assert_eq!(view.workspace.settings.marketing_email_provider_id, Some(kept.id));
    assert_eq!(view.integrations, [kept]);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_changed() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let nowhere = IntegrationId::from_uuid(SequentialIds::nth(9_999));
    let update = house.integrations.update(&owner, nowhere, relay()).await.unwrap_err();
    let delete = house.integrations.delete(&owner, nowhere).await.unwrap_err();
    for refused in [update, delete] {
        assert_eq!(refused.kind(), FailureKind::NotFound);
    }
}

#[tokio::test]
async fn only_owners_manage_integrations() {
    let house = House::new().await;
    house.with_workspace().await;
    let made = house.integrations.create(&house.owner().await, relay()).await.unwrap();
    let member = house.member(Permissions::all()).await;
    let create = house.integrations.create(&member, relay()).await.unwrap_err();
    let update = house.integrations.update(&member, made.id, relay()).await.unwrap_err();
    let delete = house.integrations.delete(&member, made.id).await.unwrap_err();
    for refused in [create, update, delete] {
        assert!(matches!(refused, IntegrationsError::Denied(Denied::Permission(Permission::Own))));
    }
}

fn mailjet(api_key: &str, secret_key: &str) -> IntegrationDraft {
    let settings = ProviderSettings::Mailjet(MailjetSettings {
        api_key: Secret::new(api_key),
        secret_key: Secret::new(secret_key),
        sandbox_mode: false,
    });
    IntegrationDraft { settings, ..relay() }
}

#[tokio::test]
async fn each_secret_of_a_provider_is_kept_by_itself() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let refused = house.integrations.create(&owner, mailjet("public", "")).await.unwrap_err();
    assert_eq!(refused.problems()[0].pointer, "/provider/mailjet/secret_key");
    let made = house.integrations.create(&owner, mailjet("public", "private")).await.unwrap();
    let updated = house.integrations.update(&owner, made.id, mailjet("other", "")).await.unwrap();
    let open = |field| house.vault.open(updated.provider.settings.secret(field).unwrap()).unwrap();
    assert_eq!((open("api_key").expose(), open("secret_key").expose()), ("other", "private"));
}

#[tokio::test]
async fn an_endpoint_is_a_public_https_address() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let at = |endpoint: &str| {
        let (endpoint, api_key) = (endpoint.to_owned(), Secret::new("k"));
        let sparkpost = SparkpostSettings { endpoint, api_key, sandbox_mode: false };
        IntegrationDraft { settings: ProviderSettings::Sparkpost(sparkpost), ..relay() }
    };
    house.integrations.create(&owner, at("https://api.eu.sparkpost.com")).await.unwrap();
    for endpoint in [
        "",
        "api.sparkpost.com",
        "http://api.sparkpost.com",
        "https://127.0.0.1",
        "https://[::1]",
        "https://2130706433",
        "https://localhost",
        "https://user@api.sparkpost.com",
        "https://api.sparkpost.com?a=b",
        "file:///etc/passwd",
    ] {
        let refused = house.integrations.create(&owner, at(endpoint)).await.unwrap_err();
        assert_eq!(refused.problems()[0].pointer, "/provider/sparkpost/endpoint", "{endpoint}");
    }
}

#[tokio::test]
async fn a_test_sends_from_the_first_sender_and_keeps_nothing() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let before = house.mailer.posted().len();
    house.integrations.test(&owner, email("me@acme.example"), mailjet("a", "b")).await.unwrap().unwrap();
    house.mailer.fail_next([SendError::Provider { reason: "no".into() }]);
    let failed = house.integrations.test(&owner, email("me@acme.example"), relay()).await.unwrap();
    assert!(failed.is_err());
    let posted = house.mailer.posted();
    let first = &posted[before];
    assert_eq!(first.mail.from.address, email("news@acme.example"));
    assert_eq!(first.mail.to.address, email("me@acme.example"));
    let MailRoute::Provider { settings, .. } = &first.route else { panic!("a provider") };
    assert_eq!(settings.secret("secret_key").unwrap().expose(), "b");
    assert!(house.workspaces.get(&owner).await.unwrap().integrations.is_empty());
}

#[tokio::test]
async fn only_who_may_change_the_workspace_tests_a_provider() {
    let house = House::new().await;
    house.with_workspace().await;
    let member = house.member(Permissions::default()).await;
    let refused = house.integrations.test(&member, email("me@acme.example"), relay()).await.unwrap_err();
    let needed = Permission::Write(Resource::Workspace);
    assert!(matches!(refused, IntegrationsError::Denied(Denied::Permission(p)) if p == needed));
    assert!(house.mailer.posted().iter().all(|p| p.mail.to.address != email("me@acme.example")));
}

fn signing(change: impl FnOnce(&mut DkimDraft)) -> IntegrationDraft {
    let mut dkim =
        DkimDraft { domain: None, selector: "s1".into(), private_key: Some(Secret::new("ed25519:abc")) };
    change(&mut dkim);
    let mut draft = relay();
    draft.senders[0].dkim = Some(dkim);
    draft
}

#[tokio::test]
async fn a_key_is_sealed_and_its_record_is_told() {
    let house = House::new().await;
    house.with_workspace().await;
    let made = house.integrations.create(&house.owner().await, signing(|_| {})).await.unwrap();
    let dkim = made.provider.senders[0].dkim.as_ref().unwrap();
    assert_eq!(house.vault.open(&dkim.private_key).unwrap().expose(), "ed25519:abc");
    assert_eq!(dkim.record_name(), "s1._domainkey.acme.example");
    assert_eq!(dkim.record(), "v=DKIM1; k=ed25519; p=cba");
}

#[tokio::test]
async fn a_key_that_is_not_given_again_is_kept_for_its_sender() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let made = house.integrations.create(&owner, signing(|_| {})).await.unwrap();
    let mut change = signing(|dkim| {
        dkim.private_key = None;
        dkim.selector = "s2".into();
    });
    let refused = house.integrations.update(&owner, made.id, change.clone()).await.unwrap_err();
    assert_eq!(refused.problems()[0].pointer, "/provider/senders/0/dkim/private_key", "it is another sender");
    change.senders[0].id = Some(made.provider.senders[0].id);
    let updated = house.integrations.update(&owner, made.id, change).await.unwrap();
    let dkim = updated.provider.senders[0].dkim.as_ref().unwrap();
    assert_eq!((dkim.selector.as_str(), dkim.public_key.key.as_str()), ("s2", "cba"));
    let updated = house.integrations.update(&owner, made.id, relay()).await.unwrap();
    assert_eq!(updated.provider.senders[0].dkim, None, "without it nothing is signed");
}

#[tokio::test]
async fn bad_keys_are_named() {
    let house = House::new().await;
    house.with_workspace().await;
    let owner = house.owner().await;
    let mut elsewhere = signing(|_| {});
    elsewhere.settings = ProviderSettings::Sparkpost(SparkpostSettings {
        endpoint: "https://api.sparkpost.com".into(),
        api_key: Secret::new("key"),
        sandbox_mode: false,
    });
    for (draft, pointer) in [
        (signing(|d| d.selector = "S 1".into()), "/provider/senders/0/dkim/selector"),
        (signing(|d| d.domain = Some("other.example".into())), "/provider/senders/0/dkim/domain"),
        (signing(|d| d.private_key = Some(Secret::new("dsa"))), "/provider/senders/0/dkim/private_key"),
        (signing(|d| d.private_key = None), "/provider/senders/0/dkim/private_key"),
        (elsewhere, "/provider/senders/0/dkim"),
    ] {
        let refused = house.integrations.create(&owner, draft).await.unwrap_err();
        assert_eq!(refused.problems()[0].pointer, pointer);
    }
}
