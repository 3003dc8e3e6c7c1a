//! What contacts do about their own mails, through public forms and the links in mails.

use crate::support::{Answer, PATIENCE, Server, Tenant, mjml, workspace};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use smtp::sink::{ReceivedMail, Sink, SinkOptions};

/// A visitor with an address of its own, so that none uses up the attempts of another.
struct Visitor {
    server: &'static Server,
    address: String,
    language: &'static str,
}

impl Visitor {
    fn new(tenant: &Tenant) -> Self {
        Self { server: tenant.server, address: format!("{}.visitor.example", tenant.id), language: "en" }
    }

    fn asked(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let number =
            self.address.bytes().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let [a, b] = number.to_be_bytes();
        request.header("x-forwarded-for", format!("203.{a}.{b}.9")).header("accept-language", self.language)
    }

    async fn get(&self, path: &str) -> Answer {
        let anonymous = self.server.anonymous();
        anonymous.send(self.asked(anonymous.request("get", path))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let anonymous = self.server.anonymous();
        anonymous.send(self.asked(anonymous.request("post", path).json(body))).await
    }

    /// Posts a form as a browser does.
    async fn form(&self, path: &str, entries: &[(&str, &str)]) -> Answer {
        let anonymous = self.server.anonymous();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(entries).finish();
        let request = anonymous
            .request("post", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        anonymous.send(self.asked(request)).await
    }
}

fn page(answer: &Answer) -> &str {
    answer.body.as_str().expect("a page")
}

async fn public_list(tenant: &Tenant, id: &str, is_double_optin: bool) {
    let body = json!({"id": id, "name": format!("List {id}"), "is_public": true,
        "description": "What is new", "is_double_optin": is_double_optin});
    tenant.post("lists.create", body).await.ok();
}

async fn subscribed(tenant: &Tenant, email: &str, lists: Value) {
    let body = json!({"contact": {"email": email}, "list_ids": lists});
    tenant.post("lists.subscribe", body).await.ok();
}

/// The standing of a contact on lists.
async fn standings(tenant: &Tenant, email: &str) -> Value {
    let found = tenant.get("contacts.getByEmail", &format!("email={email}")).await;
    if found.status == 404 {
        return Value::Null;
    }
    let lists = found.ok()["contact"]["contact_lists"].as_array().unwrap().clone();
    let pairs = lists.iter().map(|m| (m["list_id"].as_str().unwrap().to_owned(), m["status"].clone()));
    Value::Object(pairs.collect())
}

/// The plain text of a mail, decoded.
fn plain(mail: &ReceivedMail) -> String {
    let text = mail.text();
    let part = text.split("Content-Type: text/plain").nth(1).expect("a part of plain text");
    let (head, body) = part.split_once("\r\n\r\n").expect("a body");
    let body = body.split("\r\n--").next().unwrap();
    if head.contains("base64") {
        let bytes = STANDARD.decode(body.replace("\r\n", "")).expect("base64");
        return String::from_utf8(bytes).expect("UTF-8");
    }
    if head.contains("quoted-printable") {
        let escaped = body.replace("=\r\n", "").replace('%', "%25").replace('=', "%");
        return percent_encoding::percent_decode_str(&escaped).decode_utf8().expect("UTF-8").into_owned();
    }
    body.to_owned()
}

/// Waits until the sink has taken so many mails, and answers the text of the last.
async fn mail(sink: &Sink, number: usize) -> String {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while sink.count() < number {
        assert!(tokio::time::Instant::now() < deadline, "the mail does not come");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    plain(&sink.received().pop().unwrap())
}

/// The path of a link in a mail.
fn link<'a>(text: &'a str, begin: &str) -> &'a str {
    let base = "https://mail.acme.example";
    let found = text.match_indices(base).map(|(at, _)| &text[at + base.len()..]);
    let link = found.into_iter().find(|rest| rest.starts_with(begin)).expect("a link");
    link.split_whitespace().next().unwrap()
}

/// A contact, with the link to its own page from a mail.
async fn contact_with_link(server: &'static Server) -> (Tenant, String) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    public_list(&tenant, "news", false).await;
    subscribed(&tenant, "ana@shop.example", json!(["news"])).await;
    let entries = [("action", "link"), ("wid", tenant.id.as_str()), ("email", "ana@shop.example")];
    Visitor::new(&tenant).form("/notification-center", &entries).await;
    let text = mail(&sink, 1).await;
    let link = link(&text, "/notification-center?email").to_owned();
    (tenant, link)
}

async fn a_subscription_is_confirmed_by_the_click_on_a_page(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let visitor = Visitor { language: "de", ..Visitor::new(&tenant) };
    public_list(&tenant, "news", true).await;
    let form = visitor.get(&format!("/subscribe?wid={}", tenant.id)).await;
    assert_eq!(form.status, 200);
    for part in ["<html lang=\"de\"", "List news", "name=\"list_ids\"", "name=\"homepage\"", "Acme"] {
        assert!(page(&form).contains(part), "{part} is missing: {}", page(&form));
    }
    let entries = [
        ("workspace_id", tenant.id.as_str()),
        ("language", "de"),
        ("email", " Zoe@Shop.example "),
        ("first_name", "<b>Zoe</b>"),
        ("list_ids", "news"),
        ("homepage", ""),
    ];
    let thanked = visitor.form("/subscribe", &entries).await;
    assert_eq!(thanked.status, 200);
    assert!(page(&thanked).contains("zoe@shop.example") && page(&thanked).contains("Vielen Dank"));
    assert_eq!(standings(&tenant, "zoe@shop.example").await, json!({"news": "pending"}));
    let text = mail(&sink, 1).await;
    assert!(text.contains("List news") && text.contains("Bestätigen Sie"), "{text}");
    let link = link(&text, "/notification-center?action=confirm").to_owned();
    let asked = visitor.get(&link).await;
    assert!(page(&asked).contains("<form method=\"post\"") && page(&asked).contains("List news"));
    assert_eq!(
        standings(&tenant, "zoe@shop.example").await,
        json!({"news": "pending"}),
        "looking confirms nothing"
    );
    let confirmed = visitor.form(&link, &[]).await;
    assert!(page(&confirmed).contains("Ihr Abonnement ist bestätigt"), "{}", page(&confirmed));
    assert_eq!(standings(&tenant, "zoe@shop.example").await, json!({"news": "active"}));
    let again = visitor.get(&link).await;
    assert!(!page(&again).contains("<form"), "there is nothing to confirm any longer");
}

async fn the_answer_is_the_same_whoever_asks(server: &'static Server) {
    let tenant = server.tenant().await;
    let visitor = Visitor::new(&tenant);
    public_list(&tenant, "news", false).await;
    subscribed(&tenant, "known@shop.example", json!(["news"])).await;
    let bounced = json!({"email": "known@shop.example", "list_id": "news", "status": "bounced"});
    tenant.post("contactLists.updateStatus", bounced).await.ok();
    for email in ["known@shop.example", "new@shop.example"] {
        let contact = json!({"email": email, "first_name": "Eve", "phone": "666", "custom_string_1": "x"});
        let body = json!({"workspace_id": tenant.id, "contact": contact, "list_ids": ["news"]});
        assert_eq!(visitor.post("/subscribe", &body).await.ok(), json!({"success": true}));
    }
    assert_eq!(standings(&tenant, "known@shop.example").await, json!({"news": "bounced"}));
    let known = tenant.get("contacts.getByEmail", "email=known@shop.example").await.ok();
    assert_eq!(known["contact"].get("first_name"), None, "a contact keeps its fields");
    let new = tenant.get("contacts.getByEmail", "email=new@shop.example").await.ok();
    assert_eq!((new["contact"]["first_name"].as_str(), new["contact"].get("phone")), (Some("Eve"), None));
    let trapped = json!({"workspace_id": tenant.id, "contact": {"email": "bot@shop.example"},
        "list_ids": ["news"], "homepage": "https://spam.example"});
    assert_eq!(visitor.post("/subscribe", &trapped).await.ok(), json!({"success": true}));
    assert_eq!(standings(&tenant, "bot@shop.example").await, Value::Null);
}

async fn a_form_says_what_is_wrong(server: &'static Server) {
    let tenant = server.tenant().await;
    let visitor = Visitor::new(&tenant);
    public_list(&tenant, "news", false).await;
    tenant.list("inside").await;
    let wid = tenant.id.as_str();
    let sent =
        |email, lists| [("wid", wid), ("email", email), ("list_ids", lists), ("first_name", "\"><script>")];
    let wrong = visitor.form("/subscribe", &sent("nobody", "news")).await;
    assert_eq!(wrong.status, 400);
    assert!(page(&wrong).contains("valid e-mail address") && page(&wrong).contains("role=\"alert\""));
    assert!(!page(&wrong).contains("<script"), "{}", page(&wrong));
    let wrong = visitor.form("/subscribe", &sent("a@b.example", "")).await;
    assert!(
        page(&wrong).contains("at least one newsletter") && page(&wrong).contains("value=\"a@b.example\"")
    );
    for list in ["inside", "nowhere"] {
        assert_eq!(visitor.form("/subscribe", &sent("a@b.example", list)).await.status, 400);
        let body = json!({"workspace_id": wid, "contact": {"email": "a@b.example"}, "list_ids": [list]});
        let problem = visitor.post("/subscribe", &body).await.problem(400);
        assert_eq!(problem["error"], "list is not public");
    }
    assert_eq!(visitor.get("/subscribe?wid=nobody").await.status, 404);
    assert_eq!(visitor.get("/subscribe").await.status, 404);
    let empty = json!({"workspace_id": wid, "contact": {"email": "x"}, "list_ids": [7]});
    visitor.post("/subscribe", &empty).await.problem(400);
    let nowhere = json!({"workspace_id": "nobody", "contact": {"email": "a@b.example"}, "list_ids": ["l"]});
    visitor.post("/subscribe", &nowhere).await.problem(404);
    assert_eq!(standings(&tenant, "a@b.example").await, Value::Null);
}

async fn attempts_are_limited_and_told_when_to_come_back(server: &'static Server) {
    let tenant = server.tenant().await;
    let visitor = Visitor::new(&tenant);
    public_list(&tenant, "news", false).await;
    let body = json!({"workspace_id": tenant.id, "contact": {"email": "a@b.example"}, "list_ids": ["news"]});
    let mut refused = None;
    for _ in 0..30 {
        let answer = visitor.post("/subscribe", &body).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the eleventh within a minute is too many");
    let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after));
    refused.problem(429);
}

