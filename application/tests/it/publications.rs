//! Broadcasts on the web.

use crate::support::{READ, Stage, WRITE, all_but, mail, owner, welcome, workspace};
use application::{
    broadcasts::BroadcastsError,
    ports::{Clock as _, ConnectionBroker as _, Purpose},
    publications::{Preview, PublicationsError, Site},
};
use chrono::Duration;
use domain::{
    broadcasts::{Audience, Broadcast, BroadcastDraft, Rescheduling, Schedule, Variation},
    ids::BroadcastId,
    permissions::Resource,
    publications::{Channels, WebSettings},
    slug::Slug,
    utm::UtmParameters,
};

const HOST: &str = "news.acme.example";

fn draft(slug: &str, email: bool) -> BroadcastDraft {
    BroadcastDraft {
        name: "June <news>".into(),
        audience: Audience {
            list: crate::support::news(),
            further_lists: vec![],
            excluded_lists: vec![],
            segments: vec![],
            exclude_unsubscribed: true,
        },
        variations: vec![Variation { variation_name: "A".into(), template_id: welcome() }],
        test: None,
        utm: UtmParameters::default(),
        metadata: None,
        channels: Channels::new(email, true),
        web: Some(WebSettings::new(Slug::parse(slug).unwrap())),
        feeds: domain::data_feeds::FeedsDraft::default(),
    }
}

/// A workspace with a list of three, and a domain when wanted.
async fn stage(with_domain: bool) -> Stage {
    let stage = Stage::with_list(3).await;
    if with_domain {
        let purpose = Purpose::interactive("test");
        let mut system = stage.broker.write_system(purpose).await.unwrap();
        let mut acme = system.workspace(&workspace()).await.unwrap().unwrap();
        acme.settings.custom_endpoint_url = Some(format!("https://{HOST}/"));
        system.update_workspace(&acme).await.unwrap();
        system.commit().await.unwrap();
    }
    stage
}

async fn site(stage: &Stage) -> Site {
    stage.publications.site(HOST).await.unwrap().unwrap()
}

async fn stored(stage: &Stage, slug: &str, email: bool) -> Broadcast {
    stage.broadcasts.create(&owner(), draft(slug, email)).await.unwrap()
}

async fn listed(stage: &Stage) -> Vec<BroadcastId> {
    let posts = stage.publications.posts(&site(stage).await, 10, 0).await.unwrap();
    posts.items.into_iter().map(|post| post.broadcast).collect()
}

#[tokio::test]
async fn a_host_names_its_workspace() {
    let stage = stage(true).await;
    let site = site(&stage).await;
    assert_eq!((site.workspace, site.base_url.as_str()), (workspace(), "https://news.acme.example"));
    assert_eq!(stage.publications.site("acme.example").await.unwrap(), None);
}

#[tokio::test]
async fn a_page_needs_a_domain() {
    let stage = stage(false).await;
    let refused = stage.broadcasts.create(&owner(), draft("june", true)).await.unwrap_err();
    assert!(matches!(refused, BroadcastsError::NoDomain));
}

#[tokio::test]
async fn a_slug_is_used_once() {
    let stage = stage(true).await;
    stored(&stage, "june", true).await;
    let refused = stage.broadcasts.create(&owner(), draft("june", true)).await.unwrap_err();
    assert!(matches!(refused, BroadcastsError::SlugTaken));
}

#[tokio::test]
async fn a_page_is_public_from_the_start_until_its_broadcast_is_cancelled() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", true).await;
    assert_eq!(listed(&stage).await, []);
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    assert_eq!(listed(&stage).await, std::slice::from_ref(&broadcast.id));
    stage.broadcasts.cancel(&owner(), &broadcast.id).await.unwrap();
    assert_eq!(listed(&stage).await, []);
}

#[tokio::test]
async fn a_page_alone_is_published_without_a_provider_and_mails_nobody() {
    let stage = stage(true).await;
    let purpose = Purpose::interactive("test");
    let mut system = stage.broker.write_system(purpose).await.unwrap();
    let mut acme = system.workspace(&workspace()).await.unwrap().unwrap();
    acme.settings.marketing_email_provider_id = None;
    system.update_workspace(&acme).await.unwrap();
    system.commit().await.unwrap();
    let broadcast = stored(&stage, "june", false).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    assert_eq!(stage.broadcasts.get(&owner(), &broadcast.id).await.unwrap().state.name(), "processed");
    assert_eq!(stage.broadcasts.ledger(&owner(), &broadcast.id).await.unwrap().planned, 0);
    assert_eq!(listed(&stage).await, [broadcast.id]);
}

