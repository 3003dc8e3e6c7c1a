//! The pages behind the links of a mail: what a contact is on, unsubscribing, confirming.
//!
//! A `GET` changes nothing, since scanners follow links; a `POST` does, also without a browser
//! (RFC 8058).

mod form;
mod pages;
mod preferences;
mod words;

pub(crate) use form::{ask as subscribe_form, list_ids, subscribe};
pub(crate) use preferences::{change as change_preferences, show as show_preferences};

use crate::{
    Problem,
    client::ClientAddress,
    features::{Shared, workspace_id},
};
use application::subscriptions::{About, ContactLink, SubscriptionsError};
use domain::{
    contacts::{ContactField, FieldValue},
    email_address::EmailAddress,
    ids::{ListId, MessageId, WorkspaceId},
    lists::MembershipStatus,
    validation::{Check, Invalid},
};
use pages::Page;
use poem::{
    Body, IntoResponse, Response, handler,
    http::{HeaderMap, StatusCode, header},
    web::{Data, Json, Query, TypedHeader, headers::ContentType},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use words::filled;

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
    /// The message that the link stands in.
    mid: String,
    /// Whether the page shall tell that something was stored.
    saved: String,
}

/// The same as JSON, for pages that call with a script.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UnsubscribeBody {
    wid: String,
    email: String,
    email_hmac: String,
    lids: Vec<String>,
    mid: Option<String>,
}

impl LinkQuery {
    fn link(&self) -> Result<ContactLink, Invalid> {
        let mut check = Check::default();
        let workspace = check.nested("", workspace_id("/wid", &self.wid));
        let email = check.field("/email", EmailAddress::parse(&self.email));
        check.require(!self.email_hmac.is_empty(), "/email_hmac", "is required");
        let (workspace, email) = crate::body::complete(check, workspace.zip(email))?;
        Ok(ContactLink { workspace, email, token: self.email_hmac.to_ascii_lowercase() })
    }

    fn lists(&self) -> Result<Vec<ListId>, Invalid> {
        let ids = self.lids.split(',').map(str::trim).filter(|id| !id.is_empty());
        let ids = ids.map(|id| ListId::parse(id).map_err(|rule| Invalid::one("/lids", rule)));
        ids.collect()
    }

    fn message(&self) -> Option<MessageId> {
        MessageId::parse(&self.mid).ok()
    }

    /// The address of a contact's own page, relative to the pages here.
    fn address(&self, more: &[(&str, &str)]) -> String {
        let link = [("email", &self.email), ("email_hmac", &self.email_hmac), ("wid", &self.wid)];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(more).extend_pairs(link);
        format!("notification-center?{}", query.finish())
    }

    /// The address of what a link is about.
    fn about(&self) -> String {
        self.address(&[("action", &self.action), ("lid", &self.lid), ("mid", &self.mid)])
    }
}

/// Answers with a page also where something fails.
struct Answering<'a> {
    shared: &'a Shared,
    query: &'a LinkQuery,
    headers: &'a HeaderMap,
}

