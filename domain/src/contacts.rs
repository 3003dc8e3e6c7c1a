//! The people that mails go to.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{ListId, MessageId, SegmentId},
    lists::MembershipStatus,
    to_microseconds,
    validation::{Check, Invalid},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a contact field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text of at most so many characters.
    Text(usize),
    /// A finite number.
    Number,
    /// A moment.
    Time,
    /// An object or an array.
    Json,
}

macro_rules! contact_fields {
    ($($variant:ident $name:literal $kind:expr;)*) => {
        /// A field of a contact other than its address. The order is that of the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each name says what it holds")]
        pub enum ContactField { $($variant,)* }

        impl ContactField {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name on the wire and in storage.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the field holds.
            #[must_use]
            pub fn kind(self) -> FieldKind {
                match self { $(Self::$variant => $kind,)* }
            }

            /// The field with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

contact_fields! {
    ExternalId "external_id" FieldKind::Text(255);
    Timezone "timezone" FieldKind::Text(50);
    Language "language" FieldKind::Text(50);
    FirstName "first_name" FieldKind::Text(255);
    LastName "last_name" FieldKind::Text(255);
    FullName "full_name" FieldKind::Text(255);
    Phone "phone" FieldKind::Text(50);
    AddressLine1 "address_line_1" FieldKind::Text(255);
    AddressLine2 "address_line_2" FieldKind::Text(255);
    Country "country" FieldKind::Text(100);
    Postcode "postcode" FieldKind::Text(20);
    State "state" FieldKind::Text(100);
    JobTitle "job_title" FieldKind::Text(255);
    CustomString1 "custom_string_1" FieldKind::Text(255);
    CustomString2 "custom_string_2" FieldKind::Text(255);
    CustomString3 "custom_string_3" FieldKind::Text(255);
    CustomString4 "custom_string_4" FieldKind::Text(255);
    CustomString5 "custom_string_5" FieldKind::Text(255);
    CustomNumber1 "custom_number_1" FieldKind::Number;
    CustomNumber2 "custom_number_2" FieldKind::Number;
    CustomNumber3 "custom_number_3" FieldKind::Number;
    CustomNumber4 "custom_number_4" FieldKind::Number;
    CustomNumber5 "custom_number_5" FieldKind::Number;
    CustomDatetime1 "custom_datetime_1" FieldKind::Time;
    CustomDatetime2 "custom_datetime_2" FieldKind::Time;
    CustomDatetime3 "custom_datetime_3" FieldKind::Time;
    CustomDatetime4 "custom_datetime_4" FieldKind::Time;
    CustomDatetime5 "custom_datetime_5" FieldKind::Time;
    CustomJson1 "custom_json_1" FieldKind::Json;
    CustomJson2 "custom_json_2" FieldKind::Json;
    CustomJson3 "custom_json_3" FieldKind::Json;
    CustomJson4 "custom_json_4" FieldKind::Json;
    CustomJson5 "custom_json_5" FieldKind::Json;
}

impl ContactField {
    /// What contacts may say about themselves, without a key.
    pub const OWN: [Self; 4] = [Self::FirstName, Self::LastName, Self::Language, Self::Timezone];

    /// Whether the workspace gives the field its meaning.
    #[must_use]
    pub fn is_custom(self) -> bool {
        self.name().starts_with("custom_")
    }

    /// Reads a JSON value of the field's kind: text is trimmed, a number must be finite, a moment is
    /// RFC 3339 with an offset.
    ///
    /// # Errors
    /// When the value is of another kind or too long.
    pub fn parse(self, value: &Value) -> Result<FieldValue, FieldError> {
        match (self.kind(), value) {
            (FieldKind::Text(max), Value::String(text)) => {
                let text = text.trim();
                if text.chars().count() > max {
                    Err(FieldError::TooLong(max))
                } else if text.contains('\0') {
                    Err(FieldError::Nul)
                } else {
                    Ok(FieldValue::Text(text.to_owned()))
                }
            }
            (FieldKind::Text(_), _) => Err(FieldError::NotText),
            (FieldKind::Number, Value::Number(number)) => {
                number.as_f64().filter(|n| n.is_finite()).map(FieldValue::Number).ok_or(FieldError::NotNumber)
            }
            (FieldKind::Number, _) => Err(FieldError::NotNumber),
            (FieldKind::Time, Value::String(text)) => chrono::DateTime::parse_from_rfc3339(text.trim())
                .map(|at| FieldValue::Time(to_microseconds(at.to_utc())))
                .map_err(|_| FieldError::NotTime),
            (FieldKind::Time, _) => Err(FieldError::NotTime),
            (FieldKind::Json, Value::Object(_) | Value::Array(_)) => Ok(FieldValue::Json(value.clone())),
            (FieldKind::Json, _) => Err(FieldError::NotJson),
        }
    }
}

/// Why a value does not fit its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A text is wanted.
    #[error("must be a string")]
    NotText,
    /// A number is wanted.
    #[error("must be a number")]
    NotNumber,
    /// A moment is wanted.
    #[error("must be an RFC 3339 date and time, such as 2026-02-01T09:00:00Z")]
    NotTime,
    /// An object or array is wanted.
    #[error("must be an object or an array")]
    NotJson,
    /// The text is too long.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// The text holds a NUL, which PostgreSQL cannot store.
    #[error("must not contain NUL characters")]
    Nul,
}

/// The value of a contact field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// Of a text field.
    Text(String),
    /// Of a number field; finite.
    Number(f64),
    /// Of a time field.
    Time(Timestamp),
    /// Of a JSON field: an object or array.
    Json(Value),
}

impl FieldValue {
    /// The value as it stands on the wire.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(number) => whole(*number).map_or_else(|| Value::from(*number), Value::from),
            Self::Time(at) => Value::String(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
            Self::Json(value) => value.clone(),
        }
    }
}

