//! The pages behind the links of a mail: what a contact is on, unsubscribing, confirming.
//!
//! A `GET` changes nothing, since scanners follow links; a `POST` does, also without a browser
//! (RFC 8058).

mod page;

use crate::{
    Problem,
    features::{Shared, workspace_id},
};
use application::subscriptions::ContactLink;
use domain::{
    email_address::EmailAddress,
    ids::ListId,
    lists::MembershipStatus,
    validation::{Check, Invalid},
};
use poem::{
    Body, IntoResponse, Response, handler,
    http::StatusCode,
    web::{Data, Json, Query, TypedHeader, headers::ContentType},
};
use serde::Deserialize;
use serde_json::json;

/// The parameters of a contact's link.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct LinkQuery {
    wid: String,
    email: String,
    email_hmac: String,
    /// `unsubscribe` or `confirm`.
    action: String,
    /// The list that `action` is about.
    lid: String,
    /// Lists to leave, separated by commas.
    lids: String,
}

/// The same as JSON, for pages that call with a script.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UnsubscribeBody {
    wid: String,
    email: String,
    email_hmac: String,
    lids: Vec<String>,
}

impl LinkQuery {
    fn link(&self) -> Result<ContactLink, Invalid> {
        let mut check = Check::default();
        let workspace = check.nested("", workspace_id("/wid", &self.wid));
        let email = check.field("/email", EmailAddress::parse(&self.email));
        check.require(!self.email_hmac.is_empty(), "/email_hmac", "is required");
        let (workspace, email) = crate::body::complete(check, workspace.zip(email))?;
        Ok(ContactLink { workspace, email, email_hmac: self.email_hmac.to_ascii_lowercase() })
    }

    fn lists(&self) -> Result<Vec<ListId>, Invalid> {
        let ids = self.lids.split(',').map(str::trim).filter(|id| !id.is_empty());
        let ids = ids.map(|id| ListId::parse(id).map_err(|rule| Invalid::one("/lids", rule)));
        ids.collect()
    }

    fn list(&self) -> Result<ListId, Invalid> {
        ListId::parse(&self.lid).map_err(|rule| Invalid::one("/lid", rule))
    }
}

/// Shows the lists of a contact, or asks for the one click that its link is about.
#[handler]
pub(crate) async fn center(Data(shared): Data<&Shared>, Query(query): Query<LinkQuery>) -> Response {
    match center_page(shared, &query).await {
        Ok(page) => page,
        Err(problem) => problem,
    }
}

async fn center_page(shared: &Shared, query: &LinkQuery) -> Result<Response, Response> {
    let link = query.link().map_err(|invalid| refused(&invalid))?;
    let memberships = shared.subscriptions.memberships(&link).await.map_err(|error| refused(&error))?;
    let rows: Vec<_> = memberships
        .iter()
        .filter(|m| query.action.is_empty() || m.list.as_str() == query.lid)
        .filter_map(|membership| {
            let action = match (query.action.as_str(), membership.status) {
                ("confirm", MembershipStatus::Pending) => page::Action::Confirm,
                ("confirm", _) => return Some(page::Row::told(membership)),
                (_, MembershipStatus::Active | MembershipStatus::Pending) => page::Action::Unsubscribe,
                ("", _) => return None,
                _ => return Some(page::Row::told(membership)),
            };
            Some(page::Row::asked(membership, action, &address(&link, action, &membership.list)))
        })
        .collect();
    Ok(page::lists(&query.action, &rows))
}

/// The address that a button posts to.
fn address(link: &ContactLink, action: page::Action, list: &ListId) -> String {
    let name = match action {
        page::Action::Unsubscribe => "unsubscribe",
        page::Action::Confirm => "confirm",
    };
    let query = [
        ("action", name),
        ("email", link.email.as_str()),
        ("email_hmac", &link.email_hmac),
        ("lid", list.as_str()),
        ("wid", link.workspace.as_str()),
    ];
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    format!("/notification-center?{}", text.extend_pairs(query).finish())
}

/// Does what the link of a mail asks for, after the contact's click.
#[handler]
pub(crate) async fn decide(Data(shared): Data<&Shared>, Query(query): Query<LinkQuery>) -> Response {
    let done = async {
        let (link, list) = (query.link().map_err(|e| refused(&e))?, query.list().map_err(|e| refused(&e))?);
        match query.action.as_str() {
            "confirm" => {
                shared.subscriptions.confirm(&link, &list).await.map_err(|e| refused(&e))?;
                Ok(page::message("Your subscription is confirmed."))
            }
            "unsubscribe" => {
                shared.subscriptions.unsubscribe(&link, &[list]).await.map_err(|e| refused(&e))?;
                Ok(page::message("You are unsubscribed."))
            }
            _ => Err(refused(&Invalid::one("/action", "must be unsubscribe or confirm"))),
        }
    };
    done.await.unwrap_or_else(|problem: Response| problem)
}

/// Asks for the click; the mail programs of RFC 8058 post without asking.
#[handler]
pub(crate) async fn ask_one_click(Data(shared): Data<&Shared>, Query(query): Query<LinkQuery>) -> Response {
    let mut query = query;
    query.lid = query.lids.split(',').next().unwrap_or_default().trim().to_owned();
    "unsubscribe".clone_into(&mut query.action);
    match center_page(shared, &query).await {
        Ok(page) => page,
        Err(problem) => problem,
    }
}

/// Unsubscribes at once: by a form post with the parameters in the address (RFC 8058), or by JSON.
#[handler]
pub(crate) async fn one_click(
    Data(shared): Data<&Shared>,
    Query(query): Query<LinkQuery>,
    content_type: Option<TypedHeader<ContentType>>,
    body: Body,
) -> Result<Response, Problem> {
    let is_json = content_type.is_some_and(|TypedHeader(kind)| kind == ContentType::json());
    let query = if is_json { from_json(body).await? } else { query };
    let (link, lists) = (query.link()?, query.lists()?);
    shared.subscriptions.unsubscribe(&link, &lists).await?;
    Ok(Json(json!({ "success": true })).into_response())
}

async fn from_json(body: Body) -> Result<LinkQuery, Problem> {
    let body: UnsubscribeBody = body.into_json().await.map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "body-malformed", "the body is not the JSON of this call")
    })?;
    Ok(LinkQuery {
        wid: body.wid,
        email: body.email,
        email_hmac: body.email_hmac,
        lids: body.lids.join(","),
        ..LinkQuery::default()
    })
}

/// A page for a link that cannot be followed.
fn refused<E: application::failure::Failure + 'static>(failure: &E) -> Response {
    use application::failure::FailureKind;
    let (status, text) = match failure.kind() {
        FailureKind::Unavailable(_) | FailureKind::ConnectionLimit { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "This page is not available now. Please try again in a minute.")
        }
        FailureKind::Internal => {
            tracing::error!(
                code = failure.code(),
                error = failure as &dyn std::error::Error,
                "a page failed"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side. Please try again later.")
        }
        _ => (StatusCode::BAD_REQUEST, "This link is not valid. Please use the link of a recent mail."),
    };
    page::message(text).with_status(status).into_response()
}
