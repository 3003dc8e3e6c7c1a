//! The pages themselves: plain HTML without scripts, every value escaped.

use domain::lists::{Membership, MembershipStatus};
use poem::{IntoResponse as _, Response, http::header, web::Html};
use std::fmt::Write as _;

/// What a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Unsubscribe,
    Confirm,
}

/// One list on the page.
pub(super) struct Row {
    name: String,
    standing: &'static str,
    /// The button and where it posts to.
    button: Option<(Action, String)>,
}

impl Row {
    /// A list with a button.
    pub(super) fn asked(membership: &Membership, action: Action, address: &str) -> Self {
        Self { button: Some((action, address.to_owned())), ..Self::told(membership) }
    }

    /// A list without a button.
    pub(super) fn told(membership: &Membership) -> Self {
        let standing = match membership.status {
            MembershipStatus::Active => "You receive these mails.",
            MembershipStatus::Pending => "Your subscription is not confirmed yet.",
            _ => "You do not receive these mails.",
        };
        Self { name: membership.list_name.clone(), standing, button: None }
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1.25rem}\
h1{font-size:1.5rem}\
ul{list-style:none;padding:0}\
li{border:1px solid #8886;border-radius:.5rem;padding:1rem;margin:1rem 0}\
h2{font-size:1.1rem;margin:0}p{margin:.25rem 0 .75rem}\
button{font:inherit;padding:.5rem 1rem;border-radius:.375rem;border:1px solid currentColor;\
background:none;color:inherit;cursor:pointer}";

/// The lists of a contact, or the one that a link is about.
pub(super) fn lists(action: &str, rows: &[Row]) -> Response {
    let title = match action {
        "confirm" => "Confirm your subscription",
        "unsubscribe" => "Unsubscribe",
        _ => "Your subscriptions",
    };
    let mut body = format!("<h1>{title}</h1>");
    if rows.is_empty() {
        body.push_str("<p>You are not on any list.</p>");
    } else {
        body.push_str("<ul>");
        for row in rows {
            let _ = write!(body, "<li><h2>{}</h2><p>{}</p>", escape(&row.name), row.standing);
            if let Some((action, address)) = &row.button {
                let label = match action {
                    Action::Unsubscribe => "Unsubscribe",
                    Action::Confirm => "Confirm",
                };
                let address = escape(address);
                let _ = write!(
                    body,
                    "<form method=\"post\" action=\"{address}\"><button>{label}</button></form>"
                );
            }
            body.push_str("</li>");
        }
        body.push_str("</ul>");
    }
    page(title, &body)
}

/// A page that says one thing.
pub(super) fn message(text: &str) -> Response {
    page(text, &format!("<h1>{}</h1>", escape(text)))
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>",
        escape(title)
    );
    Html(html)
        .with_header(header::CACHE_CONTROL, "no-store")
        .with_header(header::REFERRER_POLICY, "no-referrer")
        .with_header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        )
        .into_response()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_bring_markup() {
        assert_eq!(escape("<b onclick='x'>\"&"), "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;");
    }
}
