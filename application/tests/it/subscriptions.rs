use crate::support::{Stage, WRITE, all_but, email, list_draft, mail, news, owner, workspace};
use application::{
    failure::{Failure as _, FailureKind},
    lists::ListDraft,
    ports::{ConnectionBroker as _, ContactTokens as _, Purpose},
    subscriptions::{ContactLink, Preferences, Subscription},
};
use chrono::Duration;
use domain::{
    contacts::{ContactField, ContactPatch, FieldValue},
    email_address::EmailAddress,
    ids::{ListId, TemplateId, WorkspaceId},
    lists::{MembershipStatus, TemplateRef},
    messages::{Message, MessageFilter},
    permissions::Resource,
    subscriptions::{ContactPass, LinkRight},
};
use memory::PlainContactTokens;
use serde_json::json;
use std::net::IpAddr;

fn member() -> EmailAddress {
    email("c00000@shop.example")
}

fn signed(stage: &Stage, who: &EmailAddress, right: LinkRight) -> ContactLink {
    let expires_at = stage.clock_now() + right.lifetime();
    let pass = ContactPass { workspace: workspace(), email: who.clone(), right };
    let token = PlainContactTokens::default().issue(&pass, expires_at);
    ContactLink { workspace: workspace(), email: who.clone(), token }
}

fn link(stage: &Stage) -> ContactLink {
    signed(stage, &member(), LinkRight::Manage)
}

fn confirmation(stage: &Stage, who: &EmailAddress) -> ContactLink {
    signed(stage, who, LinkRight::Confirm(news()))
}

async fn standing_of(stage: &Stage, who: &EmailAddress) -> Option<MembershipStatus> {
    let found = stage.contacts.by_email(&owner(), who).await.ok()?;
    found.memberships.unwrap().into_iter().find(|m| m.list == news()).map(|m| m.status)
}

async fn standing(stage: &Stage) -> MembershipStatus {
    standing_of(stage, &member()).await.unwrap()
}

async fn set(stage: &Stage, status: MembershipStatus) {
    stage.lists.update_status(&owner(), &member(), &news(), status).await.unwrap();
}

/// A public list, which may want subscriptions to be confirmed.
async fn public(stage: &Stage, is_double_optin: bool) {
    let draft =
        ListDraft { is_public: true, is_double_optin, double_optin_template: None, ..list_draft(&news()) };
    if stage.lists.get(&owner(), &news()).await.is_ok() {
        stage.lists.update(&owner(), draft).await.unwrap();
    } else {
        stage.lists.create(&owner(), draft).await.unwrap();
    }
}

/// A list that is not for everybody.
fn inside(id: &ListId) -> ListDraft {
    ListDraft { is_public: false, ..list_draft(id) }
}

fn wish(who: &str) -> Subscription {
    Subscription {
        workspace: workspace(),
        email: email(who),
        token: None,
        fields: [(ContactField::FirstName, FieldValue::Text("Zoe".into()))].into(),
        lists: [news()].into(),
    }
}

async fn history(stage: &Stage) -> Vec<Message> {
    let mut store = stage.broker.read(&workspace(), Purpose::interactive("test")).await.unwrap();
    store.messages_after(&MessageFilter::default(), None, 100).await.unwrap().items
}

#[tokio::test]
async fn a_good_link_unsubscribes_as_often_as_it_is_used() {
    let stage = Stage::with_list(1).await;
    for _ in 0..2 {
        stage.subscriptions.unsubscribe(&link(&stage), &[news()], None).await.unwrap();
        assert_eq!(standing(&stage).await, MembershipStatus::Unsubscribed);
    }
}

