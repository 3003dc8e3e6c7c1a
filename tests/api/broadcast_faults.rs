//! Broadcasts while others change things at the same moment.

use crate::support::{PATIENCE, Server, Tenant, mjml, workspace};
use serde_json::{Value, json};
use smtp::sink::{Sink, SinkOptions};
use std::collections::HashSet;

async fn audience(tenant: &Tenant, number: usize) {
    tenant.list("news").await;
    let body = "<mj-text>Hi {{ contact.email }} <a href=\"{{ unsubscribe_url }}\">x</a></mj-text>";
    tenant.template("june", mjml("June", body)).await;
    let rows: Vec<_> = (0..number).map(|n| json!({"email": format!("c{n:05}@shop.example")})).collect();
    tenant.post("contacts.import", json!({"contacts": rows, "subscribe_to_lists": ["news"]})).await.ok();
}

async fn started(tenant: &Tenant) -> String {
    let draft = json!({"name": "June", "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "june"}]}});
    let made = tenant.post("broadcasts.create", draft).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    id
}

async fn status(tenant: &Tenant, id: &str) -> String {
    let found = tenant.get("broadcasts.get", &format!("id={id}")).await.ok();
    found["broadcast"]["status"].as_str().unwrap().to_owned()
}

/// Waits until nobody is to be planned, and nothing is queued or being handed over.
async fn settled(tenant: &Tenant, id: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        // Asked for first: what is counted afterwards was planned by then.
        let planned = ["processed", "cancelled"].contains(&status(tenant, id).await.as_str());
        let answer = tenant.get("broadcasts.ledger", &format!("id={id}")).await.ok();
        let ledger = answer["ledger"].clone();
        if planned && ledger["queued"] == 0 && ledger["sending"] == 0 {
            return ledger;
        }
        assert!(tokio::time::Instant::now() < deadline, "{ledger}");
        tokio::task::yield_now().await;
    }
}

/// Everybody who was mailed; nobody twice.
fn reached(sink: &Sink) -> HashSet<String> {
    let all: Vec<_> = sink.received().into_iter().flat_map(|mail| mail.to).collect();
    let distinct: HashSet<_> = all.iter().cloned().collect();
    assert_eq!(distinct.len(), all.len(), "nobody is mailed twice");
    distinct
}

/// Lets several clients do something to a broadcast at once; answers how many succeeded. Others are
/// refused because of its status, and by nothing else.
async fn all_at_once(tenant: &Tenant, id: &str, what: &[&str], clients: usize) -> usize {
    let calls = (0..clients).flat_map(|_| what).map(|what| {
        let path = format!("broadcasts.{what}");
        async move { tenant.post(&path, json!({"id": id})).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    for answer in &answers {
        let status = answer.status.as_u16();
        assert!(status == 200 || status == 409, "{status}: {}", answer.body);
        if status == 409 {
            assert!(answer.body["error"].as_str().unwrap().contains("allowed: "), "{}", answer.body);
        }
    }
    answers.iter().filter(|answer| answer.status.is_success()).count()
}

async fn pauses_and_resumes_at_once_lose_nobody(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    audience(&tenant, 400).await;
    let id = started(&tenant).await;
    for _ in 0..5 {
        all_at_once(&tenant, &id, &["pause", "resume"], 4).await;
    }
    if status(&tenant, &id).await == "paused" {
        tenant.post("broadcasts.resume", json!({"id": id})).await.ok();
    }
    assert_eq!(tenant.account(&id, 400).await["sent"], 400);
    assert_eq!(reached(&sink).len(), 400);
    assert_eq!(status(&tenant, &id).await, "processed");
}

async fn a_broadcast_is_cancelled_once_whatever_else_is_done_to_it(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    audience(&tenant, 400).await;
    let id = started(&tenant).await;
    let (cancelled, _) = tokio::join!(
        all_at_once(&tenant, &id, &["cancel"], 6),
        all_at_once(&tenant, &id, &["pause", "resume"], 4)
    );
    assert_eq!(cancelled, 1);
    let ledger = settled(&tenant, &id).await;
    assert_eq!(status(&tenant, &id).await, "cancelled");
    let number = |state: &str| ledger[state].as_u64().unwrap();
    assert_eq!(number("sent") + number("cancelled"), number("planned"), "{ledger}");
    assert_eq!(reached(&sink).len() as u64, number("sent"));
}

async fn who_leaves_and_joins_while_it_is_sent_is_accounted_for(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    audience(&tenant, 300).await;
    let id = started(&tenant).await;
    let leave = (0..40).map(|n| {
        let body = json!({"email": format!("c{:05}@shop.example", 299 - n), "list_id": "news",
            "status": "unsubscribed"});
        tenant.post("contactLists.updateStatus", body)
    });
    let late: Vec<_> = (0..40).map(|n| json!({"email": format!("a{n:05}@shop.example")})).collect();
    let join = tenant.post("contacts.import", json!({"contacts": late, "subscribe_to_lists": ["news"]}));
    let (left, joined) = tokio::join!(futures_util::future::join_all(leave), join);
    joined.ok();
    for answer in left {
        answer.ok();
    }
    let ledger = settled(&tenant, &id).await;
    let number = |state: &str| ledger[state].as_u64().unwrap();
    assert_eq!(number("sent") + number("skipped"), number("planned"), "{ledger}");
    assert_eq!(number("skipped"), ledger["skipped_reasons"]["unsubscribed"].as_u64().unwrap());
    assert_eq!(reached(&sink).len() as u64, number("sent"));
    let stayed = (0..260).all(|n| reached(&sink).contains(&format!("c{n:05}@shop.example")));
    assert!(stayed, "who was there all the time is mailed");
}

async fn a_template_that_fails_for_some_is_sent_to_the_others(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    audience(&tenant, 20).await;
    let rows: Vec<_> =
        [3, 7].map(|n| json!({"email": format!("c{n:05}@shop.example"), "custom_number_1": 1})).to_vec();
    tenant.post("contacts.import", json!({"contacts": rows})).await.ok();
    let body = "<mj-text>{% if contact.custom_number_1 == 1 %}{{ 1 | divided_by: 0 }}{% endif %} \
                <a href=\"{{ unsubscribe_url }}\">x</a></mj-text>";
    let update = json!({"id": "june", "name": "june", "channel": "email", "category": "marketing",
        "email": mjml("June", body)});
    tenant.post("templates.update", update).await.ok();
    let id = started(&tenant).await;
    let ledger = tenant.account(&id, 20).await;
    assert_eq!((&ledger["sent"], &ledger["failed"]), (&json!(18), &json!(2)));
    let failed = tenant.get("broadcasts.recipients", &format!("id={id}&state=failed")).await.ok();
    let emails: Vec<_> =
        failed["recipients"].as_array().unwrap().iter().map(|line| line["contact_email"].clone()).collect();
    assert_eq!(emails, ["c00003@shop.example", "c00007@shop.example"]);
    assert!(!failed["recipients"][0]["reason"].as_str().unwrap().is_empty(), "{failed}");
    assert_eq!(reached(&sink).len(), 18);
}

async fn a_plan_names_what_is_missing_and_for_whom(server: &'static Server) {
    let tenant = server.tenant().await;
    audience(&tenant, 5).await;
    let named = json!({"contacts": [{"email": "c00001@shop.example", "first_name": "Ana"}]});
    tenant.post("contacts.import", named).await.ok();
    let body = "<mj-image src=\"https://shop.example/a.png\" />";
    tenant.template("bare", mjml("Hi {{ contact.first_name }}", body)).await;
    let draft = json!({"name": "Bare", "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "bare"}]}});
    let made = tenant.post("broadcasts.create", draft).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap();
    let plan = tenant.get("broadcasts.plan", &format!("id={id}")).await.ok();
    assert_eq!((&plan["checked_recipients"], plan["samples"].as_array().unwrap().len()), (&json!(5), 3));
    let warnings = plan["warnings"].as_array().unwrap();
    let of = |kind: &str| warnings.iter().find(|w| w["kind"] == kind).cloned().unwrap_or_default();
    let missing = of("undefined_variable");
    assert_eq!(missing["detail"], "contact.first_name has no value");
    assert_eq!(missing["affected"], 4);
    let named = missing["contact_emails"].as_array().unwrap();
    assert!(named.len() == 4 && !named.contains(&json!("c00001@shop.example")), "{missing}");
    assert_eq!(of("missing_unsubscribe_link")["affected"], 5);
    assert_eq!(of("missing_text")["affected"], 5);
    let listed = tenant.get("broadcasts.list", "with_templates=true").await.ok();
    let variation = &listed["broadcasts"][0]["test_settings"]["variations"][0];
    assert_eq!(
        (&variation["template"]["id"], &variation["template"]["version"]),
        (&json!("bare"), &json!(1))
    );
    let without = tenant.get("broadcasts.get", &format!("id={id}")).await.ok();
    assert_eq!(without["broadcast"]["test_settings"]["variations"][0].get("template"), None);
    let with = tenant.get("broadcasts.get", &format!("id={id}&with_templates=true")).await.ok();
    assert_eq!(with["broadcast"]["test_settings"]["variations"][0]["template"]["name"], "bare");
}

async fn a_mail_leads_to_its_page_when_it_has_one(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let host = format!("{}.pages.example", tenant.id);
    let mut settings = workspace(&tenant.id);
    settings["settings"]["custom_endpoint_url"] = json!(format!("https://{host}"));
    settings["settings"]["marketing_email_provider_id"] = json!(tenant.integration);
    tenant.owner.post("/api/workspaces.update", &settings).await.ok();
    audience(&tenant, 1).await;
    tenant.template("page", mjml("[{{ view_in_browser_url }}]", "<mj-text>Hi</mj-text>")).await;
    let subject = async |channels: Value, published_at: Value| {
        let draft = json!({"name": "June", "audience": {"list": "news"}, "channels": channels,
            "web_settings": {"slug": format!("june-{}", sink.count()), "published_at": published_at},
            "test_settings": {"variations": [{"template_id": "page"}]}});
        let made = tenant.post("broadcasts.create", draft).await.ok();
        let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
        tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
        tenant.account(&id, 1).await;
        (
            sink.received()
                .last()
                .unwrap()
                .header("Subject")
                .unwrap_or_default()
                .replace(['\r', '\n', ' '], ""),
            id,
        )
    };
    let (there, id) = subject(json!({"email": true, "web": true}), Value::Null).await;
    assert_eq!(there, format!("[https://{host}/june-0-{id}]"));
    let visit = tenant.server.anonymous();
    let page = visit.send(visit.request("get", &format!("/june-0-{id}")).header("host", &host)).await;
    assert_eq!(page.status, 200, "the link leads there");
    assert_eq!(subject(json!({"email": true, "web": false}), Value::Null).await.0, "[]");
    let later = json!("2999-01-01T00:00:00Z");
    assert_eq!(subject(json!({"email": true, "web": true}), later).await.0, "[]", "not before it is public");
}

async fn one_of_two_pages_made_at_once_has_the_slug(server: &'static Server) {
    let tenant = server.tenant().await;
    let mut settings = workspace(&tenant.id);
    settings["settings"]["custom_endpoint_url"] = json!(format!("https://{}.slugs.example", tenant.id));
    tenant.owner.post("/api/workspaces.update", &settings).await.ok();
    audience(&tenant, 1).await;
    let draft = json!({"name": "June", "audience": {"list": "news"}, "channels": {"email": false, "web": true},
        "web_settings": {"slug": "june"}, "test_settings": {"variations": [{"template_id": "june"}]}});
    let calls = (0..8).map(|_| tenant.post("broadcasts.create", draft.clone()));
    let answers = futures_util::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!(made, 1);
    for answer in answers.into_iter().filter(|answer| !answer.status.is_success()) {
        assert_eq!(answer.problem(409)["code"], "slug_taken");
    }
    for reserved in ["api", "preview", "healthz", "subscribe", "notification-center", "sitemap"] {
        let verdict = tenant.post("broadcasts.validate_slug", json!({"slug": reserved})).await.ok();
        assert_eq!(verdict["valid"], false, "{reserved}");
    }
}

on_both_databases! {
    pauses_and_resumes_at_once_lose_nobody
    a_broadcast_is_cancelled_once_whatever_else_is_done_to_it
    who_leaves_and_joins_while_it_is_sent_is_accounted_for
    a_template_that_fails_for_some_is_sent_to_the_others
    a_plan_names_what_is_missing_and_for_whom
    a_mail_leads_to_its_page_when_it_has_one
    one_of_two_pages_made_at_once_has_the_slug
}