impl Answering<'_> {
    /// A page for what cannot be done, in the name of the workspace when there is one.
    async fn refused(&self, error: &SubscriptionsError) -> Response {
        refused(self.shared, &self.query.wid, self.headers, error).await
    }

    async fn shown(&self) -> Result<Response, SubscriptionsError> {
        let query = self.query;
        let link = link(query)?;
        match query.action.as_str() {
            "" => {
                let center = self.shared.subscriptions.center(&link).await?;
                let page = self.own_page(&center);
                let action = query.address(&[]);
                let saved = query.saved == "1";
                Ok(pages::Preferences::new(page, &center, &action).saved(saved).send())
            }
            "confirm" => {
                let about = self.shared.subscriptions.confirming(&link, &list(query)?).await?;
                Ok(self.asked_to_confirm(&about))
            }
            "unsubscribe" => {
                let about = self.shared.subscriptions.leaving(&link, &list(query)?).await?;
                Ok(self.asked_to_leave(&about))
            }
            _ => Err(SubscriptionsError::BadLink),
        }
    }

    fn own_page<'c>(&self, center: &'c application::subscriptions::Center) -> Page<'c> {
        Page::new(Some(&center.profile), center.contact.text(ContactField::Language), self.headers)
    }

    fn page<'c>(&self, about: &'c About) -> Page<'c> {
        Page::new(Some(&about.profile), about.language.as_deref(), self.headers)
    }

    fn asked_to_leave(&self, about: &About) -> Response {
        use MembershipStatus::{Active, Pending};
        let (page, manage) = (self.page(about), self.query.address(&[]));
        let words = page.words();
        match (&about.list_name, about.standing) {
            (Some(name), Some(Active | Pending)) => {
                let text = filled(words.unsubscribe_ask, &[("email", &self.query.email), ("list", name)]);
                let texts = [words.unsubscribe, &text, words.unsubscribe];
                page.question(texts, &self.query.about(), Some(&manage))
            }
            _ => page.message(StatusCode::OK, words.not_subscribed, None, Some(&manage)),
        }
    }

    fn asked_to_confirm(&self, about: &About) -> Response {
        let page = self.page(about);
        let words = page.words();
        match (&about.list_name, about.standing) {
            (Some(name), Some(MembershipStatus::Pending)) => {
                let text = filled(words.confirm_ask, &[("email", &self.query.email), ("list", name)]);
                page.question([words.confirm, &text, words.confirm_button], &self.query.about(), None)
            }
            _ => self.confirmed(about),
        }
    }

    fn confirmed(&self, about: &About) -> Response {
        let page = self.page(about);
        let words = page.words();
        match (&about.list_name, about.standing) {
            (Some(name), Some(MembershipStatus::Active)) => {
                let text = filled(words.confirmed_note, &[("list", name)]);
                page.message(StatusCode::OK, words.confirmed, Some(&text), None)
            }
            _ => page.message(StatusCode::OK, words.nothing_to_confirm, None, None),
        }
    }

    async fn done(&self, entered: &Entries, from: ClientAddress) -> Result<Response, SubscriptionsError> {
        let query = self.query;
        if entered.first("action") == Some("link") {
            return self.link_mailed(entered, from).await;
        }
        let link = link(query)?;
        let subscriptions = &self.shared.subscriptions;
        match query.action.as_str() {
            "" => self.chosen(&link, entered, from).await,
            "confirm" => Ok(self.confirmed(&subscriptions.confirm(&link, &list(query)?).await?)),
            "unsubscribe" => {
                let lists = [list(query)?];
                let about = subscriptions.unsubscribe(&link, &lists, query.message().as_ref()).await?;
                let (page, manage) = (self.page(&about), query.address(&[]));
                let words = page.words();
                let text = about.list_name.as_deref();
                let text = text.map(|name| filled(words.unsubscribed_note, &[("list", name)]));
                Ok(page.message(StatusCode::OK, words.unsubscribed, text.as_deref(), Some(&manage)))
            }
            _ => Err(SubscriptionsError::BadLink),
        }
    }

    async fn chosen(
        &self,
        link: &ContactLink,
        entered: &Entries,
        from: ClientAddress,
    ) -> Result<Response, SubscriptionsError> {
        let subscriptions = &self.shared.subscriptions;
        let Ok(fields) = entered.fields() else {
            let center = subscriptions.center(link).await?;
            let action = self.query.address(&[]);
            return Ok(pages::Preferences::new(self.own_page(&center), &center, &action).wrong().send());
        };
        let (chosen, shown) = (entered.lists("list"), entered.lists("shown"));
        let preferences = application::subscriptions::Preferences {
            fields,
            join: &chosen - &shown,
            leave: &shown - &chosen,
            leave_all: entered.first("leave_all").is_some(),
        };
        subscriptions.choose(link, preferences, from.0).await?;
        Ok(Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, self.query.address(&[("saved", "1")]))
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::REFERRER_POLICY, "no-referrer")
            .finish())
    }

    /// Mails a new link. The answer is the same for an address that is unknown.
    async fn link_mailed(
        &self,
        entered: &Entries,
        from: ClientAddress,
    ) -> Result<Response, SubscriptionsError> {
        let workspace = workspace_id("/wid", entered.first("wid").unwrap_or_default())?;
        let email = EmailAddress::parse(entered.first("email").unwrap_or_default());
        let profile = self.shared.subscriptions.profile(&workspace).await?;
        let page = Page::new(profile.as_ref(), None, self.headers);
        let Ok(email) = email else {
            return Ok(page.message(StatusCode::BAD_REQUEST, page.words().email_wrong, None, None));
        };
        if let Err(error) = self.shared.subscriptions.mail_link(&workspace, &email, from.0).await {
            return Ok(page.refused(&error));
        }
        let words = page.words();
        Ok(page.message(StatusCode::OK, words.link_sent, Some(words.link_sent_note), None))
    }
}

