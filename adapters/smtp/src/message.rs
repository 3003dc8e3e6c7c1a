//! A mail as RFC 5322 text, with its envelope.

use crate::header;
use application::ports::{Attachment, Mailbox, OutgoingMail, SendError};
use domain::{Timestamp, email_address::EmailAddress, ids::MessageId};
use lettre::{
    Address, Message,
    address::Envelope as LettreEnvelope,
    message::{
        Body, MultiPart, SinglePart,
        header::{ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};

/// Longest URL for one-click unsubscription, so that its header stays below 998 bytes.
const URL: usize = 900;
/// Longest media type taken from an attachment.
const MEDIA_TYPE: usize = 255;

/// A mail ready for the wire.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub envelope: Envelope,
    /// Headers and body; lines end in CRLF, the last one too.
    pub content: String,
}

/// Who sends, and who gets the mail. Addresses without brackets, domains in ASCII.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub from: String,
    pub to: String,
    /// Visible and hidden further recipients, none of them twice.
    pub others: Vec<String>,
}

/// Writes a mail. `now` becomes its date.
pub(crate) fn prepare(mail: &OutgoingMail, now: Timestamp) -> Result<Prepared, SendError> {
    let envelope = envelope(mail)?;
    let cc = mail.cc.iter().map(wire).collect::<Result<Vec<_>, _>>()?;
    let mut builder = Message::builder()
        .envelope(placeholder())
        .date(now.into())
        .raw_header(from(&mail.from, &envelope.from))
        .raw_header(raw("To", header::mailboxes([(name(&mail.to), envelope.to.as_str())])));
    if !cc.is_empty() {
        let cc = header::mailboxes(cc.iter().map(|address| (None, address.as_str())));
        builder = builder.raw_header(raw("Cc", cc));
    }
    if let Some(reply_to) = &mail.reply_to {
        builder = builder.raw_header(raw("Reply-To", wire(reply_to)?));
    }
    builder = builder
        .raw_header(raw("Subject", header::free_text("Subject".len(), &mail.subject)))
        .raw_header(raw("Message-ID", message_id(&mail.message_id, &envelope.from)))
        .raw_header(raw("X-Message-ID", mail.message_id.to_string()));
    if let Some(url) = &mail.list_unsubscribe {
        let url = header::bracketed_url(url);
        if url.len() > URL {
            return Err(malformed("the address of the unsubscription is too long"));
        }
        builder = builder
            .raw_header(raw("List-Unsubscribe", url))
            .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    let message = match body(mail) {
        Part::Single(part) => builder.singlepart(part),
        Part::Multi(part) => builder.multipart(part),
    };
    let content = message.map_err(|_| malformed("a header is not valid"))?.formatted();
    // every part is ASCII or base64
    let mut content = String::from_utf8(content).map_err(|_| malformed("it is no text"))?;
    if !content.ends_with("\r\n") {
        content.push_str("\r\n");
    }
    Ok(Prepared { envelope, content })
}

/// The identifier on the sender's domain; unique, as the message's identifier is.
fn message_id(id: &MessageId, from: &str) -> String {
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    format!("<{id}@{domain}>")
}

fn envelope(mail: &OutgoingMail) -> Result<Envelope, SendError> {
    let (from, to) = (wire(&mail.from.address)?, wire(&mail.to.address)?);
    let mut others = Vec::new();
    for address in mail.cc.iter().chain(&mail.bcc) {
        let address = wire(address)?;
        if address != to && !others.contains(&address) {
            others.push(address);
        }
    }
    Ok(Envelope { from, to, others })
}

fn wire(address: &EmailAddress) -> Result<String, SendError> {
    header::wire_address(address).ok_or_else(|| malformed("the domain of an address has no ASCII form"))
}

fn malformed(reason: &str) -> SendError {
    SendError::Malformed { reason: reason.to_owned() }
}

fn name(mailbox: &Mailbox) -> Option<&str> {
    mailbox.name.as_ref().map(domain::mail_name::MailName::as_str)
}

/// A header whose value is encoded and folded already.
fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// lettre reads the raw form of From back and insists on a plain address there.
fn from(mailbox: &Mailbox, address: &str) -> HeaderValue {
    let encoded = header::mailboxes([(name(mailbox), address)]);
    let plain = "author@placeholder.invalid".to_owned();
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str("From"), plain, encoded)
}

