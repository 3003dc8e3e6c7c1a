//! Broadcasts as pages on the domain of a workspace.

use crate::support::{Answer, Server, Tenant, mjml, sqlite, workspace};
use serde_json::{Value, json};

/// A tenant with a domain, a list, a template, and the host of its domain.
async fn site(server: &'static Server) -> (Tenant, String) {
    let tenant = server.tenant().await;
    let host = format!("{}.news.example", tenant.id);
    move_to(&tenant, &host).await;
    tenant.list("news").await;
    tenant.template("june", mjml("June", "<mj-text>The <a href=\"/more\">harvest</a> is in</mj-text>")).await;
    (tenant, host)
}

/// Gives a tenant another domain.
async fn move_to(tenant: &Tenant, host: &str) {
    let mut settings = workspace(&tenant.id);
    settings["settings"]["custom_endpoint_url"] = json!(format!("https://{host}"));
    settings["settings"]["marketing_email_provider_id"] = json!(tenant.integration);
    tenant.owner.post("/api/workspaces.update", &settings).await.ok();
}

fn draft(name: &str, slug: &str) -> Value {
    json!({"name": name, "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "june"}]},
        "channels": {"email": false, "web": true},
        "web_settings": {"slug": slug, "meta_description": "What grew in June"}})
}

/// Makes a page and publishes it. Answers its broadcast.
async fn publish(tenant: &Tenant, draft: Value) -> String {
    let made = tenant.post("broadcasts.create", draft).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    id
}