#[tokio::test]
async fn a_forged_foreign_or_expired_link_does_nothing() {
    let stage = Stage::with_list(1).await;
    public(&stage, false).await;
    let forged = ContactLink { token: "0".repeat(64), ..link(&stage) };
    let elsewhere = ContactLink { workspace: WorkspaceId::parse("other").unwrap(), ..link(&stage) };
    let somebody_else = ContactLink { email: email("c00001@shop.example"), ..link(&stage) };
    let to_confirm = confirmation(&stage, &member());
    let expired = link(&stage);
    stage.clock.advance(Duration::days(364));
    stage.subscriptions.center(&expired).await.unwrap();
    stage.clock.advance(Duration::days(1));
    for bad in [forged, elsewhere, somebody_else, to_confirm, expired] {
        let subscriptions = &stage.subscriptions;
        let refused = subscriptions.unsubscribe(&bad, &[news()], None).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (FailureKind::Unauthenticated, "link-invalid"));
        assert!(subscriptions.center(&bad).await.is_err());
        assert!(subscriptions.leaving(&bad, &news()).await.is_err());
        assert!(subscriptions.confirm(&bad, &news()).await.is_err());
        let all = Preferences { leave_all: true, ..Preferences::default() };
        assert!(subscriptions.choose(&bad, all, None).await.is_err());
        let by_token = Subscription { token: Some(bad.token), ..wish("c00000@shop.example") };
        assert!(subscriptions.subscribe(by_token, None).await.is_err());
    }
    assert_eq!(standing(&stage).await, MembershipStatus::Active);
}

#[tokio::test]
async fn leaving_counts_on_the_message_that_led_there_once_and_on_no_other() {
    let stage = Stage::new().await;
    public(&stage, true).await;
    stage.subscriptions.subscribe(wish("c00000@shop.example"), None).await.unwrap();
    let message = history(&stage).await.remove(0).id;
    stage.contacts.import(&owner(), &[json!({"email": "bob@shop.example"})], &[news()]).await.unwrap();
    let other = signed(&stage, &email("bob@shop.example"), LinkRight::Manage);
    stage.subscriptions.unsubscribe(&other, &[news()], Some(&message)).await.unwrap();
    assert_eq!(history(&stage).await[0].unsubscribed_at, None, "it is not bob's");
    stage.subscriptions.unsubscribe(&link(&stage), &[news()], Some(&message)).await.unwrap();
    let left_at = stage.clock_now();
    assert_eq!(history(&stage).await[0].unsubscribed_at, Some(left_at));
    stage.clock.advance(Duration::hours(1));
    set(&stage, MembershipStatus::Active).await;
    stage.subscriptions.unsubscribe(&link(&stage), &[news()], Some(&message)).await.unwrap();
    assert_eq!(history(&stage).await[0].unsubscribed_at, Some(left_at));
}

#[tokio::test]
async fn who_bounced_or_complained_stays_so() {
    let stage = Stage::with_list(1).await;
    public(&stage, false).await;
    for kept in [MembershipStatus::Bounced, MembershipStatus::Complained] {
        set(&stage, kept).await;
        stage.subscriptions.unsubscribe(&link(&stage), &[news()], None).await.unwrap();
        stage.subscriptions.confirm(&confirmation(&stage, &member()), &news()).await.unwrap();
        let join = Preferences { join: [news()].into(), ..Preferences::default() };
        stage.subscriptions.choose(&link(&stage), join, None).await.unwrap();
        stage.subscriptions.subscribe(wish("c00000@shop.example"), None).await.unwrap();
        let known = Subscription { token: Some(link(&stage).token), ..wish("c00000@shop.example") };
        stage.subscriptions.subscribe(known, None).await.unwrap();
        let patch = ContactPatch::of(member());
        stage.subscriptions.subscribe_for(&owner(), patch, &[news()].into()).await.unwrap();
        assert_eq!(standing(&stage).await, kept);
    }
    assert_eq!(stage.deliver_all().await, 0);
}

#[tokio::test]
async fn who_bounced_on_one_list_joins_no_other_by_a_form() {
    let stage = Stage::with_list(1).await;
    let other = ListId::parse("offers").unwrap();
    let draft = ListDraft { is_public: true, ..list_draft(&other) };
    stage.lists.create(&owner(), draft).await.unwrap();
    set(&stage, MembershipStatus::Bounced).await;
    let wish = Subscription { lists: [other.clone()].into(), ..wish("c00000@shop.example") };
    stage.subscriptions.subscribe(wish, None).await.unwrap();
    let stats = stage.lists.stats(&owner(), &other).await.unwrap();
    assert_eq!((stats.active, stats.pending), (0, 0));
}