/// The link of a request. One that lacks a part is as bad as a forged one.
fn link(query: &LinkQuery) -> Result<ContactLink, SubscriptionsError> {
    query.link().map_err(|_| SubscriptionsError::BadLink)
}

fn list(query: &LinkQuery) -> Result<ListId, SubscriptionsError> {
    ListId::parse(&query.lid).map_err(|_| SubscriptionsError::BadLink)
}

/// A page for what cannot be done, in the name of the workspace when there is one.
async fn refused(shared: &Shared, wid: &str, headers: &HeaderMap, error: &SubscriptionsError) -> Response {
    let profile = match WorkspaceId::parse(wid) {
        // Whoever cannot be asked now is left out of the page that says so.
        Ok(workspace) => shared.subscriptions.profile(&workspace).await.unwrap_or_default(),
        Err(_) => None,
    };
    Page::new(profile.as_ref(), None, headers).refused(error)
}

/// What was entered into a form.
struct Entries(Vec<(String, String)>);

impl Entries {
    fn read(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Lists that are named, by one entry each or several in one. What is no identifier is no list.
    fn lists(&self, name: &str) -> BTreeSet<ListId> {
        let ids = self.all(name).flat_map(|ids| ids.split(','));
        ids.filter_map(|id| ListId::parse(id.trim()).ok()).collect()
    }

    /// The contact's own fields that were in the form; an empty one has no value.
    fn fields(&self) -> Result<BTreeMap<ContactField, Option<FieldValue>>, Invalid> {
        let mut check = Check::default();
        let mut fields = BTreeMap::new();
        for field in ContactField::OWN {
            let Some(text) = self.first(field.name()).map(str::trim) else { continue };
            let pointer = format!("/{}", field.name());
            check.require(!text.contains('\0'), &pointer, "must not contain NUL characters");
            let value = (!text.is_empty()).then(|| field.parse(&Value::from(text))).transpose();
            if let Some(value) = check.field(&pointer, value) {
                fields.insert(field, value);
            }
        }
        check.finish()?;
        Ok(fields)
    }
}

/// Shows the lists of a contact, or asks for the one click that its link is about.
#[handler]
pub(crate) async fn show(
    Data(shared): Data<&Shared>,
    Query(query): Query<LinkQuery>,
    headers: &HeaderMap,
) -> Response {
    let answering = Answering { shared, query: &query, headers };
    match answering.shown().await {
        Ok(page) => page,
        Err(error) => answering.refused(&error).await,
    }
}

/// Does what the link of a mail asks for, after the contact's click, and stores what it chose.
#[handler]
pub(crate) async fn act(
    Data(shared): Data<&Shared>,
    Query(query): Query<LinkQuery>,
    headers: &HeaderMap,
    from: ClientAddress,
    body: Vec<u8>,
) -> Response {
    let entered = Entries::read(&body);
    let answering = Answering { shared, query: &query, headers };
    match answering.done(&entered, from).await {
        Ok(page) => page,
        Err(error) => answering.refused(&error).await,
    }
}

/// Asks for the click; the mail programs of RFC 8058 post without asking.
#[handler]
pub(crate) async fn ask_one_click(
    Data(shared): Data<&Shared>,
    Query(query): Query<LinkQuery>,
    headers: &HeaderMap,
) -> Response {
    let lid = query.lids.split(',').next().unwrap_or_default().trim().to_owned();
    let query = LinkQuery { lid, action: "unsubscribe".to_owned(), ..query };
    let answering = Answering { shared, query: &query, headers };
    match answering.shown().await {
        Ok(page) => page,
        Err(error) => answering.refused(&error).await,
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
    shared.subscriptions.unsubscribe(&link, &lists, query.message().as_ref()).await?;
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
        mid: body.mid.unwrap_or_default(),
        ..LinkQuery::default()
    })
}