async fn visit_with(server: &Server, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let anonymous = server.anonymous();
    let mut request = anonymous.request("get", path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    anonymous.send(request).await
}

async fn visit(server: &Server, host: &str, path: &str) -> Answer {
    visit_with(server, host, path, &[]).await
}

fn text(answer: Answer) -> String {
    assert!(answer.status.is_success(), "{}: {}", answer.status, answer.body);
    match answer.body {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn leads_to(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.headers["location"].to_str().unwrap())
}

async fn a_newsletter_is_a_page_in_lists_and_feeds(server: &'static Server) {
    let (tenant, host) = site(server).await;
    let id = publish(&tenant, draft("The harvest", "harvest")).await;
    let address = format!("https://{host}/harvest-{id}");
    let list = text(visit(server, &host, "/").await);
    assert!(list.contains(&format!("<a href=\"{address}\">The harvest</a>")), "{list}");
    let post = text(visit(server, &host, &format!("/harvest-{id}")).await);
    for part in [
        "<title>The harvest</title>",
        &format!("<link rel=\"canonical\" href=\"{address}\">"),
        "<meta name=\"description\" content=\"What grew in June\">",
        "<meta property=\"og:type\" content=\"article\">",
        "harvest</a> is in",
    ] {
        assert!(post.contains(part), "{part} is missing: {post}");
    }
    assert!(!post.contains("<script") && !post.contains("<!--"));
    let rss = text(visit(server, &host, "/feed.xml").await);
    assert!(rss.contains(&format!("<link>{address}</link>")) && rss.contains("<content:encoded>"), "{rss}");
    let feed: Value = serde_json::from_str(&text(visit(server, &host, "/feed.json").await)).unwrap();
    assert_eq!(feed["items"][0]["url"], address.as_str());
    assert!(feed["items"][0]["content_html"].as_str().unwrap().contains(&format!("https://{host}/more")));
    assert!(text(visit(server, &host, "/sitemap.xml").await).contains(&format!("<loc>{address}</loc>")));
    let robots = text(visit(server, &host, "/robots.txt").await);
    assert!(robots.contains(&format!("Sitemap: https://{host}/sitemap.xml")));
}

async fn a_mail_that_is_also_a_page_reaches_both(server: &'static Server) {
    let (tenant, host) = site(server).await;
    let rows = json!({"contacts": [{"email": "a@shop.example"}], "subscribe_to_lists": ["news"]});
    tenant.post("contacts.import", rows).await.ok();
    let mut draft = draft("The harvest", "harvest");
    draft["channels"]["email"] = json!(true);
    let id = publish(&tenant, draft).await;
    assert_eq!(tenant.account(&id, 1).await["sent"], 1);
    assert!(visit(server, &host, &format!("/harvest-{id}")).await.status.is_success());
    let broadcast = tenant.get("broadcasts.get", &format!("id={id}")).await.ok()["broadcast"].clone();
    assert_eq!(broadcast["channels"], json!({"email": true, "web": true}));
    assert!(broadcast["web_settings"]["published_at"].is_string());
}

async fn other_spellings_lead_to_the_right_address(server: &'static Server) {
    let (tenant, host) = site(server).await;
    let id = publish(&tenant, draft("The harvest", "harvest")).await;
    let right = format!("/harvest-{id}");
    for other in [format!("/old-name-{id}"), format!("/harvest-{id}/"), "/harvest".to_owned()] {
        assert_eq!(leads_to(&visit(server, &host, &other).await), (301, right.as_str()), "{other}");
    }
    assert_eq!(leads_to(&visit(server, &host, "/?page=1").await), (301, "/"));
    for page in ["0", "-1", "x", "99999999999999999999999"] {
        assert_eq!(leads_to(&visit(server, &host, &format!("/?page={page}")).await), (302, "/"), "{page}");
    }
    for missing in
        ["/?page=2", "/?page=18446744073709551615", "/nothing", "/a/b", "/harvest-0", "//x.example"]
    {
        assert_eq!(visit(server, &host, missing).await.status, 404, "{missing}");
    }
}

async fn a_change_is_seen_at_once(server: &'static Server) {
    let (tenant, host) = site(server).await;
    assert!(!text(visit(server, &host, "/").await).contains("The harvest"));
    let id = publish(&tenant, draft("The harvest", "harvest")).await;
    assert!(text(visit(server, &host, "/").await).contains("The harvest"));
    let path = format!("/harvest-{id}");
    assert!(text(visit(server, &host, &path).await).contains("is in"));
    let email = mjml("June", "<mj-text>The harvest is over</mj-text>");
    let body =
        json!({"id": "june", "name": "june", "channel": "email", "category": "marketing", "email": email});
    tenant.post("templates.update", body).await.ok();
    assert!(text(visit(server, &host, &path).await).contains("is over"));
    tenant.post("broadcasts.cancel", json!({"id": id})).await.ok();
    assert_eq!(visit(server, &host, &path).await.status, 404);
    assert!(!text(visit(server, &host, "/").await).contains("The harvest"));
    let elsewhere = format!("moved.{host}");
    move_to(&tenant, &elsewhere).await;
    assert!(visit(server, &elsewhere, "/").await.status.is_success());
    assert_eq!(leads_to(&visit(server, &host, "/").await), (307, "/docs"));
}

async fn a_slug_is_taken_once(server: &'static Server) {
    let (tenant, _) = site(server).await;
    publish(&tenant, draft("The harvest", "harvest")).await;
    let taken = tenant.post("broadcasts.create", draft("Again", "harvest")).await.problem(409);
    assert_eq!(taken["code"], "slug_taken");
    let verdict = tenant.post("broadcasts.validate_slug", json!({"slug": "harvest"})).await.ok();
    assert_eq!((&verdict["valid"], &verdict["available"]), (&json!(true), &json!(false)));
    let reserved = tenant.post("broadcasts.create", draft("Again", "api")).await.problem(400);
    assert_eq!(reserved["errors"][0]["pointer"], "/web_settings/slug");
}

async fn a_draft_is_seen_by_signed_link_only(server: &'static Server) {
    let (tenant, host) = site(server).await;
    let made = tenant.post("broadcasts.create", draft("The harvest", "harvest")).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap();
    assert_eq!(visit(server, &host, &format!("/harvest-{id}")).await.status, 404);
    let link = tenant.get("broadcasts.webPreview", &format!("id={id}")).await.ok();
    let path = link["url"].as_str().unwrap().strip_prefix(&format!("https://{host}")).unwrap();
    let shown = visit(server, &host, path).await;
    assert_eq!(shown.headers["cache-control"], "private, no-store");
    assert!(text(shown).contains("noindex"));
    assert_eq!(visit(server, &host, &format!("{path}0")).await.status, 403);
    assert_eq!(visit(server, &host, &format!("/preview/{id}")).await.status, 403);
}

on_both_databases! {
    a_newsletter_is_a_page_in_lists_and_feeds
    a_mail_that_is_also_a_page_reaches_both
    other_spellings_lead_to_the_right_address
    a_change_is_seen_at_once
    a_slug_is_taken_once
    a_draft_is_seen_by_signed_link_only
}

#[tokio::test]
async fn a_page_needs_a_domain_of_the_workspace() {
    let tenant = sqlite().tenant().await;
    tenant.list("news").await;
    let refused = tenant.post("broadcasts.create", draft("The harvest", "harvest")).await.problem(400);
    assert_eq!(refused["code"], "workspace_without_domain");
}

#[tokio::test]
async fn no_field_of_a_page_brings_markup() {
    let (tenant, host) = site(sqlite()).await;
    let evil = "\"'></title><script>alert(1)</script>";
    tenant
        .template(
            "evil",
            mjml("June", "<mj-text>{{ broadcast.name }}</mj-text><mj-raw><script>alert(1)</script></mj-raw>"),
        )
        .await;
    let mut draft = draft(evil, "evil");
    draft["web_settings"] = json!({"slug": "evil", "meta_title": evil, "meta_description": evil,
        "og_title": evil, "og_description": evil, "og_image": "https://x.example/\"><script>",
        "canonical_url": "https://x.example/?a=\"><script>", "keywords": [evil]});
    draft["test_settings"]["variations"][0]["template_id"] = json!("evil");
    let id = publish(&tenant, draft).await;
    for path in ["/".to_owned(), format!("/evil-{id}"), "/feed.xml".to_owned(), "/sitemap.xml".to_owned()] {
        let answer = visit(sqlite(), &host, &path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"));
        let page = text(answer);
        assert!(!page.to_lowercase().contains("<script"), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_host_that_nobody_has_is_the_server_itself() {
    let server = sqlite();
    assert_eq!(leads_to(&visit(server, "nobody.example", "/").await), (307, "/docs"));
    visit(server, "nobody.example", "/harvest").await.problem(404);
    visit(server, "", "/harvest").await.problem(404);
    assert!(visit(server, "nobody.example", "/healthz").await.status.is_success());
}

#[tokio::test]
async fn a_host_is_not_taken_from_the_sender_s_word() {
    let server = sqlite();
    let (_tenant, host) = site(server).await;
    let forwarded = [("x-forwarded-host", host.as_str()), ("forwarded", "host=x")];
    assert_eq!(leads_to(&visit_with(server, "nobody.example", "/", &forwarded).await), (307, "/docs"));
    let shown = text(visit(server, &format!("{}.:8443", host.to_uppercase()), "/").await);
    assert!(shown.contains(&format!("href=\"https://{host}/\"")));
    visit(server, &host, "/api/nothing").await.problem(404);
}

#[tokio::test]
async fn a_copy_that_is_still_good_is_not_sent_again() {
    let server = sqlite();
    let (tenant, host) = site(server).await;
    publish(&tenant, draft("The harvest", "harvest")).await;
    let first = visit(server, &host, "/feed.xml").await;
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let modified = first.headers["last-modified"].to_str().unwrap().to_owned();
    let again = |name, value| async move { visit_with(server, &host, "/feed.xml", &[(name, value)]).await };
    let unchanged = again.clone()("if-none-match", &etag).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body), (304, json!("")));
    assert_eq!(again.clone()("if-modified-since", &modified).await.status, 304);
    assert_eq!(again("if-none-match", "\"other\"").await.status, 200);
}

#[tokio::test]
async fn a_page_is_sent_packed_to_those_who_unpack_it() {
    let server = sqlite();
    let (_tenant, host) = site(server).await;
    for (accepted, sent) in [("gzip", Some("gzip")), ("gzip, br", Some("br")), ("identity", None)] {
        let answer = visit_with(server, &host, "/", &[("accept-encoding", accepted)]).await;
        let encoding = answer.headers.get("content-encoding").map(|value| value.to_str().unwrap());
        assert_eq!((encoding, answer.headers["vary"].to_str().unwrap()), (sent, "Accept-Encoding"));
    }
}

#[tokio::test]
async fn a_site_is_only_read() {
    let (_tenant, host) = site(sqlite()).await;
    let anonymous = sqlite().anonymous();
    let refused = anonymous.send(anonymous.request("post", "/").header("host", &host)).await;
    assert_eq!((refused.status.as_u16(), refused.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    let head = anonymous.send(anonymous.request("head", "/").header("host", &host)).await;
    assert_eq!((head.status.as_u16(), head.body), (200, json!("")));
}