async fn a_contact_chooses_on_its_own_page(server: &'static Server) {
    let (tenant, link) = contact_with_link(server).await;
    let visitor = Visitor::new(&tenant);
    public_list(&tenant, "offers", false).await;
    let shown = visitor.get(&link).await;
    assert_eq!((shown.status.as_u16(), shown.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
    let policy = shown.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    for part in ["value=\"news\" checked", "value=\"offers\"", "Europe/Lisbon", "What is new"] {
        assert!(page(&shown).contains(part), "{part} is missing: {}", page(&shown));
    }
    assert!(!page(&shown).contains("<script"));
    let entries = [
        ("shown", "news"),
        ("list", "offers"),
        ("first_name", "Ana"),
        ("last_name", ""),
        ("language", "fr"),
        ("timezone", "Europe/Lisbon"),
        ("phone", "666"),
    ];
    let saved = visitor.form(&link, &entries).await;
    assert_eq!(saved.status, 303);
    let next = format!("/{}", saved.headers["location"].to_str().unwrap());
    let shown = visitor.get(&next).await;
    assert!(page(&shown).contains("Vos préférences sont enregistrées."), "{}", page(&shown));
    assert!(
        page(&shown).contains("value=\"Ana\"") && page(&shown).contains("<html lang=\"fr\" dir=\"ltr\">")
    );
    let wanted = json!({"news": "unsubscribed", "offers": "active"});
    assert_eq!(standings(&tenant, "ana@shop.example").await, wanted);
    let contact = tenant.get("contacts.getByEmail", "email=ana@shop.example").await.ok()["contact"].clone();
    assert_eq!((contact["timezone"].as_str(), contact.get("phone")), (Some("Europe/Lisbon"), None));
    let long = "x".repeat(300);
    let refused = visitor.form(&link, &[("first_name", &long), ("leave_all", "1")]).await;
    assert_eq!(refused.status, 400);
    assert_eq!(standings(&tenant, "ana@shop.example").await, wanted, "all of it or nothing");
    visitor.form(&link, &[("leave_all", "1")]).await;
    let nothing = json!({"news": "unsubscribed", "offers": "unsubscribed"});
    assert_eq!(standings(&tenant, "ana@shop.example").await, nothing);
}

async fn a_script_reads_and_changes_preferences(server: &'static Server) {
    let (tenant, link) = contact_with_link(server).await;
    let visitor = Visitor::new(&tenant);
    tenant.list("inside").await;
    let more = json!({"contact": {"email": "ana@shop.example", "phone": "1", "first_name": "Ana"}});
    tenant.post("contacts.upsert", more).await.ok();
    let query = link.split_once('?').unwrap().1;
    let token = query.split('&').find_map(|pair| pair.strip_prefix("email_hmac=")).unwrap();
    let of = |token: &str| {
        format!("/preferences?workspace_id={}&email=ana@shop.example&email_hmac={token}", tenant.id)
    };
    let shown = visitor.get(&of(token)).await.ok();
    assert_eq!(shown["contact"], json!({"email": "ana@shop.example", "first_name": "Ana"}));
    assert_eq!(
        (shown["public_lists"][0]["id"].as_str(), shown["logo_url"].as_str()),
        (Some("news"), Some(""))
    );
    assert_eq!(shown["contact_lists"][0]["status"], "active");
    assert_eq!(shown["public_lists"].as_array().map(Vec::len), Some(1));
    visitor.get(&of(&"0".repeat(64))).await.problem(401);
    visitor.get(&format!("/preferences?workspace_id={}", tenant.id)).await.problem(400);
    let change = |fields: Value| {
        let mut body = json!({"workspace_id": tenant.id, "email": "ana@shop.example", "email_hmac": token});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let good = change(json!({"language": "fr", "timezone": "Europe/Lisbon"}));
    assert_eq!(visitor.post("/preferences", &good).await.ok(), json!({"success": true}));
    let contact = visitor.get(&of(token)).await.ok()["contact"].clone();
    assert_eq!(
        (contact["language"].as_str(), contact["timezone"].as_str()),
        (Some("fr"), Some("Europe/Lisbon"))
    );
    visitor.post("/preferences", &change(json!({}))).await.problem(400);
    visitor.post("/preferences", &change(json!({"language": "French"}))).await.problem(400);
    visitor.post("/preferences", &change(json!({"language": "fr", "email_hmac": "x"}))).await.problem(401);
    let known = json!({"workspace_id": tenant.id, "list_ids": ["news"],
        "contact": {"email": "ana@shop.example", "email_hmac": token, "last_name": "Lima", "phone": "666"}});
    visitor.post("/subscribe", &known).await.ok();
    let contact = tenant.get("contacts.getByEmail", "email=ana@shop.example").await.ok()["contact"].clone();
    assert_eq!((contact["last_name"].as_str(), contact["phone"].as_str()), (Some("Lima"), Some("1")));
    let leave = json!({"wid": tenant.id, "email": "ana@shop.example", "email_hmac": token, "lids": ["news"]});
    assert_eq!(visitor.post("/unsubscribe-oneclick", &leave).await.ok(), json!({"success": true}));
    assert_eq!(standings(&tenant, "ana@shop.example").await, json!({"news": "unsubscribed"}));
}

async fn a_link_that_is_not_good_leads_to_a_new_one(server: &'static Server) {
    let (tenant, link) = contact_with_link(server).await;
    let visitor = Visitor::new(&tenant);
    let other = server.tenant().await;
    let forged = link.replace("email_hmac=", "email_hmac=f");
    let foreign = link.replace(&format!("wid={}", tenant.id), &format!("wid={}", other.id));
    let somebody = link.replace("email=ana", "email=bob");
    let confirm = format!("{link}&action=confirm&lid=news");
    for bad in [forged.as_str(), &foreign, &somebody, &confirm, "/notification-center"] {
        let shown = visitor.get(bad).await;
        assert_eq!(shown.status, 403, "{bad}");
        assert!(page(&shown).contains("not valid or has expired"), "{}", page(&shown));
        assert_eq!(visitor.form(bad, &[("leave_all", "1")]).await.status, 403);
    }
    assert_eq!(standings(&tenant, "ana@shop.example").await, json!({"news": "active"}));
    let offered = visitor.get(&forged).await;
    assert!(page(&offered).contains("name=\"action\" value=\"link\"") && page(&offered).contains("Acme"));
    let ask = |email| [("action", "link"), ("wid", tenant.id.as_str()), ("email", email)];
    let known = visitor.form("/notification-center", &ask("ana@shop.example")).await;
    let unknown = visitor.form("/notification-center", &ask("bob@shop.example")).await;
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
    assert_eq!(visitor.form("/notification-center", &ask("nobody")).await.status, 400);
}

async fn who_leaves_through_a_newsletter_is_counted(server: &'static Server) {
    let sink = Sink::start(SinkOptions::default()).await.unwrap();
    let tenant = server.tenant_with(&sink).await;
    let visitor = Visitor::new(&tenant);
    let body = "<mj-text>Hi <a href=\"{{ unsubscribe_url }}\">leave</a></mj-text>";
    tenant.template("june", mjml("June", body)).await;
    public_list(&tenant, "news", false).await;
    subscribed(&tenant, "ana@shop.example", json!(["news"])).await;
    let draft = json!({"name": "June", "audience": {"list": "news"},
        "test_settings": {"variations": [{"template_id": "june"}]}});
    let made = tenant.post("broadcasts.create", draft).await.ok();
    let id = made["broadcast"]["id"].as_str().unwrap().to_owned();
    tenant.post("broadcasts.schedule", json!({"id": id, "send_now": true})).await.ok();
    tenant.account(&id, 1).await;
    let text = mail(&sink, 1).await;
    let link =
        link(&text, "/notification-center?action=unsubscribe").trim_end_matches([')', ']', '>']).to_owned();
    let asked = visitor.get(&link).await;
    assert!(page(&asked).contains("List news") && page(&asked).contains("<button>Unsubscribe</button>"));
    let left = visitor.form(&link, &[]).await;
    assert!(page(&left).contains("You are unsubscribed"), "{}", page(&left));
    let stats = tenant.get("messages.broadcastStats", &format!("broadcast_id={id}")).await.ok();
    assert_eq!(stats["stats"]["total_unsubscribed"], 1);
    let found = tenant.get("messages.list", "contact_email=ana@shop.example&is_unsubscribed=true").await.ok();
    assert!(found["messages"][0]["unsubscribed_at"].is_string());
    let again = visitor.get(&link).await;
    assert!(page(&again).contains("You do not receive these mails.") && !page(&again).contains("<form"));
}

async fn the_form_belongs_to_the_domain_of_a_workspace(server: &'static Server) {
    let tenant = server.tenant().await;
    public_list(&tenant, "news", false).await;
    let host = format!("{}.forms.example", tenant.id);
    let mut settings = workspace(&tenant.id);
    settings["settings"]["custom_endpoint_url"] = json!(format!("https://{host}"));
    tenant.owner.post("/api/workspaces.update", &settings).await.ok();
    let anonymous = server.anonymous();
    let shown = anonymous.send(anonymous.request("get", "/subscribe").header("host", &host)).await;
    assert!(page(&shown).contains("List news"), "{}", page(&shown));
}

async fn a_program_subscribes_contacts(server: &'static Server) {
    let tenant = server.tenant().await;
    public_list(&tenant, "news", true).await;
    let call = |contact: Value, lists: Value| {
        tenant.post("lists.subscribe", json!({"contact": contact, "list_ids": lists}))
    };
    let answer = call(json!({"email": "ana@shop.example", "phone": "1"}), json!(["news"])).await.ok();
    assert_eq!(answer, json!({"success": true}));
    assert_eq!(standings(&tenant, "ana@shop.example").await, json!({"news": "active"}));
    call(json!({"email": "ana@shop.example"}), json!([])).await.problem(400);
    call(json!({"email": "nobody"}), json!(["news"])).await.problem(400);
    let missing = call(json!({"email": "ana@shop.example"}), json!(["nowhere"])).await.problem(404);
    assert_eq!(missing["error"], "contact list not found");
}

async fn a_list_that_nobody_could_confirm_takes_nobody(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    public_list(&tenant, "news", true).await;
    let body = json!({"workspace_id": tenant.id, "contact": {"email": "a@b.example"}, "list_ids": ["news"]});
    Visitor::new(&tenant).post("/subscribe", &body).await.problem(422);
    assert_eq!(standings(&tenant, "a@b.example").await, Value::Null);
}

on_both_databases! {
    a_subscription_is_confirmed_by_the_click_on_a_page
    the_answer_is_the_same_whoever_asks
    a_form_says_what_is_wrong
    attempts_are_limited_and_told_when_to_come_back
    a_contact_chooses_on_its_own_page
    a_script_reads_and_changes_preferences
    a_link_that_is_not_good_leads_to_a_new_one
    who_leaves_through_a_newsletter_is_counted
    the_form_belongs_to_the_domain_of_a_workspace
    a_program_subscribes_contacts
    a_list_that_nobody_could_confirm_takes_nobody
}
