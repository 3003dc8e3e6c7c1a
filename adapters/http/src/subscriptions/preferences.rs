//! `/preferences`: what a contact may see and change of itself, for pages that call with a script.

use crate::{
    Problem, Text,
    body::{self, complete},
    client::ClientAddress,
    features::{Shared, workspace_id},
    lists::ListBody,
};
use application::{
    contacts::membership_json,
    subscriptions::{Center, ContactLink, Preferences},
};
use domain::{
    contacts::{Contact, ContactField, FieldValue},
    email_address::EmailAddress,
    lists::List,
    validation::{Check, Invalid},
};
use poem::{
    IntoResponse, Response, handler,
    http::header,
    web::{Data, Json, Query},
};
use poem_openapi::{Object, types::ToJSON as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ShowQuery {
    workspace_id: String,
    email: String,
    email_hmac: String,
}

/// Answers with the contact, the public lists and its own.
#[handler]
pub(crate) async fn show(
    Data(shared): Data<&Shared>,
    Query(query): Query<ShowQuery>,
) -> Result<Response, Problem> {
    let link = link([&query.workspace_id, &query.email, &query.email_hmac])?;
    let center = shared.subscriptions.center(&link).await?;
    Ok(Json(answer(&center)).with_header(header::CACHE_CONTROL, "no-store").into_response())
}

fn answer(center: &Center) -> Value {
    let listed = |list: &List| ListBody::from(list.clone()).to_json();
    let public = center.offers.iter().filter(|offer| offer.list.is_public);
    let memberships = center.offers.iter().filter_map(|offer| offer.membership.as_ref());
    json!({
        "contact": contact(&center.contact),
        "public_lists": public.filter_map(|offer| listed(&offer.list)).collect::<Vec<_>>(),
        "contact_lists": memberships.map(membership_json).collect::<Vec<_>>(),
        "logo_url": center.profile.logo_url.as_deref().unwrap_or_default(),
        "website_url": center.profile.website_url.as_deref().unwrap_or_default(),
    })
}

fn contact(contact: &Contact) -> Map<String, Value> {
    let fields = contact.fields.iter().map(|(field, value)| (field.name().to_owned(), value.to_json()));
    std::iter::once(("email".to_owned(), json!(contact.email))).chain(fields).collect()
}

#[derive(Object)]
#[oai(rename = "ChangePreferences")]
struct ChangeBody {
    workspace_id: Text,
    email: Text,
    email_hmac: Text,
    #[oai(nullable)]
    language: Option<Text>,
    #[oai(nullable)]
    timezone: Option<Text>,
}

impl ChangeBody {
    fn preferences(&self) -> Result<Preferences, Invalid> {
        let mut check = Check::default();
        let mut fields = BTreeMap::new();
        if let Some(Text(code)) = &self.language {
            let good = code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase());
            check.require(good, "/language", "must have two lower-case letters");
            fields.insert(ContactField::Language, Some(FieldValue::Text(code.clone())));
        }
        if let Some(Text(zone)) = &self.timezone {
            let length = zone.chars().count();
            check.require((2..=50).contains(&length), "/timezone", "must have 2 to 50 characters");
            fields.insert(ContactField::Timezone, Some(FieldValue::Text(zone.clone())));
        }
        check.require(!fields.is_empty(), "/language", "language or timezone is required");
        check.finish()?;
        Ok(Preferences { fields, ..Preferences::default() })
    }
}

/// Stores the language or the time zone of a contact.
#[handler]
pub(crate) async fn change(
    Data(shared): Data<&Shared>,
    from: ClientAddress,
    bytes: Vec<u8>,
) -> Result<Response, Problem> {
    let body: ChangeBody = body::parse(&bytes)?;
    let link = link([&body.workspace_id.0, &body.email.0, &body.email_hmac.0])?;
    shared.subscriptions.choose(&link, body.preferences()?, from.0).await?;
    Ok(Json(json!({ "success": true })).into_response())
}

fn link([workspace, email, token]: [&str; 3]) -> Result<ContactLink, Invalid> {
    let mut check = Check::default();
    let workspace = check.nested("", workspace_id("/workspace_id", workspace));
    let email = check.field("/email", EmailAddress::parse(email));
    check.require(!token.is_empty(), "/email_hmac", "is required");
    let (workspace, email) = complete(check, workspace.zip(email))?;
    Ok(ContactLink { workspace, email, token: token.to_ascii_lowercase() })
}