#[tokio::test]
async fn a_page_knows_the_workspace_and_no_contact() {
    let stage = stage(true).await;
    let content = "<mj-text>{{ broadcast.name }} {{ contact.email }} {{ unsubscribe_url }}.</mj-text>";
    let mut template = mail("News", content);
    template.id = welcome();
    stage.templates.update(&owner(), template).await.unwrap();
    let broadcast = stored(&stage, "june", false).await;
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    let full = stage.publications.post(&site(&stage).await, &broadcast.id).await.unwrap();
    assert!(full.content.html.contains("June &lt;news&gt;  ."), "{}", full.content.html);
    assert_eq!(full.post.path(), format!("/june-{}", broadcast.id));
}

#[tokio::test]
async fn what_is_not_public_is_not_found() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", true).await;
    let site = site(&stage).await;
    let refused = stage.publications.post(&site, &broadcast.id).await.unwrap_err();
    assert!(matches!(refused, PublicationsError::NotFound));
    let slug = Slug::parse("june").unwrap();
    assert!(matches!(stage.publications.by_slug(&site, &slug).await, Err(PublicationsError::NotFound)));
}

#[tokio::test]
async fn those_who_keep_copies_are_told() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", true).await;
    let _ = stage.sites.take();
    stage.broadcasts.update(&owner(), &broadcast.id, draft("july", true), Rescheduling::Keep).await.unwrap();
    stage.broadcasts.send_now(&owner(), &broadcast.id, None).await.unwrap();
    stage.broadcasts.cancel(&owner(), &broadcast.id).await.unwrap();
    stage.broadcasts.delete(&owner(), &broadcast.id).await.unwrap();
    stage.templates.update(&owner(), mail("News", "<mj-text>a</mj-text>")).await.unwrap();
    assert_eq!(stage.sites.take(), vec![workspace(); 5]);
}

#[tokio::test]
async fn a_slug_is_tried_before_it_is_used() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", true).await;
    let tried = async |slug: &str, own: Option<&BroadcastId>| {
        let verdict = stage.publications.validate_slug(&owner(), slug, own).await.unwrap();
        (verdict.valid, verdict.available)
    };
    assert_eq!(tried("july", None).await, (true, true));
    assert_eq!(tried("june", None).await, (true, false));
    assert_eq!(tried("june", Some(&broadcast.id)).await, (true, true));
    assert_eq!(tried("api", None).await, (false, false));
    assert_eq!(tried("No slug", None).await, (false, false));
}

#[tokio::test]
async fn a_draft_is_shown_to_whoever_has_the_link() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", true).await;
    let link = stage.publications.preview_link(&owner(), &broadcast.id).await.unwrap();
    let url = url::Url::parse(&link.url).unwrap();
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let good = Preview {
        broadcast: broadcast.id.clone(),
        expires: value("expires").parse().unwrap(),
        signature: value("signature"),
    };
    let site = site(&stage).await;
    assert_eq!(stage.publications.preview(&site, &good).await.unwrap().post.broadcast, broadcast.id);
    let forged = Preview { expires: good.expires + 1, ..good.clone() };
    let refused = stage.publications.preview(&site, &forged).await.unwrap_err();
    assert!(matches!(refused, PublicationsError::BadLink));
    stage.clock.advance(Duration::hours(24));
    let refused = stage.publications.preview(&site, &good).await.unwrap_err();
    assert!(matches!(refused, PublicationsError::BadLink));
}

#[tokio::test]
async fn pages_are_for_those_who_may_read_broadcasts() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", true).await;
    let (blind, reader) = (all_but(Resource::Broadcasts, READ), all_but(Resource::Broadcasts, WRITE));
    let refused = stage.publications.preview_link(&blind, &broadcast.id).await.unwrap_err();
    assert!(matches!(refused, PublicationsError::Denied(_)));
    let refused = stage.publications.validate_slug(&blind, "a", None).await.unwrap_err();
    assert!(matches!(refused, PublicationsError::Denied(_)));
    stage.publications.preview_link(&reader, &broadcast.id).await.unwrap();
}

#[tokio::test]
async fn a_page_alone_is_published_when_its_moment_has_come() {
    let stage = stage(true).await;
    let broadcast = stored(&stage, "june", false).await;
    let moment = stage.clock.now() + Duration::hours(2);
    let (date, time) = (moment.format("%Y-%m-%d").to_string(), moment.format("%H:%M").to_string());
    let schedule = Schedule::parse(&date, &time, None, false).unwrap();
    stage.broadcasts.schedule(&owner(), &broadcast.id, schedule, None).await.unwrap();
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    assert_eq!(listed(&stage).await, []);
    stage.clock.advance(Duration::hours(2));
    while stage.broadcasts.plan(&workspace()).await.unwrap().more {}
    assert_eq!(listed(&stage).await, [broadcast.id]);
}
