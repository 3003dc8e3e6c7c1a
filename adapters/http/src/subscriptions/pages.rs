//! The pages themselves: HTML without scripts; every value is escaped by the template engine.

use super::words::{Words, filled};
use application::{
    failure::{Failure, FailureKind},
    subscriptions::{Center, Profile},
};
use askama::Template;
use domain::{
    contacts::ContactField,
    languages::PageLanguage,
    lists::{List, MembershipStatus},
    timezones::Timezone,
    workspaces::web_url,
};
use poem::{
    Response,
    http::{HeaderMap, StatusCode, header},
};

/// What all pages share.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) profile: Option<&'a Profile>,
    pub(super) language: PageLanguage,
}

impl<'a> Page<'a> {
    /// A page in the contact's language, else in one that the browser asks for, else in the workspace's.
    pub(super) fn new(profile: Option<&'a Profile>, contact: Option<&str>, headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let usual = profile.map(|profile| profile.language.as_str());
        let language = contact
            .and_then(PageLanguage::of)
            .or_else(|| accepted.and_then(preferred))
            .or_else(|| usual.and_then(PageLanguage::of))
            .unwrap_or(PageLanguage::En);
        Self { profile, language }
    }

    pub(super) fn words(&self) -> &'static Words {
        Words::of(self.language)
    }

    fn direction(&self) -> &'static str {
        if self.language.is_right_to_left() { "rtl" } else { "ltr" }
    }

    fn website(&self) -> Option<String> {
        self.profile?.website_url.as_deref().and_then(absolute)
    }

    fn logo(&self) -> Option<String> {
        self.profile?.logo_url.as_deref().and_then(absolute)
    }

    /// A page that says one thing.
    pub(super) fn message(
        self,
        status: StatusCode,
        title: &str,
        text: Option<&str>,
        manage: Option<&str>,
    ) -> Response {
        send(status, &Message { page: self, words: self.words(), title, text, manage })
    }

    /// A page that asks for one click, which `action` does.
    pub(super) fn question(
        self,
        [title, text, button]: [&str; 3],
        action: &str,
        manage: Option<&str>,
    ) -> Response {
        send(
            StatusCode::OK,
            &Question { page: self, words: self.words(), title, text, button, action, manage },
        )
    }

    /// A page for a link that leads nowhere, and how to have another.
    pub(super) fn expired(self) -> Response {
        send(StatusCode::FORBIDDEN, &Expired { page: self, words: self.words() })
    }

    /// A page for what cannot be done.
    pub(super) fn refused<E: Failure + 'static>(self, failure: &E) -> Response {
        let words = self.words();
        let kind = failure.kind();
        let (status, title) = match kind {
            FailureKind::Unauthenticated => return self.expired(),
            FailureKind::NotFound => (StatusCode::NOT_FOUND, words.missing),
            FailureKind::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, words.too_many),
            FailureKind::Unavailable(_) | FailureKind::ConnectionLimit { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, words.later)
            }
            FailureKind::Internal => {
                let error = failure as &dyn std::error::Error;
                tracing::error!(code = failure.code(), error, "a page failed");
                (StatusCode::INTERNAL_SERVER_ERROR, words.later)
            }
            FailureKind::Unprocessable => {
                tracing::warn!(code = failure.code(), "a subscription cannot be confirmed by mail");
                (StatusCode::UNPROCESSABLE_ENTITY, words.later)
            }
            _ => (StatusCode::BAD_REQUEST, words.entry_wrong),
        };
        let mut response = self.message(status, title, None, None);
        if let Some(after) = kind.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        response
    }
}

/// The first language of `Accept-Language` (RFC 9110, section 12.5.4) that there is, by its weight.
fn preferred(accepted: &str) -> Option<PageLanguage> {
    let mut best: Option<(f32, PageLanguage)> = None;
    for part in accepted.split(',').take(30) {
        let mut parameters = part.split(';');
        let Some(language) = parameters.next().and_then(PageLanguage::of) else { continue };
        let weight = parameters.find_map(|p| p.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if weight > 0.0 && best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// An address of the settings, where the scheme may be missing.
fn absolute(url: &str) -> Option<String> {
    let full = if web_url(url) { url.to_owned() } else { format!("https://{url}") };
    web_url(&full).then_some(full)
}

#[derive(Template)]
#[template(path = "center/message.html")]
struct Message<'a> {
    page: Page<'a>,
    words: &'static Words,
    title: &'a str,
    text: Option<&'a str>,
    manage: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "center/question.html")]
struct Question<'a> {
    page: Page<'a>,
    words: &'static Words,
    title: &'a str,
    text: &'a str,
    button: &'a str,
    action: &'a str,
    manage: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "center/expired.html")]
struct Expired<'a> {
    page: Page<'a>,
    words: &'static Words,
}

/// A list to choose.
pub(super) struct Row<'a> {
    id: &'a str,
    name: &'a str,
    description: &'a str,
    note: Option<&'static str>,
    on: bool,
    closed: bool,
}

impl Row<'_> {
    fn is_described(&self) -> bool {
        self.note.is_some() || !self.description.is_empty()
    }
}

struct Choice {
    value: String,
    name: String,
    selected: bool,
}

/// The lists and preferences of a contact.
#[derive(Template)]
#[template(path = "center/preferences.html")]
pub(super) struct Preferences<'a> {
    page: Page<'a>,
    words: &'static Words,
    lead: String,
    rows: Vec<Row<'a>>,
    first_name: &'a str,
    last_name: &'a str,
    languages: Vec<Choice>,
    timezones: Vec<Choice>,
    action: &'a str,
    saved: bool,
    wrong: bool,
}