/// The integer that a number equals, so that 3 is not written 3.0.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// A contact. Its address is its identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    /// Unique in the workspace.
    pub email: EmailAddress,
    /// Fields that have a value.
    pub fields: BTreeMap<ContactField, FieldValue>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When it was last stored.
    pub updated_at: Timestamp,
}

impl Contact {
    /// A contact not stored before.
    #[must_use]
    pub fn new(patch: &ContactPatch, now: Timestamp) -> Self {
        let mut contact = Self {
            email: patch.email.clone(),
            fields: BTreeMap::new(),
            created_at: patch.created_at.unwrap_or(now),
            updated_at: now,
        };
        contact.apply(patch, now);
        contact
    }

    /// Merges a patch: absent keeps, null clears, a value sets.
    pub fn apply(&mut self, patch: &ContactPatch, now: Timestamp) {
        for (field, change) in &patch.changes {
            match change {
                Some(value) => self.fields.insert(*field, value.clone()),
                None => self.fields.remove(field),
            };
        }
        self.updated_at = now;
    }

    /// The address that stands in a message's place once its contact is deleted. It differs by
    /// message, so that accounts stay unique, and can never be mailed.
    #[must_use]
    pub fn redacted_address(message: &MessageId) -> String {
        format!("{message}@deleted.invalid")
    }

