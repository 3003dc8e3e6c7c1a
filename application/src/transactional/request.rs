//! What a client asks to be sent, and when two requests are the same.

use crate::ports::{FileContent, Vault};
use domain::{
    Timestamp,
    attachments::{AttachedFile, NewFile},
    contacts::{ContactPatch, FieldValue},
    idempotency::IdempotencyKey,
    ids::NotificationId,
    transactional::EmailOptions,
};
use serde_json::{Map, Value, json};

/// What a client asks to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SendRequest {
    /// Which notification.
    pub notification: NotificationId,
    /// The message's own key: at most one message is made for it.
    pub external_id: Option<IdempotencyKey>,
    /// The key of the call: at most one message is made for it.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Who receives it; stored or merged before the mail is made.
    pub contact: ContactPatch,
    /// Template variables.
    pub data: Map<String, Value>,
    /// Stored in clear with the message.
    pub metadata: Option<Map<String, Value>>,
    /// What this send changes of the mail.
    pub options: EmailOptions,
    /// Files that go with the mail.
    pub files: Vec<NewFile>,
    /// Not before this moment; at once when there is none or it has passed.
    pub send_at: Option<Timestamp>,
}

impl SendRequest {
    /// Its keys, always in the same order, each with a text that is equal for equal payloads
    /// whatever the order of members in their JSON. The key of the call also stands for the
    /// message's own key, which is a part of the payload then.
    pub(super) fn keys(&self) -> Vec<(&IdempotencyKey, String)> {
        let payload = self.payload();
        let own = self.external_id.as_ref().map(|key| (key, canonical(&payload)));
        let of_call = self.idempotency_key.as_ref().map(|key| {
            let external_id = self.external_id.as_ref().map(IdempotencyKey::as_str);
            (key, canonical(&json!([external_id, payload])))
        });
        own.into_iter().chain(of_call).collect()
    }

    /// Writes into the options which files go with the mail; answers their bytes, equal ones once.
    pub(super) fn attach(&mut self, vault: &dyn Vault) -> Vec<FileContent> {
        attach(std::mem::take(&mut self.files), &mut self.options, vault)
    }

    fn payload(&self) -> Value {
        let contact: Map<String, Value> = self
            .contact
            .changes
            .iter()
            .map(|(field, value)| {
                (field.name().to_owned(), value.as_ref().map_or(Value::Null, FieldValue::to_json))
            })
            .collect();
        json!([
            self.notification,
            self.contact.email,
            contact,
            self.data,
            self.metadata,
            self.options,
            self.send_at
        ])
    }
}

/// Writes into options which files go with a mail; answers their bytes, equal ones once.
pub(super) fn attach(files: Vec<NewFile>, options: &mut EmailOptions, vault: &dyn Vault) -> Vec<FileContent> {
    let mut contents: Vec<FileContent> = Vec::new();
    for file in files {
        let checksum = vault.fingerprint(&file.content);
        options.attachments.push(AttachedFile {
            checksum: checksum.clone(),
            filename: file.filename,
            content_type: file.content_type,
            disposition: file.disposition,
        });
        if contents.iter().all(|known| known.checksum != checksum) {
            contents.push(FileContent { checksum, content: file.content });
        }
    }
    contents
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<_> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_change_the_text() {
        let a: Value = serde_json::from_str(r#"{"b":1,"a":{"y":[1,{"q":1,"p":2}],"x":"s"}}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":{"x":"s","y":[1,{"p":2,"q":1}]},"b":1}"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":{"x":"s","y":[1,{"p":2,"q":1}]},"b":1}"#);
    }

    #[test]
    fn different_values_differ() {
        assert_ne!(canonical(&json!({"a": "1"})), canonical(&json!({"a": 1})));
        assert_ne!(canonical(&json!(["a", "b"])), canonical(&json!(["a,b"])));
    }
}