/// lettre wants an envelope; ours is [`Envelope`], since its own knows no refusal of one recipient.
fn placeholder() -> LettreEnvelope {
    let address = Address::new_dangerous("nobody", "placeholder.invalid");
    LettreEnvelope::new(None, vec![address]).unwrap_or_else(|_| unreachable!("there is a recipient"))
}

enum Part {
    Single(SinglePart),
    Multi(MultiPart),
}

/// mixed(alternative(text, related(HTML, what it shows)), files), less what there is not.
fn body(mail: &OutgoingMail) -> Part {
    let (inline, files): (Vec<_>, Vec<_>) = mail.attachments.iter().partition(|a| a.inline);
    let mut part = None;
    if !mail.html.is_empty() {
        let html = SinglePart::html(text_lines(&mail.html));
        part = Some(around(Part::Single(html), MultiPart::related(), &inline));
    }
    if !mail.text.is_empty() || part.is_none() {
        let text = SinglePart::plain(text_lines(&mail.text));
        part = Some(match part {
            None => around(Part::Single(text), MultiPart::related(), &inline),
            Some(rich) => Part::Multi(push(MultiPart::alternative().singlepart(text), rich)),
        });
    }
    let part = part.unwrap_or_else(|| unreachable!("a mail without HTML has a text"));
    around(part, MultiPart::mixed(), &files)
}

/// Puts a part and files into a whole, when there are files.
fn around(part: Part, whole: lettre::message::MultiPartBuilder, files: &[&Attachment]) -> Part {
    if files.is_empty() {
        return part;
    }
    let whole = push(whole.build(), part);
    Part::Multi(files.iter().fold(whole, |whole, file| whole.singlepart(attached(file))))
}

fn push(whole: MultiPart, part: Part) -> MultiPart {
    match part {
        Part::Single(part) => whole.singlepart(part),
        Part::Multi(part) => whole.multipart(part),
    }
}

fn attached(file: &Attachment) -> SinglePart {
    let filename = header::clean(&file.filename);
    let mut part = SinglePart::builder().header(media_type(&file.content_type));
    part = if file.inline {
        part.header(lettre::message::header::ContentId::from(format!("<{}>", content_id(&filename))))
            .header(ContentDisposition::inline_with_name(&filename))
    } else {
        part.header(ContentDisposition::attachment(&filename))
    };
    // always base64: a file must arrive byte for byte
    let body = Body::new_with_encoding(file.content.to_vec(), ContentTransferEncoding::Base64)
        .unwrap_or_else(Body::new);
    part.body(body)
}

/// The name as an identifier: what cannot stand in one becomes `_`.
fn content_id(filename: &str) -> String {
    let kept = |c: char| if c.is_ascii_graphic() && !"<>()[]\\\",;:".contains(c) { c } else { '_' };
    filename.chars().take(200).map(kept).collect()
}

/// The media type given, unless it is none, or one that must not be base64 (RFC 2045 §6.4).
fn media_type(given: &str) -> ContentType {
    let plain = given.len() <= MEDIA_TYPE && given.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let composite = ["multipart/", "message/"]
        .iter()
        .any(|kind| given.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)));
    let parsed = if plain && !composite { ContentType::parse(given).ok() } else { None };
    parsed
        .unwrap_or_else(|| ContentType::parse("application/octet-stream").unwrap_or(ContentType::TEXT_PLAIN))
}

/// Text with lines that end in CRLF; lone CR counts as an end, NUL is dropped.
fn text_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line.strip_suffix('\r').unwrap_or(line), "\r\n"),
            None => (line, ""),
        };
        if line.contains('\r') || line.contains('\0') {
            lines.push_str(&line.replace('\0', "").replace('\r', "\r\n"));
        } else {
            lines.push_str(line);
        }
        lines.push_str(end);
    }
    lines
}

#[cfg(test)]
mod tests;
