//! Every operation refuses who may not call it.

use crate::support::{Client, Server, Tenant, smtp_provider, workspace};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who may call an operation.
enum Need {
    /// Anybody.
    Nothing,
    /// Anybody who is signed in.
    SignedIn,
    /// The administrator of the installation.
    Root,
    /// The owner of the workspace.
    Owner,
    /// A member with this permission.
    Read(&'static str),
    /// A member with this permission.
    Write(&'static str),
}

struct Case {
    method: &'static str,
    path: &'static str,
    need: Need,
    /// A query or a body that is sound, with `WS` for the workspace.
    input: Value,
}

fn get(path: &'static str, need: Need, query: &str) -> Case {
    Case { method: "get", path, need, input: json!(query) }
}

fn post(path: &'static str, need: Need, input: Value) -> Case {
    Case { method: "post", path, need, input }
}

/// A call whose body is a mail.
fn upload(path: &'static str, need: Need, query: &str) -> Case {
    Case { method: "post", path, need, input: json!(query) }
}

const UUID: &str = "00000000-0000-4000-8000-000000000001";
const BROADCAST: &str = "00000000000040008000000000000001";

#[expect(clippy::too_many_lines, reason = "one row for each operation")]
fn cases() -> Vec<Case> {
    use Need::{Nothing, Owner, Read, Root, SignedIn, Write};
    let email = json!({"subject": "s", "visual_editor_tree": {"id": "r", "type": "mjml", "children": []}});
    let template = json!({"workspace_id": "WS", "id": "t", "name": "t", "channel": "email", "category": "other", "email": email});
    let list = json!({"workspace_id": "WS", "id": "l", "name": "l"});
    let channels = json!({"email": {"template_id": "t"}});
    let notification = json!({"id": "n", "name": "n", "channels": channels});
    let message = json!({"id": "n", "contact": {"email": "a@b.example"}, "channels": ["email"]});
    let provider = smtp_provider("127.0.0.1:25".parse().unwrap());
    let trial = json!({"workspace_id": "WS", "to": "a@b.example", "provider": provider});
    let integration = json!({"workspace_id": "WS", "integration_id": UUID, "name": "n", "type": "email", "provider": provider});
    let tested = json!({"workspace_id": "WS", "template_id": "t", "integration_id": UUID, "sender_id": UUID,
        "recipient_email": "a@b.example"});
    let audience = json!({"list": "l"});
    let variations = json!({"variations": [{"template_id": "t"}]});
    let broadcast =
        json!({"workspace_id": "WS", "name": "b", "audience": audience, "test_settings": variations});
    let mut changed_broadcast = broadcast.clone();
    changed_broadcast["id"] = BROADCAST.into();
    let slug = json!({"workspace_id": "WS", "slug": "june"});
    let with_id = |id: &str| json!({"workspace_id": "WS", "id": id});
    let on_list = json!({"workspace_id": "WS", "email": "a@b.example", "list_id": "l", "status": "active"});
    let named = |id: &str| format!("workspace_id=WS&id={id}");
    vec![
        get("/api/", Nothing, ""),
        post("/api/user.signin", Nothing, json!({})),
        post("/api/user.verify", Nothing, json!({})),
        post("/api/user.rootSignin", Nothing, json!({})),
        post("/api/workspaces.verifyInvitationToken", Nothing, json!({})),
        post("/api/workspaces.acceptInvitation", Nothing, json!({})),
        get("/api/admin.connectionStats", Root, "limit=10"),
        get("/api/user.me", SignedIn, ""),
        post("/api/user.logout", SignedIn, json!({})),
        post("/api/user.updateLanguage", SignedIn, json!({"language": "fr"})),
        get("/api/workspaces.list", SignedIn, ""),
        post("/api/workspaces.create", Root, workspace("nobody")),
        get("/api/workspaces.get", Read("workspace"), "id=WS"),
        get("/api/workspaces.members", Read("workspace"), "id=WS"),
        post("/api/workspaces.update", Owner, workspace("WS")),
        post("/api/workspaces.delete", Owner, json!({"id": "WS"})),
        post("/api/workspaces.inviteMember", Owner, json!({"workspace_id": "WS", "email": "new@b.example"})),
        post(
            "/api/workspaces.setUserPermissions",
            Owner,
            json!({"workspace_id": "WS", "user_id": UUID, "permissions": {}}),
        ),
        post("/api/workspaces.removeMember", Owner, json!({"workspace_id": "WS", "user_id": UUID})),
        post("/api/workspaces.deleteInvitation", Owner, json!({"invitation_id": "INVITATION"})),
        post("/api/workspaces.createAPIKey", Owner, json!({"workspace_id": "WS", "email_prefix": "crm"})),
        post("/api/workspaces.createIntegration", Owner, integration.clone()),
        post("/api/workspaces.updateIntegration", Owner, integration.clone()),
        post("/api/workspaces.deleteIntegration", Owner, integration),
        post("/api/email.testProvider", Write("workspace"), trial),
        post(
            "/api/webhooks.register",
            Write("workspace"),
            json!({"workspace_id": "WS", "integration_id": UUID}),
        ),
        get("/api/webhooks.status", Read("workspace"), &format!("workspace_id=WS&integration_id={UUID}")),
        post(
            "/api/contacts.upsert",
            Write("contacts"),
            json!({"workspace_id": "WS", "contact": {"email": "a@b.example"}}),
        ),
        get("/api/contacts.getByEmail", Read("contacts"), "workspace_id=WS&email=a@b.example"),
        get("/api/contacts.getByExternalID", Read("contacts"), "workspace_id=WS&external_id=1"),
        get("/api/contacts.list", Read("contacts"), "workspace_id=WS"),
        get("/api/contacts.count", Read("contacts"), "workspace_id=WS"),
        post(
            "/api/contacts.import",
            Write("contacts"),
            json!({"workspace_id": "WS", "contacts": [{"email": "a@b.example"}]}),
        ),
        post(
            "/api/contacts.delete",
            Write("contacts"),
            json!({"workspace_id": "WS", "email": "a@b.example"}),
        ),
        post("/api/lists.create", Write("lists"), list.clone()),
        post("/api/lists.update", Write("lists"), list),
        get("/api/lists.list", Read("lists"), "workspace_id=WS"),
        get("/api/lists.get", Read("lists"), &named("l")),
        get("/api/lists.stats", Read("lists"), "workspace_id=WS&list_id=l"),
        post("/api/lists.delete", Write("lists"), with_id("l")),
        post(
            "/api/lists.subscribe",
            Write("lists"),
            json!({"workspace_id": "WS", "contact": {"email": "a@b.example"}, "list_ids": ["l"]}),
        ),
        post("/api/contactLists.updateStatus", Write("lists"), on_list),
        post("/api/templates.create", Write("templates"), template.clone()),
        post("/api/templates.update", Write("templates"), template),
        get("/api/templates.get", Read("templates"), &named("t")),
        get("/api/templates.list", Read("templates"), "workspace_id=WS"),
        post("/api/templates.delete", Write("templates"), with_id("t")),
        post(
            "/api/templates.compile",
            Read("templates"),
            json!({"workspace_id": "WS", "message_id": "m", "mjml_source": "<mjml><mj-body/></mjml>"}),
        ),
        post(
            "/api/transactional.create",
            Write("transactional"),
            json!({"workspace_id": "WS", "notification": notification}),
        ),
        post(
            "/api/transactional.update",
            Write("transactional"),
            json!({"workspace_id": "WS", "id": "n", "updates": {"name": "m"}}),
        ),
        post(
            "/api/transactional.sendBatch",
            Write("transactional"),
            json!({"workspace_id": "WS", "notifications": [message]}),
        ),
        post("/api/transactional.testTemplate", Write("transactional"), tested),
        get("/api/transactional.get", Read("transactional"), &named("n")),
        get("/api/transactional.list", Read("transactional"), "workspace_id=WS"),
        post("/api/transactional.delete", Write("transactional"), with_id("n")),
        post(
            "/api/transactional.send",
            Write("transactional"),
            json!({"workspace_id": "WS", "notification": message}),
        ),
        post("/api/broadcasts.create", Write("broadcasts"), broadcast),
        post("/api/broadcasts.update", Write("broadcasts"), changed_broadcast),
        post("/api/broadcasts.pause", Write("broadcasts"), with_id(BROADCAST)),
        post("/api/broadcasts.resume", Write("broadcasts"), with_id(BROADCAST)),
        post("/api/broadcasts.cancel", Write("broadcasts"), with_id(BROADCAST)),
        post("/api/broadcasts.delete", Write("broadcasts"), with_id(BROADCAST)),
        get("/api/broadcasts.get", Read("broadcasts"), &named(BROADCAST)),
        get("/api/broadcasts.list", Read("broadcasts"), "workspace_id=WS"),
        post(
            "/api/broadcasts.schedule",
            Write("broadcasts"),
            json!({"workspace_id": "WS", "id": BROADCAST, "send_now": true}),
        ),
        post("/api/broadcasts.retryFailed", Write("broadcasts"), with_id(BROADCAST)),
        post(
            "/api/broadcasts.sendToIndividual",
            Write("broadcasts"),
            json!({"workspace_id": "WS", "broadcast_id": BROADCAST, "recipient_email": "a@b.example"}),
        ),
        post(
            "/api/broadcasts.refreshGlobalFeed",
            Write("broadcasts"),
            json!({"workspace_id": "WS", "broadcast_id": BROADCAST, "url": "https://api.shop.example/"}),
        ),
        post(
            "/api/broadcasts.testRecipientFeed",
            Write("broadcasts"),
            json!({"workspace_id": "WS", "broadcast_id": BROADCAST, "url": "https://api.shop.example/"}),
        ),
        get("/api/broadcasts.recipients", Read("broadcasts"), &named(BROADCAST)),
        get("/api/broadcasts.plan", Read("broadcasts"), &named(BROADCAST)),
        get("/api/broadcasts.getTestResults", Read("broadcasts"), &named(BROADCAST)),
        post(
            "/api/broadcasts.selectWinner",
            Write("broadcasts"),
            json!({"workspace_id": "WS", "id": BROADCAST, "template_id": "t"}),
        ),
        get("/api/broadcasts.ledger", Read("broadcasts"), &named(BROADCAST)),
        get("/api/broadcasts.webPreview", Read("broadcasts"), &named(BROADCAST)),
        post("/api/broadcasts.validate_slug", Read("broadcasts"), slug.clone()),
        post("/api/broadcast.validate_slug", Read("broadcasts"), slug),
        get("/api/messages.list", Read("message_history"), "workspace_id=WS"),
        get("/api/inboundWebhookEvents.list", Read("message_history"), "workspace_id=WS"),
        upload("/api/inboundWebhookEvents.upload", Write("message_history"), "workspace_id=WS"),
        get("/api/messages.events", Read("message_history"), "workspace_id=WS&id=m"),
        get(
            "/api/messages.broadcastLinks",
            Read("message_history"),
            &format!("workspace_id=WS&broadcast_id={BROADCAST}"),
        ),
        get(
            "/api/messages.broadcastStats",
            Read("message_history"),
            &format!("workspace_id=WS&broadcast_id={BROADCAST}"),
        ),
    ]
}

impl Case {
    async fn call(&self, client: &Client, workspace: &str, invitation: &str) -> crate::support::Answer {
        let filled = |text: &str| text.replace("WS", workspace).replace("INVITATION", invitation);
        match &self.input {
            Value::String(query) => {
                let request = client.request(self.method, &format!("{}?{}", self.path, filled(query)));
                client.send(request).await
            }
            body => {
                let body: Value = serde_json::from_str(&filled(&body.to_string())).unwrap();
                client.post(self.path, &body).await
            }
        }
    }
}

/// Everything except one right.
fn all_but(resource: &str, right: &str) -> Value {
    let names = [
        "contacts",
        "lists",
        "templates",
        "broadcasts",
        "transactional",
        "workspace",
        "message_history",
        "blog",
        "automations",
        "llm",
    ];
    let mut all: Value = names
        .iter()
        .map(|name| (*name, json!({"read": true, "write": true})))
        .collect::<Vec<_>>()
        .into_iter()
        .fold(json!({}), |mut all, (name, rights)| {
            all[name] = rights;
            all
        });
    if !resource.is_empty() {
        all[resource][right] = json!(false);
    }
    all
}

/// An open invitation of a workspace.
async fn invitation(tenant: &Tenant) -> String {
    let body = json!({"workspace_id": tenant.id, "email": "waiting@b.example"});
    let invited = tenant.owner.post("/api/workspaces.inviteMember", &body).await.ok();
    invited["invitation"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_operation_of_the_document_has_a_case() {
    let document: Value = serde_json::from_str(&http_api::document()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"].as_array().is_none_or(Vec::is_empty);
            operations.insert((method.clone(), path.clone(), open));
        }
    }
    let covered: BTreeSet<_> = cases()
        .iter()
        .map(|c| (c.method.to_owned(), c.path.to_owned(), matches!(c.need, Need::Nothing)))
        .collect();
    assert_eq!(covered, operations);
}

async fn nobody_calls_without_a_token(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let invitation = invitation(&tenant).await;
    let anonymous = server.anonymous();
    let forged = anonymous.with_token("eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoiMSJ9.");
    for case in cases().iter().filter(|c| !matches!(c.need, Need::Nothing)) {
        for client in [&anonymous, &forged] {
            let answer = case.call(client, &tenant.id, &invitation).await;
            assert_eq!(answer.status, 401, "{}: {}", case.path, answer.body);
            answer.problem(401);
        }
    }
}

async fn a_member_of_another_workspace_is_refused(server: &'static Server) {
    let (tenant, other) = (server.bare_tenant().await, server.bare_tenant().await);
    let invitation = invitation(&tenant).await;
    let stranger = other.member(all_but("", "")).await;
    let key = json!({"workspace_id": other.id, "email_prefix": format!("key{}", other.id)});
    let key = other.owner.post("/api/workspaces.createAPIKey", &key).await.ok();
    let key = server.anonymous().with_token(key["token"].as_str().unwrap());
    for case in cases().iter().filter(|c| !matches!(c.need, Need::Nothing | Need::SignedIn)) {
        for client in [&stranger, &key] {
            let answer = case.call(client, &tenant.id, &invitation).await;
            // Whether an invitation exists is not told to those whom it does not concern.
            let status = if case.path.ends_with("deleteInvitation") { 404 } else { 403 };
            assert_eq!(answer.status, status, "{}: {}", case.path, answer.body);
            answer.problem(status);
        }
    }
}

async fn a_member_without_the_permission_is_refused(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    let invitation = invitation(&tenant).await;
    for case in cases() {
        let permissions = match case.need {
            Need::Nothing | Need::SignedIn => continue,
            Need::Root | Need::Owner => all_but("", ""),
            Need::Read(resource) => all_but(resource, "read"),
            Need::Write(resource) => all_but(resource, "write"),
        };
        let member = tenant.member(permissions).await;
        let answer = case.call(&member, &tenant.id, &invitation).await;
        assert_eq!(answer.status, 403, "{}: {}", case.path, answer.body);
        answer.problem(403);
    }
}

async fn a_member_with_only_the_permission_is_let_in(server: &'static Server) {
    let tenant = server.bare_tenant().await;
    for case in cases() {
        let permissions = match case.need {
            Need::Read(resource) => json!({resource: {"read": true, "write": false}}),
            Need::Write(resource) => json!({resource: {"read": false, "write": true}}),
            _ => continue,
        };
        let member = tenant.member(permissions).await;
        let answer = case.call(&member, &tenant.id, "").await;
        assert!(!matches!(answer.status.as_u16(), 401 | 403), "{}: {}", case.path, answer.body);
        assert!(answer.status.as_u16() < 500, "{}: {}", case.path, answer.body);
    }
}

on_both_databases! {
    nobody_calls_without_a_token
    a_member_of_another_workspace_is_refused
    a_member_without_the_permission_is_refused
    a_member_with_only_the_permission_is_let_in
}
