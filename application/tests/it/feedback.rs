//! Calls of providers, and what follows from them.

use crate::support::{
    READ, Stage, WRITE, all_but, email, integration, list_draft, news, owner, patch, reset, welcome,
    workspace,
};
use application::{
    failure::{Failure as _, FailureKind},
    feedback::{CallbackAddress, FeedbackError},
    ports::{
        CallbackEvent, ConnectionBroker as _, InboundCall, Purpose, ReadingError, RegistrationError,
        SendError,
    },
    transactional::SendRequest,
};
use domain::{
    broadcasts::{Audience, BroadcastDraft, Ledger, Skipped, Variation},
    data_feeds::FeedsDraft,
    feedback::{FeedbackFilter, FeedbackKind},
    ids::{IntegrationId, ListId, WorkspaceId},
    integrations::ProviderSettings,
    lists::MembershipStatus,
    messages::{Message, MessageFilter, MessageState},
    permissions::Resource,
    publications::Channels,
    secret::Secret,
    transactional::EmailOptions,
    utm::UtmParameters,
};
use memory::{PlainVault, SequentialIds};
use serde_json::{Map, json};

const HARD: &str = "550 5.1.1 user unknown";
const SOFT: &str = "452 4.2.2 mailbox full";

async fn address(stage: &Stage) -> CallbackAddress {
    let status = stage.feedback.status(&owner(), integration()).await.unwrap();
    let url = url::Url::parse(status.url.unwrap().expose()).unwrap();
    assert!(url.as_str().starts_with("https://mail.acme.email/webhooks/email?provider=smtp&"));
    let token = url.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    CallbackAddress {
        workspace: workspace(),
        integration: integration(),
        provider: "smtp".into(),
        token: Secret::new(token),
    }
}

fn call(lines: &[String]) -> InboundCall {
    InboundCall { headers: vec![("signed".into(), "yes".into())], body: lines.join("\n").into_bytes() }
}

/// Reports of one call; answers how many were new.
async fn report(stage: &Stage, lines: &[String]) -> usize {
    let admitted = stage.feedback.admit(&address(stage).await).await.unwrap();
    stage.feedback.receive(&admitted, &call(lines)).await.unwrap()
}

fn bounce(who: &str, message: &str, words: &str) -> String {
    format!("bounce\t{who}\t{message}\t{words}")
}

async fn standings(stage: &Stage, who: &str) -> Vec<MembershipStatus> {
    let view = stage.contacts.by_email(&owner(), &email(who)).await.unwrap();
    view.memberships.unwrap().iter().map(|m| m.status).collect()
}

async fn messages(stage: &Stage) -> Vec<Message> {
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 100).await.unwrap();
    page.items.into_iter().map(|view| view.message).collect()
}

async fn newsletter(stage: &Stage, list: &ListId) -> Ledger {
    let audience = Audience {
        list: list.clone(),
        further_lists: vec![],
        excluded_lists: vec![],
        segments: vec![],
        exclude_unsubscribed: true,
    };
    let draft = BroadcastDraft {
        name: "June".into(),
        audience,
        variations: vec![Variation { variation_name: "A".into(), template_id: welcome() }],
        test: None,
        utm: UtmParameters::default(),
        metadata: None,
        channels: Channels::default(),
        web: None,
        feeds: FeedsDraft::default(),
    };
    let broadcast = stage.broadcasts.create(&owner(), draft).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    stage.deliver_all().await;
    stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap()
}

async fn send(stage: &Stage, who: &str) {
    let request = SendRequest {
        notification: reset(),
        external_id: None,
        idempotency_key: None,
        contact: patch(json!({"email": who})),
        data: Map::new(),
        metadata: None,
        options: EmailOptions::default(),
        files: Vec::new(),
        send_at: None,
    };
    stage.transactional.send(&owner(), request).await.unwrap();
    stage.deliver_all().await;
}

/// `news` and `more`, each with `a@shop.example`.
async fn on_two_lists() -> (Stage, ListId) {
    let stage = Stage::with_list(0).await;
    let more = ListId::parse("more").unwrap();
    stage.lists.create(&owner(), list_draft(&more)).await.unwrap();
    let rows = [json!({"email": "a@shop.example"})];
    stage.contacts.import(&owner(), &rows, &[news(), more.clone()]).await.unwrap();
    (stage, more)
}

