//! Cursors of keyset pages. Opaque to clients.

use application::ports::ConnectionPlace;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::SecondsFormat;
use domain::{
    Timestamp,
    contacts::{Contact, ContactCursor},
    email_address::EmailAddress,
    feedback::{Feedback, FeedbackCursor},
    ids::{FeedbackId, MessageId, WorkspaceId},
    messages::{Message, MessageCursor},
};

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list; use next_cursor of the page before")]
pub(crate) struct CursorError;

fn write(at: Timestamp, key: &str) -> String {
    STANDARD.encode(format!("{}~{key}", at.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

fn read(cursor: &str) -> Result<(Timestamp, String), CursorError> {
    // A plus sign that a client did not escape arrives as a blank.
    let bytes = STANDARD.decode(cursor.trim().replace(' ', "+")).map_err(|_| CursorError)?;
    let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
    let (at, key) = text.split_once('~').ok_or(CursorError)?;
    let at = chrono::DateTime::parse_from_rfc3339(at).map_err(|_| CursorError)?;
    Ok((domain::to_microseconds(at.to_utc()), key.to_owned()))
}

pub(crate) fn write_link(last: &str) -> String {
    STANDARD.encode(last)
}

pub(crate) fn read_link(cursor: &str) -> Result<String, CursorError> {
    let bytes = STANDARD.decode(cursor.trim().replace(' ', "+")).map_err(|_| CursorError)?;
    String::from_utf8(bytes).ok().filter(|link| !link.contains('\0')).ok_or(CursorError)
}

pub(crate) fn write_contact(last: &Contact) -> String {
    write(last.created_at, last.email.as_str())
}

pub(crate) fn read_contact(cursor: &str) -> Result<ContactCursor, CursorError> {
    let (created_at, email) = read(cursor)?;
    Ok(ContactCursor { created_at, email: EmailAddress::parse(&email).map_err(|_| CursorError)? })
}

pub(crate) fn write_message(last: &Message) -> String {
    write(last.created_at, last.id.as_str())
}

pub(crate) fn read_message(cursor: &str) -> Result<MessageCursor, CursorError> {
    let (created_at, id) = read(cursor)?;
    Ok(MessageCursor { created_at, id: MessageId::parse(&id).map_err(|_| CursorError)? })
}

pub(crate) fn write_feedback(last: &Feedback) -> String {
    write(last.at, &last.id.to_string())
}

pub(crate) fn read_feedback(cursor: &str) -> Result<FeedbackCursor, CursorError> {
    let (at, id) = read(cursor)?;
    Ok(FeedbackCursor { at, id: FeedbackId::parse(&id).map_err(|_| CursorError)? })
}

pub(crate) fn write_address(last: &EmailAddress) -> String {
    STANDARD.encode(last.as_str())
}

pub(crate) fn read_address(cursor: &str) -> Result<EmailAddress, CursorError> {
    let bytes = STANDARD.decode(cursor.trim().replace(' ', "+")).map_err(|_| CursorError)?;
    let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
    EmailAddress::parse(&text).map_err(|_| CursorError)
}

pub(crate) fn write_place(last: &ConnectionPlace) -> String {
    STANDARD.encode(format!("{}~{}", last.figure, last.workspace))
}

pub(crate) fn read_place(cursor: &str) -> Result<ConnectionPlace, CursorError> {
    let bytes = STANDARD.decode(cursor.trim().replace(' ', "+")).map_err(|_| CursorError)?;
    let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
    let (figure, workspace) = text.split_once('~').ok_or(CursorError)?;
    Ok(ConnectionPlace {
        figure: figure.parse().map_err(|_| CursorError)?,
        workspace: WorkspaceId::parse(workspace).map_err(|_| CursorError)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_has_the_form_that_clients_have_seen() {
        let cursor = "MjAyNi0wNS0zMVQxMjowMDowMC4xMjM0NTZafmFuYUBzaG9wLmV4YW1wbGU=";
        let read = read_contact(cursor).unwrap();
        assert_eq!(read.email.as_str(), "ana@shop.example");
        assert_eq!(write(read.created_at, read.email.as_str()), cursor);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(micros in 0_i64..4_000_000_000_000_000, local in "[a-z][a-z0-9~+.-]{0,20}[a-z]") {
            prop_assume!(!local.contains(".."));
            let at = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            let email = format!("{local}@shop.example");
            let read = read_contact(&write(at, &email)).unwrap();
            prop_assert_eq!(read.created_at, at);
            prop_assert_eq!(read.email.as_str(), email);
        }

        #[test]
        fn garbage_is_refused_without_panic(text in "\\PC{0,60}") {
            let _ = read_contact(&text);
            let _ = read_message(&text);
            let _ = read_contact(&STANDARD.encode(&text));
        }
    }
}
