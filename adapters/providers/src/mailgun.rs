//! Mailgun: `POST /v3/{domain}/messages`, as a form; with files as one of several parts.

use crate::{
    answer::{Answer, Complaint, text},
    config::Bases,
    letter::{File, Letter},
};
use domain::{
    integrations::{MailgunRegion, MailgunSettings},
    secret::Secret,
};
use reqwest::{
    Client, RequestBuilder,
    multipart::{Form, Part},
};

pub(crate) fn request(
    client: &Client,
    bases: &Bases,
    settings: &MailgunSettings<Secret>,
    letter: &Letter<'_>,
) -> RequestBuilder {
    let base = match settings.region {
        MailgunRegion::Us => &bases.mailgun,
        MailgunRegion::Eu => &bases.mailgun_eu,
    };
    let request = client
        .post(format!("{base}/v3/{}/messages", settings.domain))
        .basic_auth("api", Some(settings.api_key.expose()));
    let fields = fields(letter);
    if letter.files.is_empty() {
        return request.form(&fields);
    }
    let form = fields.into_iter().fold(Form::new(), |form, (name, value)| form.text(name, value));
    let form = letter
        .files
        .iter()
        .fold(form, |form, file| form.part(if file.inline { "inline" } else { "attachment" }, part(file)));
    request.multipart(form)
}

fn fields(letter: &Letter<'_>) -> Vec<(String, String)> {
    let mut fields = vec![
        ("from".to_owned(), letter.from.mailbox()),
        ("to".to_owned(), letter.to.mailbox()),
        ("subject".to_owned(), letter.subject.clone()),
        ("v:notifuse_message_id".to_owned(), letter.id.clone()),
    ];
    if !letter.html.is_empty() {
        fields.push(("html".to_owned(), letter.html.to_owned()));
    }
    if !letter.text.is_empty() || letter.html.is_empty() {
        fields.push(("text".to_owned(), letter.text.to_owned()));
    }
    fields.extend(letter.cc.iter().map(|address| ("cc".to_owned(), address.clone())));
    fields.extend(letter.bcc.iter().map(|address| ("bcc".to_owned(), address.clone())));
    fields.extend(letter.reply_to.iter().map(|address| ("h:Reply-To".to_owned(), address.clone())));
    fields.extend(letter.headers.iter().map(|(name, value)| (format!("h:{name}"), value.clone())));
    fields
}

/// An inline file is found by its name, so that the name is its Content-ID.
fn part(file: &File<'_>) -> Part {
    let name = if file.inline { file.content_id() } else { file.name.clone() };
    let made =
        |media_type: &str| Part::bytes(file.content.to_vec()).file_name(name.clone()).mime_str(media_type);
    made(file.media_type).unwrap_or_else(|_| Part::bytes(file.content.to_vec()).file_name(name.clone()))
}

/// Mailgun gives no codes: the status decides.
pub(crate) fn complaint(answer: &Answer) -> Option<Complaint> {
    (!answer.is_success()).then(|| Complaint { blame: None, words: text(&answer.body["message"]) })
}