#[tokio::test]
async fn a_hard_bounce_stands_on_the_message_and_on_every_list() {
    let (stage, _) = on_two_lists().await;
    newsletter(&stage, &news()).await;
    let sent = messages(&stage).await.remove(0);
    assert_eq!(report(&stage, &[bounce("a@shop.example", sent.id.as_str(), HARD)]).await, 1);
    let message = messages(&stage).await.remove(0);
    assert!(message.bounced_at.is_some());
    assert_eq!((message.state, message.status_info.as_deref()), (MessageState::Sent, Some(HARD)));
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Bounced; 2]);
    let stats = stage.messages.broadcast_stats(&owner(), &message.broadcast.unwrap()).await.unwrap();
    assert_eq!((stats.sent, stats.bounced), (1, 1));
}

#[tokio::test]
async fn a_complaint_stands_on_every_list_and_outweighs_a_bounce() {
    let (stage, _) = on_two_lists().await;
    report(&stage, &[bounce("a@shop.example", "", HARD)]).await;
    report(&stage, &["complaint\ta@shop.example".into()]).await;
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Complained; 2]);
    report(&stage, &[bounce("a@shop.example", "later", HARD)]).await;
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Complained; 2]);
}

#[tokio::test]
async fn a_delivery_stands_on_the_message() {
    let (stage, _) = on_two_lists().await;
    newsletter(&stage, &news()).await;
    let sent = messages(&stage).await.remove(0);
    report(&stage, &[format!("delivered\ta@shop.example\t{}", sent.id)]).await;
    assert!(messages(&stage).await[0].delivered_at.is_some());
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Active; 2]);
}

#[tokio::test]
async fn who_unsubscribes_at_the_provider_leaves_the_list_of_the_message() {
    let (stage, _) = on_two_lists().await;
    newsletter(&stage, &news()).await;
    let sent = messages(&stage).await.remove(0);
    report(&stage, &[format!("unsubscribe\ta@shop.example\t{}", sent.id)]).await;
    assert!(messages(&stage).await[0].unsubscribed_at.is_some());
    let mut standings = standings(&stage, "a@shop.example").await;
    standings.sort_by_key(|status| status.name());
    assert_eq!(standings, [MembershipStatus::Active, MembershipStatus::Unsubscribed]);
}

#[tokio::test]
async fn five_soft_bounces_without_a_delivery_weigh_as_a_hard_one() {
    let (stage, _) = on_two_lists().await;
    let soft = |n: u32| bounce("a@shop.example", &format!("m{n}"), SOFT);
    for n in 0..4 {
        report(&stage, &[soft(n)]).await;
    }
    report(&stage, &[soft(0)]).await;
    report(&stage, &[bounce("a@shop.example", "large", "552 5.3.4 too large")]).await;
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Active; 2]);
    report(&stage, &[soft(4)]).await;
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Bounced; 2]);
}

#[tokio::test]
async fn a_repeated_call_changes_nothing() {
    let (stage, _) = on_two_lists().await;
    newsletter(&stage, &news()).await;
    let sent = messages(&stage).await.remove(0);
    let lines =
        [bounce("a@shop.example", sent.id.as_str(), HARD), bounce("a@shop.example", sent.id.as_str(), HARD)];
    assert_eq!(report(&stage, &lines).await, 1, "a repetition within the call counts once");
    let who = email("a@shop.example");
    stage.lists.update_status(&owner(), &who, &news(), MembershipStatus::Active).await.unwrap();
    let before = messages(&stage).await;
    assert_eq!(report(&stage, &lines).await, 0);
    assert_eq!(messages(&stage).await, before);
    let mut standings = standings(&stage, "a@shop.example").await;
    standings.sort_by_key(|status| status.name());
    assert_eq!(standings, [MembershipStatus::Active, MembershipStatus::Bounced]);
    let page = stage.feedback.list(&owner(), &FeedbackFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn a_copy_that_bounces_leaves_the_message_alone() {
    let (stage, _) = on_two_lists().await;
    newsletter(&stage, &news()).await;
    let sent = messages(&stage).await.remove(0);
    report(&stage, &[bounce("copy@shop.example", sent.id.as_str(), HARD)]).await;
    assert_eq!(messages(&stage).await, [sent]);
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Active; 2]);
}

