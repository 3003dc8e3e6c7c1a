//! `/subscribe`: anybody subscribes to public lists, by a form or by JSON.

use super::{
    Entries,
    pages::{self, Entered, Page},
    refused,
    words::filled,
};
use crate::{
    Problem, Text,
    body::{self, complete},
    client::ClientAddress,
    contacts::ContactInput,
    features::{Shared, workspace_id},
};
use application::subscriptions::{Subscription, SubscriptionsError};
use domain::{
    contacts::{ContactField, ContactPatch},
    email_address::EmailAddress,
    ids::{ListId, WorkspaceId},
    validation::{Check, Invalid},
};
use poem::{
    IntoResponse, Request, Response, handler,
    http::{HeaderMap, StatusCode, header},
    web::{Data, Json, Query},
};
use poem_openapi::Object;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;

/// A field that people do not see. Whoever fills it in is thanked and not subscribed.
const TRAP: &str = "homepage";

#[derive(Object)]
#[oai(rename = "Subscribe")]
struct SubscribeBody {
    workspace_id: Text,
    contact: ContactInput,
    list_ids: Vec<Text>,
    #[oai(nullable)]
    homepage: Option<Text>,
}

impl SubscribeBody {
    fn is_trapped(&self) -> bool {
        self.homepage.as_ref().is_some_and(|text| !text.0.is_empty())
    }
}

impl TryFrom<SubscribeBody> for Subscription {
    type Error = Invalid;

    fn try_from(body: SubscribeBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let workspace = check.nested("", workspace_id("/workspace_id", &body.workspace_id.0));
        let contact = check.nested("/contact", own_fields(&body.contact.0));
        let lists = check.nested("", list_ids(&body.list_ids));
        let token = body.contact.0["email_hmac"].as_str().filter(|token| !token.is_empty());
        let (workspace, (patch, lists)) = complete(check, workspace.zip(contact.zip(lists)))?;
        let fields = patch.changes.into_iter().filter_map(|(field, value)| Some((field, value?)));
        Ok(Self {
            workspace,
            email: patch.email,
            token: token.map(str::to_ascii_lowercase),
            fields: fields.collect(),
            lists,
        })
    }
}

/// Reads of a contact what it may say about itself, so that nothing else can be wrong.
fn own_fields(contact: &serde_json::Value) -> Result<ContactPatch, Invalid> {
    let Some(object) = contact.as_object() else { return Err(Invalid::one("", "must be an object")) };
    let own = |name: &str| name == "email" || ContactField::OWN.iter().any(|field| field.name() == name);
    let kept: serde_json::Map<_, _> = object
        .iter()
        .filter(|(name, _)| own(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    ContactPatch::from_json(&kept.into())
}

/// Reads identifiers of lists.
pub(crate) fn list_ids(ids: &[Text]) -> Result<BTreeSet<ListId>, Invalid> {
    let mut check = Check::default();
    let lists = ids
        .iter()
        .enumerate()
        .filter_map(|(n, id)| check.field(&format!("/list_ids/{n}"), ListId::parse(&id.0)));
    let lists = lists.collect();
    check.finish()?;
    Ok(lists)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FormQuery {
    wid: String,
    /// Lists that are chosen at first, separated by commas.
    lids: String,
}

/// Shows the form. Without a workspace in the address, it is that of the domain.
#[handler]
pub(crate) async fn ask(
    Data(shared): Data<&Shared>,
    Query(query): Query<FormQuery>,
    request: &Request,
) -> Response {
    let headers = request.headers();
    let workspace = match WorkspaceId::parse(&query.wid) {
        Ok(workspace) => Some(workspace),
        Err(_) => crate::publications::workspace_of_host(shared, request).await,
    };
    let lists = query.lids.split(',').map(|id| id.trim().to_owned()).collect();
    let entered = Entered { lists, ..Entered::default() };
    let Some(workspace) = workspace else {
        let page = Page::new(None, None, headers);
        return page.message(StatusCode::NOT_FOUND, page.words().missing, None, None);
    };
    shown(shared, &workspace, headers, &entered).await
}

async fn shown(shared: &Shared, workspace: &WorkspaceId, headers: &HeaderMap, entered: &Entered) -> Response {
    match shared.subscriptions.offered(workspace).await {
        Ok((profile, lists)) => {
            let page = Page::new(Some(&profile), None, headers);
            pages::Subscribe::new(page, &profile, &lists, entered).send()
        }
        Err(error) => Page::new(None, None, headers).refused(&error),
    }
}

/// Subscribes by a form, which is answered with a page, or by JSON.
#[handler]
pub(crate) async fn subscribe(
    Data(shared): Data<&Shared>,
    content_type: Option<poem::web::TypedHeader<poem::web::headers::ContentType>>,
    headers: &HeaderMap,
    from: ClientAddress,
    bytes: Vec<u8>,
) -> Result<Response, Problem> {
    let is_form = content_type.is_some_and(|poem::web::TypedHeader(kind)| {
        kind == poem::web::headers::ContentType::form_url_encoded()
    });
    if is_form {
        return Ok(by_form(shared, headers, from, &Entries::read(&bytes)).await);
    }
    let body: SubscribeBody = body::parse(&bytes)?;
    if !body.is_trapped() {
        shared.subscriptions.subscribe(body.try_into()?, from.0).await?;
    }
    Ok(Json(json!({ "success": true })).into_response())
}

async fn by_form(shared: &Shared, headers: &HeaderMap, from: ClientAddress, entered: &Entries) -> Response {
    let wid = entered.first("workspace_id").or_else(|| entered.first("wid")).unwrap_or_default();
    let text = |name| entered.first(name).unwrap_or_default().trim().to_owned();
    let lists = entered.lists("list_ids");
    let email = text("email");
    let said = Some(text("language")).filter(|code| !code.is_empty());
    let language = Page::new(None, said.as_deref(), headers);
    let words = language.words();
    let again = |wrong| Entered {
        email: email.clone(),
        first_name: text("first_name"),
        last_name: text("last_name"),
        lists: lists.iter().map(ToString::to_string).collect(),
        wrong: Some(wrong),
    };
    let Ok(workspace) = workspace_id("/workspace_id", wid) else {
        return refused(shared, wid, headers, &SubscriptionsError::NoList).await;
    };
    let (address, fields) = match (EmailAddress::parse(&email), entered.fields()) {
        (Err(_), _) => return shown(shared, &workspace, headers, &again(words.email_wrong)).await,
        (_, Err(_)) => return shown(shared, &workspace, headers, &again(words.entry_wrong)).await,
        (Ok(address), Ok(fields)) => (address, fields),
    };
    if lists.is_empty() {
        return shown(shared, &workspace, headers, &again(words.lists_missing)).await;
    }
    let profile = match shared.subscriptions.profile(&workspace).await {
        Ok(profile) => profile,
        Err(error) => return language.refused(&error),
    };
    let page = Page::new(profile.as_ref(), said.as_deref(), headers);
    if entered.first(TRAP).unwrap_or_default().is_empty() {
        let wish = Subscription {
            workspace,
            email: address.clone(),
            token: None,
            fields: fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect(),
            lists,
        };
        if let Err(error) = shared.subscriptions.subscribe(wish, from.0).await {
            return page.refused(&error);
        }
    }
    let text = filled(words.thanks_note, &[("email", address.as_str())]);
    let mut response = page.message(StatusCode::OK, words.thanks, Some(&text), None);
    response.headers_mut().append(header::VARY, header::HeaderValue::from_static("Accept-Language"));
    response
}