#[tokio::test]
async fn only_a_waiting_subscription_is_confirmed() {
    let stage = Stage::with_list(1).await;
    for (before, after) in [
        (MembershipStatus::Pending, MembershipStatus::Active),
        (MembershipStatus::Unsubscribed, MembershipStatus::Unsubscribed),
        (MembershipStatus::Complained, MembershipStatus::Complained),
    ] {
        set(&stage, before).await;
        let link = confirmation(&stage, &member());
        assert_eq!(stage.subscriptions.confirming(&link, &news()).await.unwrap().standing, Some(before));
        assert_eq!(standing(&stage).await, before, "looking changes nothing");
        let about = stage.subscriptions.confirm(&link, &news()).await.unwrap();
        assert_eq!((about.standing, standing(&stage).await), (Some(after), after));
    }
}

#[tokio::test]
async fn the_own_page_shows_public_lists_and_own_ones_and_few_fields() {
    let stage = Stage::with_list(1).await;
    let hidden = ListId::parse("hidden").unwrap();
    stage.lists.create(&owner(), inside(&hidden)).await.unwrap();
    let patch =
        ContactPatch::from_json(&json!({"email": "c00000@shop.example", "first_name": "Ana", "phone": "1"}));
    stage.contacts.upsert(&owner(), patch.unwrap()).await.unwrap();
    let center = stage.subscriptions.center(&link(&stage)).await.unwrap();
    let lists: Vec<_> = center.offers.iter().map(|offer| offer.list.id.as_str()).collect();
    assert_eq!(lists, ["news"]);
    assert_eq!(center.contact.fields.keys().collect::<Vec<_>>(), [&ContactField::FirstName]);
}

#[tokio::test]
async fn a_contact_chooses_its_lists_and_fields_and_nothing_else() {
    let stage = Stage::with_list(1).await;
    let (open, hidden) = (ListId::parse("open").unwrap(), ListId::parse("hidden").unwrap());
    let draft = ListDraft { is_public: true, ..list_draft(&open) };
    stage.lists.create(&owner(), draft).await.unwrap();
    stage.lists.create(&owner(), inside(&hidden)).await.unwrap();
    let text = |text: &str| Some(FieldValue::Text(text.to_owned()));
    let chosen = Preferences {
        fields: [
            (ContactField::FirstName, text("Ana")),
            (ContactField::Timezone, text("Europe/Lisbon")),
            (ContactField::Phone, text("666")),
        ]
        .into(),
        join: [open.clone(), hidden].into(),
        leave: [news()].into(),
        leave_all: false,
    };
    stage.subscriptions.choose(&link(&stage), chosen, None).await.unwrap();
    let view = stage.contacts.by_email(&owner(), &member()).await.unwrap();
    assert_eq!(view.contact.text(ContactField::FirstName), Some("Ana"));
    assert_eq!(view.contact.text(ContactField::Phone), None);
    let mut standings: Vec<_> =
        view.memberships.unwrap().into_iter().map(|m| (m.list.to_string(), m.status.name())).collect();
    standings.sort();
    assert_eq!(standings, [("news".to_owned(), "unsubscribed"), ("open".to_owned(), "active")]);
    let all = Preferences { leave_all: true, ..Preferences::default() };
    stage.subscriptions.choose(&link(&stage), all, None).await.unwrap();
    assert_eq!(stage.lists.stats(&owner(), &open).await.unwrap().unsubscribed, 1);
}

#[tokio::test]
async fn a_link_brings_no_contact_back_that_was_deleted() {
    let stage = Stage::with_list(1).await;
    stage.contacts.delete(&owner(), &member()).await.unwrap();
    let chosen = Preferences { join: [news()].into(), ..Preferences::default() };
    let refused = stage.subscriptions.choose(&link(&stage), chosen, None).await.unwrap_err();
    assert_eq!(refused.code(), "contact-not-found");
    assert!(stage.contacts.by_email(&owner(), &member()).await.is_err());
}

#[tokio::test]
async fn a_stranger_is_on_a_list_at_once_where_no_confirmation_is_wanted() {
    let stage = Stage::new().await;
    public(&stage, false).await;
    stage.subscriptions.subscribe(wish("zoe@shop.example"), None).await.unwrap();
    let zoe = email("zoe@shop.example");
    assert_eq!(standing_of(&stage, &zoe).await, Some(MembershipStatus::Active));
    let view = stage.contacts.by_email(&owner(), &zoe).await.unwrap();
    assert_eq!(view.contact.text(ContactField::FirstName), Some("Zoe"));
    assert_eq!(stage.deliver_all().await, 0);
}