#[tokio::test]
async fn what_is_reported_before_the_sending_is_written_down_counts() {
    let (stage, _) = on_two_lists().await;
    let audience = Audience {
        list: news(),
        further_lists: vec![],
        excluded_lists: vec![],
        segments: vec![],
        exclude_unsubscribed: true,
    };
    let draft = BroadcastDraft {
        name: "June".into(),
        audience,
        variations: vec![Variation { variation_name: "A".into(), template_id: welcome() }],
        test: None,
        utm: UtmParameters::default(),
        metadata: None,
        channels: Channels::default(),
        web: None,
        feeds: FeedsDraft::default(),
    };
    let broadcast = stage.broadcasts.create(&owner(), draft).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    let batch = stage.deliveries.claim(&workspace()).await.unwrap();
    let items: Vec<_> = batch.items().iter().collect();
    stage.deliveries.begin(&batch, &items).await.unwrap();
    let settled = stage.deliveries.deliver(&batch, items[0]).await;
    report(&stage, &[format!("delivered\ta@shop.example\t{}", settled.message)]).await;
    stage.deliveries.record(&batch, &[settled]).await.unwrap();
    assert!(messages(&stage).await[0].delivered_at.is_some());
}

#[tokio::test]
async fn nothing_brings_a_suppressed_address_back_onto_newsletters() {
    let (stage, more) = on_two_lists().await;
    let who = email("a@shop.example");
    report(&stage, &[bounce("a@shop.example", "", HARD)]).await;
    stage.contacts.delete(&owner(), &who).await.unwrap();
    let rows = [json!({"email": "a@shop.example"}), json!({"email": "b@shop.example"})];
    stage.contacts.import(&owner(), &rows, &[news(), more.clone()]).await.unwrap();
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Bounced; 2]);
    let ledger = newsletter(&stage, &more).await;
    assert_eq!((ledger.planned, ledger.sent), (1, 1));
    assert_eq!(stage.mailer.sent().len(), 1);
}

#[tokio::test]
async fn a_bounce_after_the_planning_keeps_the_mail_back() {
    let (stage, _) = on_two_lists().await;
    let rows: Vec<_> = [json!({"email": "b@shop.example"})].into();
    stage.contacts.import(&owner(), &rows, &[news()]).await.unwrap();
    // The address is suppressed without a membership that says so, as when both happen at once.
    let mut unit = stage.broker.write(&workspace(), Purpose::interactive("test")).await.unwrap();
    let reason = domain::feedback::SuppressionReason::Bounced;
    unit.suppress(&email("b@shop.example"), reason, stage.clock_now()).await.unwrap();
    unit.commit().await.unwrap();
    let ledger = newsletter(&stage, &news()).await;
    assert_eq!(ledger.skipped, Skipped { bounced: 1, ..Skipped::default() });
    let sent: Vec<_> = stage.mailer.sent().into_iter().map(|mail| mail.to.address).collect();
    assert_eq!(sent, [email("a@shop.example")]);
}

#[tokio::test]
async fn whoever_makes_an_address_active_lifts_its_suppression() {
    let stage = Stage::with_list(1).await;
    let who = email("c00000@shop.example");
    report(&stage, &[bounce(who.as_str(), "", HARD)]).await;
    assert_eq!(newsletter(&stage, &news()).await.planned, 0);
    stage.lists.update_status(&owner(), &who, &news(), MembershipStatus::Active).await.unwrap();
    assert_eq!(newsletter(&stage, &news()).await.sent, 1);
}

#[tokio::test]
async fn a_recipient_that_the_mail_server_does_not_know_is_a_hard_bounce() {
    let stage = Stage::with_list(1).await;
    let refused = |reply: &str| [SendError::Refused { reply: reply.into() }];
    stage.mailer.fail_next(refused("550 5.1.1 User unknown"));
    newsletter(&stage, &news()).await;
    let message = messages(&stage).await.remove(0);
    assert_eq!(message.state, MessageState::Failed);
    assert!(message.bounced_at.is_some());
    assert_eq!(
        message.status_info.as_deref(),
        Some("refused by the mail server: 550 5.1.1 User unknown"),
        "the reply alone"
    );
    assert_eq!(standings(&stage, "c00000@shop.example").await, [MembershipStatus::Bounced]);
    let page = stage.feedback.list(&owner(), &FeedbackFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.items[0].message.as_deref(), Some(message.id.as_str()));
    assert_eq!(page.items[0].source, "smtp");
}

#[tokio::test]
async fn other_refusals_are_no_bounces() {
    let stage = Stage::with_list(1).await;
    stage.mailer.fail_next([SendError::Refused { reply: "554 5.7.1 looks like spam".into() }]);
    newsletter(&stage, &news()).await;
    let message = messages(&stage).await.remove(0);
    assert_eq!((message.state, message.bounced_at), (MessageState::Failed, None));
    assert_eq!(standings(&stage, "c00000@shop.example").await, [MembershipStatus::Active]);
}