    /// The text of a field, when it is a text field with a value.
    #[must_use]
    pub fn text(&self, field: ContactField) -> Option<&str> {
        match self.fields.get(&field) {
            Some(FieldValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// What to change of a contact, or what to store of a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactPatch {
    /// Whose.
    pub email: EmailAddress,
    /// Field by field: `None` clears, `Some` sets; a field that is not here is kept.
    pub changes: BTreeMap<ContactField, Option<FieldValue>>,
    /// The moment of creation of a new contact, when an import knows it.
    pub created_at: Option<Timestamp>,
}

impl ContactPatch {
    /// A patch that changes nothing.
    #[must_use]
    pub fn of(email: EmailAddress) -> Self {
        Self { email, changes: BTreeMap::new(), created_at: None }
    }

    /// Reads a JSON object with three states per field: missing keeps, null clears, a value sets.
    /// Unknown members are ignored.
    ///
    /// # Errors
    /// Every bad field, with its place in the object.
    pub fn from_json(value: &Value) -> Result<Self, Invalid> {
        let Value::Object(object) = value else {
            return Err(Invalid::one("", "must be an object"));
        };
        let mut check = Check::default();
        let email = match object.get("email") {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                check.field("/email", EmailAddress::parse(text))
            }
            Some(Value::String(_) | Value::Null) | None => {
                check.problem("/email", "is required");
                None
            }
            Some(_) => {
                check.problem("/email", FieldError::NotText);
                None
            }
        };
        let mut changes = BTreeMap::new();
        for (name, value) in object {
            let Some(field) = ContactField::from_name(name) else {
                continue;
            };
            if value.is_null() {
                changes.insert(field, None);
            } else if let Some(value) = check.field(&format!("/{name}"), field.parse(value)) {
                changes.insert(field, Some(value));
            }
        }
        check.finish()?;
        let email = email.ok_or_else(|| Invalid::one("/email", "is required"))?;
        Ok(Self { email, changes, created_at: None })
    }
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertAction {
    /// The contact was new.
    Create,
    /// The contact was known.
    Update,
}

/// A place in the list of contacts, which is ordered by creation, newest first, then by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactCursor {
    /// Creation of the last contact seen.
    pub created_at: Timestamp,
    /// Address of the last contact seen.
    pub email: EmailAddress,
}

/// Which contacts to list. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactFilter {
    /// Part of the address, without regard to case.
    pub email: Option<String>,
    /// Part of a text field, without regard to case.
    pub fields: BTreeMap<ContactField, String>,
    /// Live member of this list.
    pub list: Option<ListId>,
    /// With this status on `list`, or on any list.
    pub list_status: Option<MembershipStatus>,
    /// In any of these segments.
    pub segments: Vec<SegmentId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn missing_keeps_null_clears_and_a_value_sets() {
        let now = at("2026-01-01T00:00:00Z");
        let first = json!({"email": "ana@shop.example", "first_name": "Ana", "last_name": "Silva"});
        let mut contact = Contact::new(&ContactPatch::from_json(&first).unwrap(), now);
        let patch = json!({"email": "ana@shop.example", "first_name": null, "custom_number_1": 12.5});
        contact.apply(&ContactPatch::from_json(&patch).unwrap(), now);
        assert_eq!(contact.text(ContactField::FirstName), None);
        assert_eq!(contact.text(ContactField::LastName), Some("Silva"));
        assert_eq!(contact.fields[&ContactField::CustomNumber1], FieldValue::Number(12.5));
    }

    #[test]
    fn every_bad_field_is_reported() {
        let body = json!({"email": "x", "phone": 1, "custom_number_1": "1", "custom_datetime_1": "2026-01-01",
                          "custom_json_1": "text", "first_name": "x".repeat(256), "unknown": 1});
        let pointers: Vec<_> =
            ContactPatch::from_json(&body).unwrap_err().0.into_iter().map(|p| p.pointer).collect();
        assert_eq!(
            pointers,
            ["/email", "/custom_datetime_1", "/custom_json_1", "/custom_number_1", "/first_name", "/phone"]
        );
    }

    #[test]
    fn whole_numbers_are_written_without_a_fraction() {
        assert_eq!(FieldValue::Number(3.0).to_json(), json!(3));
        assert_eq!(FieldValue::Number(3.5).to_json(), json!(3.5));
        assert_eq!(FieldValue::Number(1e300).to_json(), json!(1e300));
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        for field in ContactField::ALL {
            assert_eq!(ContactField::from_name(field.name()), Some(*field));
        }
        assert_eq!(ContactField::from_name("email"), None);
    }

    proptest! {
        #[test]
        fn the_three_states_survive_any_mix(states in proptest::collection::vec(0_u8..3, 5)) {
            let names = ["first_name", "phone", "custom_number_2", "custom_datetime_3", "custom_json_4"];
            let values = [json!("a"), json!("1"), json!(4), json!("2026-01-01T00:00:00Z"), json!({"a": 1})];
            let mut body = json!({"email": "ana@shop.example"});
            for (i, state) in states.iter().enumerate() {
                match state {
                    0 => {}
                    1 => body[names[i]] = Value::Null,
                    _ => body[names[i]] = values[i].clone(),
                }
            }
            let patch = ContactPatch::from_json(&body).unwrap();
            for (i, state) in states.iter().enumerate() {
                let change = patch.changes.get(&ContactField::from_name(names[i]).unwrap());
                match state {
                    0 => prop_assert!(change.is_none()),
                    1 => prop_assert_eq!(change, Some(&None)),
                    _ => prop_assert!(matches!(change, Some(Some(_)))),
                }
            }
        }

        #[test]
        fn no_input_panics(text in "\\PC{0,40}", number in any::<f64>()) {
            for value in [json!(text), json!(number), json!([text])] {
                for field in ContactField::ALL {
                    let _ = field.parse(&value);
                }
            }
        }
    }
}