impl<'a> Preferences<'a> {
    pub(super) fn new(page: Page<'a>, center: &'a Center, action: &'a str) -> Self {
        let words = page.words();
        let contact = &center.contact;
        let text = |field| contact.text(field).unwrap_or_default();
        let rows = center.offers.iter().map(|offer| {
            let (on, closed, note) = match offer.standing() {
                Some(MembershipStatus::Active) => (true, false, Some(words.receives)),
                Some(MembershipStatus::Pending) => (false, false, Some(words.pending)),
                Some(status) if status.is_suppressed() => (false, true, Some(words.suppressed)),
                _ => (false, false, None),
            };
            Row {
                id: offer.list.id.as_str(),
                name: &offer.list.name,
                description: &offer.list.description,
                note,
                on,
                closed,
            }
        });
        let languages = PageLanguage::ALL.iter().map(|l| (l.code().to_owned(), l.own_name().to_owned()));
        let timezones = Timezone::names().map(|name| (name.to_owned(), name.replace('_', " ")));
        Self {
            page,
            words,
            lead: filled(words.preferences_lead, &[("email", contact.email.as_str())]),
            rows: rows.collect(),
            first_name: text(ContactField::FirstName),
            last_name: text(ContactField::LastName),
            languages: choices(languages, text(ContactField::Language), words.unset),
            timezones: choices(timezones, text(ContactField::Timezone), words.unset),
            action,
            saved: false,
            wrong: false,
        }
    }

    /// The same, telling that what was chosen is stored.
    pub(super) fn saved(self, saved: bool) -> Self {
        Self { saved, ..self }
    }

    /// The same, telling that something that was entered cannot be stored.
    pub(super) fn wrong(self) -> Self {
        Self { wrong: true, ..self }
    }

    pub(super) fn send(&self) -> Response {
        send(if self.wrong { StatusCode::BAD_REQUEST } else { StatusCode::OK }, self)
    }
}

/// No value, every choice, and the present value where it is none of these.
fn choices(all: impl Iterator<Item = (String, String)>, present: &str, unset: &str) -> Vec<Choice> {
    let of = |(value, name): (String, String)| Choice { selected: value == present, value, name };
    let mut choices: Vec<_> = std::iter::once((String::new(), unset.to_owned())).chain(all).map(of).collect();
    if !choices.iter().any(|choice| choice.selected) {
        choices.push(of((present.to_owned(), present.to_owned())));
    }
    choices
}

/// What was entered into the form of strangers.
#[derive(Debug, Default)]
pub(super) struct Entered {
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) lists: Vec<String>,
    pub(super) wrong: Option<&'static str>,
}

/// The form by which anybody subscribes.
#[derive(Template)]
#[template(path = "center/subscribe.html")]
pub(super) struct Subscribe<'a> {
    page: Page<'a>,
    words: &'static Words,
    workspace: &'a str,
    lead: String,
    rows: Vec<Row<'a>>,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    wrong: Option<&'static str>,
}

impl<'a> Subscribe<'a> {
    pub(super) fn new(page: Page<'a>, profile: &'a Profile, lists: &'a [List], entered: &'a Entered) -> Self {
        let rows = lists.iter().map(|list| Row {
            id: list.id.as_str(),
            name: &list.name,
            description: &list.description,
            note: None,
            on: lists.len() == 1 || entered.lists.iter().any(|id| id == list.id.as_str()),
            closed: false,
        });
        Self {
            page,
            words: page.words(),
            workspace: profile.workspace.as_str(),
            lead: filled(page.words().subscribe_lead, &[("name", &profile.name)]),
            rows: rows.collect(),
            email: &entered.email,
            first_name: &entered.first_name,
            last_name: &entered.last_name,
            wrong: entered.wrong,
        }
    }

    pub(super) fn send(&self) -> Response {
        send(if self.wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, self)
    }
}

/// Nothing is executed or framed, nothing is sent elsewhere, and no address of a page is passed on. The
/// owner's logo may come from anywhere.
const POLICY: &str = "default-src 'none'; img-src https: http:; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

fn send(status: StatusCode, template: &impl Template) -> Response {
    let html = template.render().expect("writing into memory does not fail, and no template fails by itself");
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header("x-robots-tag", "noindex, nofollow")
        .body(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_is_wanted_most() {
        assert_eq!(preferred("sv, fr;q=0.5, de;q=0.8"), Some(PageLanguage::De));
        assert_eq!(preferred("pt-BR,en;q=0.9"), Some(PageLanguage::Pt));
        assert_eq!(preferred("fr;q=0, sv, *"), None);
    }

    #[test]
    fn a_contact_reads_its_own_language_whatever_the_browser_says() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, header::HeaderValue::from_static("fr"));
        assert_eq!(Page::new(None, Some("ja"), &headers).language, PageLanguage::Ja);
        assert_eq!(Page::new(None, Some("sv"), &headers).language, PageLanguage::Fr);
        assert_eq!(Page::new(None, None, &HeaderMap::new()).language, PageLanguage::En);
    }

    #[test]
    fn an_address_without_a_scheme_is_one_of_the_web() {
        assert_eq!(absolute("shop.example").as_deref(), Some("https://shop.example"));
        assert_eq!(absolute("http://shop.example/a").as_deref(), Some("http://shop.example/a"));
        assert_eq!(absolute("javascript:alert(1)"), None);
    }

    #[test]
    fn a_value_that_is_no_choice_is_kept() {
        let all = || ["de", "fr"].into_iter().map(|code| (code.to_owned(), code.to_owned()));
        let selected = |present| {
            let choices = choices(all(), present, "none");
            choices.iter().filter(|c| c.selected).map(|c| c.value.clone()).collect::<Vec<_>>()
        };
        assert_eq!([selected("fr"), selected("sv"), selected("")], [["fr"], ["sv"], [""]]);
    }
}
