//! The variables that templates see.

use crate::{
    contacts::{ContactView, contact_json},
    ports::ContactTokens,
};
use domain::{
    Timestamp,
    broadcasts::Broadcast,
    email_address::EmailAddress,
    ids::{MessageId, WorkspaceId},
    lists::List,
    subscriptions::{ContactPass, LinkRight},
    workspaces::Workspace,
};
use serde_json::{Map, Value, json};

/// What a mail is about.
pub(super) struct Scene<'a> {
    pub(super) endpoint: &'a str,
    pub(super) workspace: &'a Workspace,
    pub(super) message: &'a MessageId,
    pub(super) contact: &'a ContactView,
    pub(super) passes: &'a Passes,
    pub(super) list: Option<&'a List>,
    pub(super) broadcast: Option<&'a Broadcast>,
    pub(super) now: Timestamp,
}

/// The proofs in the links of a mail.
pub(super) struct Passes {
    manage: String,
    /// For the list of the mail, when there is one.
    confirm: Option<String>,
}

impl Passes {
    pub(super) fn new(
        tokens: &dyn ContactTokens,
        workspace: &WorkspaceId,
        email: &EmailAddress,
        list: Option<&List>,
        now: Timestamp,
    ) -> Self {
        let pass = |right: LinkRight| {
            let expires_at = now + right.lifetime();
            let pass = ContactPass { workspace: workspace.clone(), email: email.clone(), right };
            tokens.issue(&pass, expires_at)
        };
        Self {
            manage: pass(LinkRight::Manage),
            confirm: list.map(|list| pass(LinkRight::Confirm(list.id.clone()))),
        }
    }
}

/// The addresses of a contact's own pages.
pub(super) struct Links {
    /// What they begin with, without a slash at its end.
    pub(super) base: String,
    notification_center: String,
    unsubscribe: Option<String>,
    confirm_subscription: Option<String>,
    /// For the List-Unsubscribe header (RFC 8058).
    pub(super) oneclick_unsubscribe: Option<String>,
}

impl Links {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let custom = scene.workspace.settings.custom_endpoint_url.as_deref().filter(|u| !u.is_empty());
        let base = custom.unwrap_or(scene.endpoint).trim_end_matches('/').to_owned();
        let email = scene.contact.contact.email.as_str();
        let (hmac, mid, wid) = (&scene.passes.manage, scene.message.as_str(), scene.workspace.id.as_str());
        let center = |pairs: &[(&str, &str)]| format!("{base}/notification-center?{}", query(pairs));
        let on_list = |action: &str, hmac: &str| {
            scene.list.map(|list| {
                center(&[
                    ("action", action),
                    ("email", email),
                    ("email_hmac", hmac),
                    ("lid", list.id.as_str()),
                    ("lname", &list.name),
                    ("mid", mid),
                    ("wid", wid),
                ])
            })
        };
        let oneclick = scene.list.map(|list| {
            let pairs = [
                ("email", email),
                ("email_hmac", hmac),
                ("lids", list.id.as_str()),
                ("mid", mid),
                ("wid", wid),
            ];
            format!("{base}/unsubscribe-oneclick?{}", query(&pairs))
        });
        Self {
            notification_center: center(&[("email", email), ("email_hmac", hmac), ("wid", wid)]),
            unsubscribe: on_list("unsubscribe", hmac),
            confirm_subscription: scene.passes.confirm.as_deref().and_then(|hmac| on_list("confirm", hmac)),
            oneclick_unsubscribe: oneclick,
            base,
        }
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The caller's variables, overwritten by those of the product.
/// `opens` is the address that reports the opening; without tracking there is none.
pub(super) fn variables(
    scene: &Scene<'_>,
    links: &Links,
    opens: Option<String>,
    data: Map<String, Value>,
) -> Value {
    let mut all = data;
    let mut set = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    let website = scene.workspace.settings.website_url.as_deref().unwrap_or("").trim_end_matches('/');
    set("contact", Value::Object(contact_json(scene.contact)));
    set("workspace", json!({ "name": scene.workspace.name, "base_url": links.base, "website_url": website }));
    set("message_id", json!(scene.message));
    set("notification_center_url", json!(links.notification_center));
    set("tracking_opens_url", json!(opens.unwrap_or_default()));
    if let Some(list) = scene.list {
        set("list", json!({ "id": list.id, "name": list.name }));
    }
    for (name, url) in [
        ("unsubscribe_url", &links.unsubscribe),
        ("confirm_subscription_url", &links.confirm_subscription),
        ("oneclick_unsubscribe_url", &links.oneclick_unsubscribe),
    ] {
        if let Some(url) = url {
            set(name, json!(url));
        }
    }
    if let Some(broadcast) = scene.broadcast {
        set("broadcast", json!({ "id": broadcast.id, "name": broadcast.name }));
        if let Some(url) = page_url(scene, broadcast) {
            set("view_in_browser_url", json!(url));
        }
        for (name, value) in broadcast.utm.pairs() {
            set(name, json!(value));
        }
    }
    Value::Object(all)
}

/// The address of the broadcast's page; `None` when it has none, or not yet.
fn page_url(scene: &Scene<'_>, broadcast: &Broadcast) -> Option<String> {
    let page = broadcast.web.as_ref().filter(|_| broadcast.channels.web)?;
    // Without a moment it becomes public when the broadcast starts.
    let is_public = page.published_at.is_none_or(|at| at <= scene.now);
    let domain = scene.workspace.settings.custom_endpoint_url.as_deref().filter(|_| is_public)?;
    let origin = url::Url::parse(domain).ok()?.origin().ascii_serialization();
    Some(format!("{origin}{}", page.path(&broadcast.id)))
}