#[tokio::test]
async fn a_confirmation_is_asked_for_in_the_language_of_the_contact() {
    let stage = Stage::new().await;
    public(&stage, true).await;
    let mut wish = wish("zoe@shop.example");
    wish.fields.insert(ContactField::Language, FieldValue::Text("fr-CA".into()));
    stage.subscriptions.subscribe(wish, None).await.unwrap();
    let zoe = email("zoe@shop.example");
    assert_eq!(standing_of(&stage, &zoe).await, Some(MembershipStatus::Pending));
    assert_eq!(stage.deliver_all().await, 1);
    let mail = stage.mailer.posted().remove(0).mail;
    assert!(mail.subject.starts_with("Veuillez confirmer votre abonnement à"), "{}", mail.subject);
    assert!(
        mail.text.contains("/notification-center?action=confirm&email=zoe%40shop.example"),
        "{}",
        mail.text
    );
    assert_eq!(mail.list_unsubscribe, None);
    let kept = history(&stage).await.remove(0);
    assert_eq!((kept.template.as_str(), kept.list), ("built-in-confirmation-fr", Some(news())));
    stage.subscriptions.confirm(&confirmation(&stage, &zoe), &news()).await.unwrap();
    assert_eq!(standing_of(&stage, &zoe).await, Some(MembershipStatus::Active));
}

#[tokio::test]
async fn the_list_may_have_a_confirmation_mail_of_its_own() {
    let stage = Stage::new().await;
    stage
        .templates
        .create(&owner(), mail("Sure?", "<mj-text>{{ confirm_subscription_url }}</mj-text>"))
        .await
        .unwrap();
    let template = TemplateRef { id: TemplateId::parse("welcome").unwrap(), version: 0 };
    let draft = ListDraft {
        is_public: true,
        is_double_optin: true,
        double_optin_template: Some(template),
        ..list_draft(&news())
    };
    stage.lists.create(&owner(), draft).await.unwrap();
    stage.subscriptions.subscribe(wish("zoe@shop.example"), None).await.unwrap();
    assert_eq!(stage.deliver_all().await, 1);
    assert_eq!(stage.mailer.posted().remove(0).mail.subject, "Sure?");
}

#[tokio::test]
async fn who_once_left_confirms_also_where_nobody_else_has_to() {
    let stage = Stage::with_list(1).await;
    public(&stage, false).await;
    set(&stage, MembershipStatus::Unsubscribed).await;
    stage.subscriptions.subscribe(wish("c00000@shop.example"), None).await.unwrap();
    assert_eq!(standing(&stage).await, MembershipStatus::Pending);
    let view = stage.contacts.by_email(&owner(), &member()).await.unwrap();
    assert_eq!(view.contact.text(ContactField::FirstName), None, "a contact keeps its fields");
    assert_eq!(stage.deliver_all().await, 1);
}

#[tokio::test]
async fn a_confirmation_that_nobody_waits_for_any_longer_is_not_mailed() {
    let stage = Stage::new().await;
    public(&stage, true).await;
    stage.subscriptions.subscribe(wish("zoe@shop.example"), None).await.unwrap();
    let zoe = email("zoe@shop.example");
    stage.lists.update_status(&owner(), &zoe, &news(), MembershipStatus::Complained).await.unwrap();
    stage.deliver_all().await;
    assert_eq!(stage.mailer.posted().len(), 0);
}

#[tokio::test]
async fn strangers_cannot_fill_a_mailbox_with_confirmations() {
    let stage = Stage::new().await;
    public(&stage, true).await;
    for _ in 0..5 {
        stage.subscriptions.subscribe(wish("zoe@shop.example"), None).await.unwrap();
    }
    assert_eq!(stage.deliver_all().await, 3);
    stage.clock.advance(Duration::hours(1));
    stage.subscriptions.subscribe(wish("zoe@shop.example"), None).await.unwrap();
    assert_eq!(stage.deliver_all().await, 1);
}

#[tokio::test]
async fn a_list_that_is_not_public_is_refused_like_one_that_does_not_exist() {
    let stage = Stage::new().await;
    stage.lists.create(&owner(), inside(&news())).await.unwrap();
    for list in [news(), ListId::parse("nowhere").unwrap()] {
        let wish = Subscription { lists: [list].into(), ..wish("zoe@shop.example") };
        let refused = stage.subscriptions.subscribe(wish, None).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.to_string().as_str()),
            (FailureKind::Invalid, "list is not public")
        );
    }
    let nothing = Subscription { lists: [].into(), ..wish("zoe@shop.example") };
    assert_eq!(stage.subscriptions.subscribe(nothing, None).await.unwrap_err().kind(), FailureKind::Invalid);
    assert_eq!(stage.contacts.count(&owner()).await.unwrap(), 0, "nobody is stored");
}

