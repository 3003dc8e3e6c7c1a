//! A mail in the words that the providers have in common.

use application::ports::{Attachment, Mailbox, OutgoingMail, SendError};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::email_address::EmailAddress;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Longest URL for one-click unsubscription, so that its header stays below 998 bytes.
const URL: usize = 900;
/// Longest media type taken from an attachment.
const MEDIA_TYPE: usize = 255;

/// A mail whose addresses and headers are fit for the wire.
pub(crate) struct Letter<'a> {
    pub id: String,
    pub from: Party<'a>,
    pub to: Party<'a>,
    /// None of them twice, and none of them `to`.
    pub cc: Vec<String>,
    pub bcc: Vec<String>,
    pub reply_to: Option<String>,
    pub subject: String,
    pub html: &'a str,
    pub text: &'a str,
    /// Those of the one-click unsubscription (RFC 8058).
    pub headers: Vec<(&'static str, String)>,
    pub files: Vec<File<'a>>,
}

/// An address with a name.
pub(crate) struct Party<'a> {
    pub name: Option<&'a str>,
    pub address: String,
}

/// A file of a mail.
pub(crate) struct File<'a> {
    pub name: String,
    pub media_type: &'a str,
    pub inline: bool,
    pub content: &'a [u8],
}

impl<'a> Letter<'a> {
    pub fn new(mail: &'a OutgoingMail) -> Result<Self, SendError> {
        let (from, to) = (Party::new(&mail.from)?, Party::new(&mail.to)?);
        let mut seen = vec![to.address.clone()];
        let mut others = |addresses: &[EmailAddress]| {
            let mut fresh = Vec::new();
            for address in addresses {
                let address = wire(address)?;
                if !seen.contains(&address) {
                    seen.push(address.clone());
                    fresh.push(address);
                }
            }
            Ok::<_, SendError>(fresh)
        };
        let (cc, bcc) = (others(&mail.cc)?, others(&mail.bcc)?);
        let mut headers = Vec::new();
        if let Some(url) = &mail.list_unsubscribe {
            let url = bracketed(url);
            if url.len() > URL {
                return Err(malformed("the address of the unsubscription is too long"));
            }
            headers.push(("List-Unsubscribe", url));
            headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        Ok(Self {
            id: mail.message_id.to_string(),
            from,
            to,
            cc,
            bcc,
            reply_to: mail.reply_to.as_ref().map(wire).transpose()?,
            subject: clean(&mail.subject),
            html: &mail.html,
            text: &mail.text,
            headers,
            files: mail.attachments.iter().map(File::new).collect(),
        })
    }

    /// The headers as an object.
    pub fn header_object(&self) -> Value {
        self.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

impl<'a> Party<'a> {
    fn new(mailbox: &'a Mailbox) -> Result<Self, SendError> {
        let name = mailbox.name.as_ref().map(domain::mail_name::MailName::as_str);
        Ok(Self { name, address: wire(&mailbox.address)? })
    }

    /// As one text (RFC 5322 §3.4), the name quoted unless it is made of atoms.
    pub fn mailbox(&self) -> String {
        let Some(name) = self.name.map(clean).filter(|name| !name.is_empty()) else {
            return self.address.clone();
        };
        let atoms = name.bytes().all(|b| b == b' ' || is_atext(b)) && !name.contains("  ");
        if atoms && !name.contains("=?") {
            return format!("{name} <{}>", self.address);
        }
        let mut quoted = String::with_capacity(name.len() + 2);
        for c in name.chars() {
            if matches!(c, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        format!("\"{quoted}\" <{}>", self.address)
    }

    /// As an object with members of these names.
    pub fn object(&self, address: &str, name: &str) -> Value {
        let mut party = json!({ address: self.address });
        if let Some(text) = self.name.map(clean).filter(|text| !text.is_empty()) {
            party[name] = json!(text);
        }
        party
    }
}

impl<'a> File<'a> {
    fn new(attachment: &'a Attachment) -> Self {
        let given = attachment.content_type.as_str();
        let sound = given.len() <= MEDIA_TYPE
            && given.contains('/')
            && given.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        Self {
            name: clean(&attachment.filename),
            media_type: if sound { given } else { "application/octet-stream" },
            inline: attachment.inline,
            content: &attachment.content,
        }
    }

    pub fn base64(&self) -> String {
        BASE64_STANDARD.encode(self.content)
    }

    /// The name as an identifier: what cannot stand in one becomes `_`.
    pub fn content_id(&self) -> String {
        let kept = |c: char| if c.is_ascii_graphic() && !"<>()[]\\\",;:".contains(c) { c } else { '_' };
        self.name.chars().take(200).map(kept).collect()
    }
}

/// The text on one line, without spaces at its ends.
pub(crate) fn clean(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let text: String = text.chars().map(|c| if breaks(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// The address with its domain in ASCII (punycode).
fn wire(address: &EmailAddress) -> Result<String, SendError> {
    let (local, domain) = address.as_str().rsplit_once('@').unwrap_or_default();
    let domain = idna::domain_to_ascii(domain).ok().filter(|domain| !domain.is_empty());
    let domain = domain.ok_or_else(|| malformed("the domain of an address has no ASCII form"))?;
    Ok(format!("{local}@{domain}"))
}

/// A URL in angle brackets; whatever could end it is percent-encoded.
fn bracketed(url: &str) -> String {
    let mut value = String::from("<");
    for byte in url.trim().bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>') {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value.push('>');
    value
}

fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn malformed(reason: &str) -> SendError {
    SendError::Malformed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str) -> String {
        Party { name: Some(name), address: "a@b.example".to_owned() }.mailbox()
    }

    #[test]
    fn a_name_is_quoted_when_it_could_be_read_otherwise() {
        assert_eq!(mailbox("Acme Shop"), "Acme Shop <a@b.example>");
        assert_eq!(mailbox("Smith, John"), "\"Smith, John\" <a@b.example>");
        assert_eq!(mailbox("The \"best\" \\"), "\"The \\\"best\\\" \\\\\" <a@b.example>");
        assert_eq!(mailbox("x@evil.example> <"), "\"x@evil.example> <\" <a@b.example>");
        assert_eq!(mailbox("Zoë"), "\"Zoë\" <a@b.example>");
    }

    #[test]
    fn a_url_cannot_leave_its_brackets() {
        assert_eq!(bracketed("https://x/?a=>\r\nb"), "<https://x/?a=%3E%0D%0Ab>");
    }
}