#[tokio::test]
async fn transactional_mails_are_sent_to_suppressed_addresses_too() {
    let stage = Stage::with_notification().await;
    report(&stage, &[bounce("ana@shop.example", "", HARD)]).await;
    send(&stage, "ana@shop.example").await;
    assert_eq!(stage.mailer.sent().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_not_ours_always_fares_the_same() {
    let stage = Stage::new().await;
    let good = address(&stage).await;
    let wrong = [
        CallbackAddress { token: Secret::new("0".repeat(64)), ..good.clone() },
        CallbackAddress { token: Secret::new(""), ..good.clone() },
        CallbackAddress { provider: "ses".into(), ..good.clone() },
        CallbackAddress { workspace: WorkspaceId::parse("other").unwrap(), ..good.clone() },
        CallbackAddress { integration: IntegrationId::from_uuid(SequentialIds::nth(7)), ..good },
    ];
    for address in wrong {
        let Err(refused) = stage.feedback.admit(&address).await else { panic!("{address:?}") };
        assert_eq!((refused.code(), refused.kind()), ("callback-unknown", FailureKind::Unauthenticated));
    }
}

#[tokio::test]
async fn what_is_not_signed_or_cannot_be_read_is_not_kept() {
    let stage = Stage::with_list(1).await;
    let admitted = stage.feedback.admit(&address(&stage).await).await.unwrap();
    let unsigned = InboundCall { headers: vec![], ..call(&[bounce("c00000@shop.example", "", HARD)]) };
    let refused = stage.feedback.receive(&admitted, &unsigned).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Unauthenticated);
    let malformed = call(&[bounce("c00000@shop.example", "", HARD), "melted".into()]);
    let refused = stage.feedback.receive(&admitted, &malformed).await.unwrap_err();
    assert!(matches!(refused, FeedbackError::Reading(ReadingError::Malformed(_))));
    assert_eq!(refused.kind(), FailureKind::Invalid);
    let page = stage.feedback.list(&owner(), &FeedbackFilter::default(), None, 10).await.unwrap();
    assert!(page.items.is_empty());
    assert_eq!(standings(&stage, "c00000@shop.example").await, [MembershipStatus::Active]);
}

#[tokio::test]
async fn reports_are_for_those_who_may_read_the_history() {
    let stage = Stage::new().await;
    let filter = FeedbackFilter::default();
    let blind = all_but(Resource::MessageHistory, READ);
    let refused = stage.feedback.list(&blind, &filter, None, 10).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
}

#[tokio::test]
async fn only_those_who_may_change_the_workspace_see_the_address_and_register_it() {
    let stage = Stage::new().await;
    let reader = all_but(Resource::Workspace, WRITE);
    assert_eq!(stage.feedback.status(&reader, integration()).await.unwrap().url, None);
    let refused = stage.feedback.register(&reader, integration(), &CallbackEvent::ALL).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    let blind = all_but(Resource::Workspace, READ);
    assert_eq!(
        stage.feedback.status(&blind, integration()).await.unwrap_err().kind(),
        FailureKind::Forbidden
    );
    let unsupported =
        stage.feedback.register(&owner(), integration(), &CallbackEvent::ALL).await.unwrap_err();
    assert!(matches!(unsupported, FeedbackError::Registration(RegistrationError::Unsupported)));
    let unknown = IntegrationId::from_uuid(SequentialIds::nth(7));
    assert_eq!(stage.feedback.status(&owner(), unknown).await.unwrap_err().kind(), FailureKind::NotFound);
}

/// The vault of the installation.
fn vault() -> PlainVault {
    PlainVault::with_key("installation")
}

/// Turns the integration into one of Mailgun.
async fn at_mailgun(stage: &Stage) {
    use application::ports::Vault as _;
    let mut system = stage.broker.write_system(Purpose::interactive("test")).await.unwrap();
    let mut relay = system.integration(&workspace(), integration()).await.unwrap().unwrap();
    relay.provider.settings = ProviderSettings::Mailgun(domain::integrations::MailgunSettings {
        domain: "mg.acme.example".into(),
        region: domain::integrations::MailgunRegion::Us,
        api_key: vault().seal(&Secret::new("key")),
        webhook_signing_key: None,
    });
    system.update_integration(&relay).await.unwrap();
    system.commit().await.unwrap();
}

#[tokio::test]
async fn a_provider_is_introduced_and_told_when_the_integration_goes() {
    let stage = Stage::new().await;
    let server = stage.feedback.subject_of(&owner(), integration()).await.unwrap();
    stage.feedback.introduce(server).await;
    let status = stage.feedback.status(&owner(), integration()).await.unwrap();
    assert_eq!(status.registration, Err(RegistrationError::Unsupported), "a mail server");
    at_mailgun(&stage).await;
    let subject = stage.feedback.subject_of(&owner(), integration()).await.unwrap();
    stage.feedback.introduce(subject).await;
    let status = stage.feedback.status(&owner(), integration()).await.unwrap();
    assert_eq!((status.provider, status.registration.unwrap().callbacks.len()), ("mailgun", 3));
    let subject = stage.feedback.subject_of(&owner(), integration()).await.unwrap();
    stage.feedback.take_leave(subject).await;
    let status = stage.feedback.status(&owner(), integration()).await.unwrap();
    assert!(status.registration.unwrap().callbacks.is_empty());
}

#[tokio::test]
async fn the_key_that_a_registration_brings_to_light_is_kept_sealed() {
    use application::ports::Vault as _;
    let learned = application::ports::Learned {
        mailgun_signing_key: Some(Secret::new("signing-key")),
        ..application::ports::Learned::default()
    };
    let stage = Stage::whose_providers_tell(learned).await;
    at_mailgun(&stage).await;
    let kept = async || {
        let mut system = stage.broker.read_system(Purpose::interactive("test")).await.unwrap();
        let relay = system.integration(&workspace(), integration()).await.unwrap().unwrap();
        relay.provider.settings.secret("webhook_signing_key").cloned().unwrap()
    };
    stage.feedback.register(&owner(), integration(), &[CallbackEvent::Bounce]).await.unwrap();
    let first = kept().await;
    assert_eq!(vault().open(&first).unwrap().expose(), "signing-key");
    stage.feedback.register(&owner(), integration(), &CallbackEvent::ALL).await.unwrap();
    assert_eq!(kept().await, first);
}

#[tokio::test]
async fn reports_tell_their_kind() {
    let stage = Stage::new().await;
    let lines = ["delivered\ta@shop.example".to_owned(), bounce("a@shop.example", "", SOFT)];
    report(&stage, &lines).await;
    let bounces = FeedbackFilter { kind: Some("bounce"), ..FeedbackFilter::default() };
    let page = stage.feedback.list(&owner(), &bounces, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(matches!(&page.items[0].kind, FeedbackKind::Bounced(bounce) if bounce.diagnostic == SOFT));
}

#[tokio::test]
async fn an_uploaded_notice_is_kept_as_far_as_it_is_about_the_workspace() {
    let (stage, _) = on_two_lists().await;
    newsletter(&stage, &news()).await;
    let sent = messages(&stage).await.remove(0);
    let notice = [
        bounce("forwarded@elsewhere.example", sent.id.as_str(), HARD),
        bounce("stranger@shop.example", "unknown", HARD),
    ];
    let notice = notice.join("\n").into_bytes();
    let uploaded = stage.feedback.upload(&owner(), &notice).await.unwrap();
    assert_eq!((uploaded.new, uploaded.foreign, uploaded.reports.len()), (1, 1, 1));
    assert_eq!(
        uploaded.reports[0].recipient,
        email("a@shop.example"),
        "a mail without copies was for nobody else"
    );
    assert_eq!(uploaded.reports[0].source, "dsn");
    assert!(messages(&stage).await[0].bounced_at.is_some());
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Bounced; 2]);
    assert_eq!(stage.feedback.upload(&owner(), &notice).await.unwrap().new, 0);
}

#[tokio::test]
async fn a_notice_about_a_contact_alone_counts_too() {
    let (stage, _) = on_two_lists().await;
    let notice = bounce("a@shop.example", "", HARD).into_bytes();
    assert_eq!(stage.feedback.upload(&owner(), &notice).await.unwrap().new, 1);
    assert_eq!(standings(&stage, "a@shop.example").await, [MembershipStatus::Bounced; 2]);
}

#[tokio::test]
async fn notices_are_uploaded_by_those_who_may_write_the_history() {
    let stage = Stage::new().await;
    let reader = all_but(Resource::MessageHistory, WRITE);
    let refused = stage.feedback.upload(&reader, b"").await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    let malformed = stage.feedback.upload(&owner(), b"melted").await.unwrap_err();
    assert_eq!(malformed.kind(), FailureKind::Invalid);
}
