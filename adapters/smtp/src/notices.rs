//! Notices that mail servers send by mail: delivery status notifications (RFC 3464) and reports of
//! complaints (RFC 5965). The `NoticeReader` port.

use application::ports::{NoticeReader, ReadingError, Report};
use chrono::DateTime;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    feedback::{Bounce, EnhancedStatus, FeedbackKind},
};
use mail_parser::{Message, MessageParser, MimeHeaders as _};

/// Most recipients that one notice may tell of.
const MOST: usize = 1_000;

/// Reads notices as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct MailNotices;

impl NoticeReader for MailNotices {
    fn read(&self, mail: &[u8], now: Timestamp) -> Result<Vec<Report>, ReadingError> {
        let no_mail = ReadingError::Malformed("it is no mail");
        let mail = MessageParser::default().parse(mail).ok_or(no_mail)?;
        let notice = Notice::of(&mail, now);
        if let Some(status) = part(&mail, "delivery-status") {
            return notice.delivery(status);
        }
        if let Some(report) = part(&mail, "feedback-report") {
            return notice.complaint(report);
        }
        Err(ReadingError::Malformed(
            "it is neither a delivery status notification nor a report of a complaint",
        ))
    }
}

/// What a notice says of itself and of the mail that it is about.
struct Notice {
    /// Its own Message-ID.
    id: String,
    at: Timestamp,
    /// Our identifier of the mail, else its Message-ID.
    message: Option<String>,
    /// The recipient that the mail names.
    to: Option<String>,
}

impl Notice {
    fn of(mail: &Message<'_>, now: Timestamp) -> Self {
        let original = original(mail);
        let header = |name: &str| original.as_ref().and_then(|fields| field(fields, name));
        let ours = header("x-message-id").map(str::to_owned);
        let theirs = header("message-id").map(str::to_owned).or_else(|| referenced(mail));
        let date = mail.date().and_then(|date| DateTime::from_timestamp(date.to_timestamp(), 0));
        Self {
            id: mail.message_id().unwrap_or_default().to_owned(),
            at: date.filter(|at| *at <= now).unwrap_or(now),
            message: ours.or_else(|| theirs.as_deref().map(local_part).map(str::to_owned)),
            to: header("to").map(bare).map(str::to_owned),
        }
    }