#[tokio::test]
async fn who_comes_by_a_link_is_known_and_changes_few_fields() {
    let stage = Stage::with_list(1).await;
    public(&stage, true).await;
    set(&stage, MembershipStatus::Unsubscribed).await;
    let mut known = Subscription { token: Some(link(&stage).token), ..wish("c00000@shop.example") };
    known.fields.insert(ContactField::Phone, FieldValue::Text("666".into()));
    stage.subscriptions.subscribe(known, None).await.unwrap();
    assert_eq!(standing(&stage).await, MembershipStatus::Active);
    let contact = stage.contacts.by_email(&owner(), &member()).await.unwrap().contact;
    assert_eq!(contact.text(ContactField::FirstName), Some("Zoe"));
    assert_eq!(contact.text(ContactField::Phone), None);
}

#[tokio::test]
async fn attempts_are_limited_by_address_and_by_place() {
    let stage = Stage::new().await;
    public(&stage, false).await;
    let from: IpAddr = "192.0.2.7".parse().unwrap();
    for _ in 0..10 {
        stage.subscriptions.subscribe(wish("zoe@shop.example"), Some(from)).await.unwrap();
    }
    let elsewhere = Some("192.0.2.8".parse().unwrap());
    let refused = stage.subscriptions.subscribe(wish("zoe@shop.example"), elsewhere).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::RateLimited(std::time::Duration::from_mins(1)));
    for n in 10..50 {
        let who = format!("n{n}@shop.example");
        stage.subscriptions.subscribe(wish(&who), Some(from)).await.unwrap();
    }
    let refused = stage.subscriptions.subscribe(wish("new@shop.example"), Some(from)).await.unwrap_err();
    assert_eq!(refused.code(), "rate-limited");
    stage.subscriptions.subscribe(wish("new@shop.example"), elsewhere).await.unwrap();
}

#[tokio::test]
async fn a_program_subscribes_at_once_whoever_did_not_bounce_or_complain() {
    let stage = Stage::with_list(1).await;
    public(&stage, true).await;
    set(&stage, MembershipStatus::Unsubscribed).await;
    let patch = ContactPatch::from_json(&json!({"email": "c00000@shop.example", "phone": "1"})).unwrap();
    let lists = [news()].into();
    stage.subscriptions.subscribe_for(&owner(), patch.clone(), &lists).await.unwrap();
    assert_eq!(standing(&stage).await, MembershipStatus::Active);
    let contact = stage.contacts.by_email(&owner(), &member()).await.unwrap().contact;
    assert_eq!(contact.text(ContactField::Phone), Some("1"));
    assert_eq!(stage.deliver_all().await, 0);
    let nowhere = [ListId::parse("nowhere").unwrap()].into();
    let refused = stage.subscriptions.subscribe_for(&owner(), patch.clone(), &nowhere).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string().as_str()),
        (FailureKind::NotFound, "contact list not found")
    );
    let denied =
        stage.subscriptions.subscribe_for(&all_but(Resource::Lists, WRITE), patch, &lists).await.unwrap_err();
    assert_eq!(denied.kind(), FailureKind::Forbidden);
}

#[tokio::test]
async fn a_new_link_is_mailed_to_contacts_alone() {
    let stage = Stage::with_list(1).await;
    for who in ["c00000@shop.example", "nobody@shop.example"] {
        stage.subscriptions.mail_link(&workspace(), &email(who), None).await.unwrap();
    }
    assert_eq!(stage.deliver_all().await, 1);
    let mail = stage.mailer.posted().remove(0).mail;
    assert_eq!(mail.to.address, member());
    assert!(
        mail.text.contains("/notification-center?email=c00000%40shop.example&email_hmac="),
        "{}",
        mail.text
    );
    set(&stage, MembershipStatus::Bounced).await;
    stage.subscriptions.mail_link(&workspace(), &member(), None).await.unwrap();
    assert_eq!(stage.deliver_all().await, 0);
}