    fn delivery(&self, status: &[u8]) -> Result<Vec<Report>, ReadingError> {
        let mut reports = Vec::new();
        for block in blocks(status).iter().skip(1).take(MOST) {
            let fields = fields(block);
            let told = |name: &str| field(&fields, name);
            let address = told("original-recipient").or(told("final-recipient")).map(typed);
            let Some(recipient) = address.and_then(|address| EmailAddress::parse(bare(address)).ok()) else {
                continue;
            };
            let (action, code) = (told("action").unwrap_or_default().to_ascii_lowercase(), told("status"));
            let kind = match action.as_str() {
                "failed" => FeedbackKind::Bounced(bounce(code, told("diagnostic-code").map(typed))),
                "delivered" => FeedbackKind::Delivered,
                // it is still on its way, or left our sight
                "delayed" | "relayed" | "expanded" => continue,
                _ => return Err(ReadingError::Malformed("an action is unknown")),
            };
            let attempt = told("last-attempt-date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
            let at = attempt.map_or(self.at, |at| at.to_utc().min(self.at));
            let message = self.message.clone();
            let words = [action.as_str(), recipient.as_str(), code.unwrap_or_default(), &self.id];
            let key = format!("{}\n{}", words.join("\n"), message.as_deref().unwrap_or_default());
            let payload = String::from_utf8_lossy(block).into_owned();
            reports.push(Report { key, kind, recipient, message, at, payload });
        }
        if reports.is_empty() && blocks(status).len() < 2 {
            return Err(ReadingError::Malformed("it tells of no recipient"));
        }
        Ok(reports)
    }

    fn complaint(&self, report: &[u8]) -> Result<Vec<Report>, ReadingError> {
        let fields = fields(report);
        let told = |name: &str| field(&fields, name);
        let kind = told("feedback-type").ok_or(ReadingError::Malformed("the report has no type"))?;
        if kind.eq_ignore_ascii_case("not-spam") {
            return Ok(Vec::new());
        }
        let address = told("original-rcpt-to").map(bare).or(self.to.as_deref());
        let nobody = ReadingError::Malformed("it does not tell whose complaint it is");
        let recipient = address.and_then(|address| EmailAddress::parse(address).ok()).ok_or(nobody)?;
        let message = self.message.clone();
        let key = format!("{kind}\n{recipient}\n{}\n{}", self.id, message.as_deref().unwrap_or_default());
        Ok(vec![Report {
            key,
            kind: FeedbackKind::complaint(kind),
            recipient,
            message,
            at: self.at,
            payload: String::from_utf8_lossy(report).into_owned(),
        }])
    }
}

/// A failure in the words of the mail server, with the status code unless these hold one.
fn bounce(status: Option<&str>, words: Option<&str>) -> Bounce {
    let (status, words) = (status.unwrap_or_default(), words.unwrap_or_default());
    let diagnostic = match EnhancedStatus::find(words) {
        Some(_) => words.to_owned(),
        None => format!("{status} {words}"),
    };
    Bounce::of("dsn", "failed", status, diagnostic.trim())
}

/// The body of the first part `message/<subtype>`.
fn part<'m>(mail: &'m Message<'_>, subtype: &str) -> Option<&'m [u8]> {
    let is_it = |part: &&mail_parser::MessagePart<'_>| {
        part.content_type().is_some_and(|kind| {
            let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            let name = kind.subtype().unwrap_or_default();
            // internationalized notices are called global-… (RFC 6533)
            same(kind.ctype(), "message") && same(name.strip_prefix("global-").unwrap_or(name), subtype)
        })
    };
    mail.parts.iter().find(is_it).map(mail_parser::MessagePart::contents)
}

/// The header of the mail that the notice is about.
fn original(mail: &Message<'_>) -> Option<Vec<(String, String)>> {
    let nested = mail.parts.iter().find_map(mail_parser::MessagePart::message);
    if let Some(nested) = nested {
        return Some(nested.headers_raw().map(unfolded).collect());
    }
    let is_header = |part: &&mail_parser::MessagePart<'_>| {
        part.content_type()
            .is_some_and(|kind| kind.subtype().is_some_and(|s| s.eq_ignore_ascii_case("rfc822-headers")))
    };
    mail.parts.iter().find(is_header).map(|part| fields(part.contents()))
}

/// The Message-ID of the mail, when the notice answers to it.
fn referenced(mail: &Message<'_>) -> Option<String> {
    let raw = mail.header_raw("In-Reply-To").or_else(|| mail.header_raw("References"))?;
    raw.split_whitespace().last().map(str::to_owned)
}

/// Groups of fields, which empty lines divide.
fn blocks(status: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(status).replace("\r\n", "\n");
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    blocks.map(|block| block.as_bytes().to_vec()).collect()
}

/// The fields of a group by their names in lower case, each on one line.
fn fields(block: &[u8]) -> Vec<(String, String)> {
    let whole = [block, b"\r\n\r\n"].concat();
    let parsed = MessageParser::default().parse(&whole);
    parsed.map(|parsed| parsed.headers_raw().map(unfolded).collect()).unwrap_or_default()
}

fn unfolded((name, value): (&str, &str)) -> (String, String) {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    (name.to_ascii_lowercase(), value)
}

fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
}

/// The value behind its type, as in `rfc822;ana@shop.example`.
fn typed(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, value)| value).trim()
}

/// The address of a mailbox, which may have a name and angle brackets.
fn bare(mailbox: &str) -> &str {
    let address = mailbox.rsplit_once('<').map_or(mailbox, |(_, address)| address);
    address.trim().trim_end_matches('>')
}

/// What stands before the `@` of a Message-ID: ours begin with the identifier of the message.
fn local_part(id: &str) -> &str {
    let id = bare(id);
    id.split_once('@').map_or(id, |(local, _)| local)
}

#[cfg(test)]
mod tests;
