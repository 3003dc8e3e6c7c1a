//! What the operations of contacts read and answer.

use crate::{Text, cursor};
use application::{
    contacts::{ContactView, ImportOperation, contact_json},
    page::Page,
};
use domain::{
    contacts::{ContactField, FieldKind, UpsertAction},
    email_address::EmailAddress,
};
use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;
use std::borrow::Cow;

/// A contact to store, as it was sent: its fields are read by the domain, which tells missing, null
/// and value apart.
#[derive(Debug, Clone)]
pub(crate) struct ContactInput(pub(crate) Value);

/// A contact in an answer.
#[derive(Debug, Clone)]
pub(crate) struct ContactBody(Value);

impl From<&ContactView> for ContactBody {
    fn from(view: &ContactView) -> Self {
        Self(Value::Object(contact_json(view)))
    }
}

fn field_schema(field: ContactField, nullable: bool) -> MetaSchemaRef {
    let mut schema = match field.kind() {
        FieldKind::Text(max) => MetaSchema { max_length: Some(max), ..MetaSchema::new("string") },
        FieldKind::Number => MetaSchema::new_with_format("number", "double"),
        FieldKind::Time => MetaSchema::new_with_format("string", "date-time"),
        FieldKind::Json => MetaSchema::new("object"),
    };
    schema.nullable = nullable;
    MetaSchemaRef::Inline(Box::new(schema))
}

fn email_schema() -> (&'static str, MetaSchemaRef) {
    ("email", MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "email"))))
}

impl Type for ContactInput {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "ContactInput".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("ContactInput".to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>("ContactInput".to_owned(), |_| {
            let fields = ContactField::ALL.iter().map(|field| (field.name(), field_schema(*field, true)));
            MetaSchema {
                description: Some(
                    "A contact to store. A field that is left out is kept, null clears it, a value sets \
                     it. JSON fields take an object or an array.",
                ),
                required: vec!["email"],
                properties: std::iter::once(email_schema()).chain(fields).collect(),
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for ContactInput {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.map(Self).ok_or_else(|| ParseError::custom("is required"))
    }
}

impl ToJSON for ContactInput {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

/// A membership in a contact's answer.
#[derive(Object)]
#[oai(rename = "Membership")]
struct MembershipBody {
    email: String,
    list_id: String,
    list_name: String,
    /// `active`, `pending`, `unsubscribed`, `bounced` or `complained`.
    status: String,
    created_at: crate::Moment,
    updated_at: crate::Moment,
    #[oai(nullable)]
    deleted_at: Option<crate::Moment>,
}

impl Type for ContactBody {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Contact".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Contact".to_owned())
    }

    fn register(registry: &mut Registry) {
        Vec::<MembershipBody>::register(registry);
        registry.create_schema::<Self, _>("Contact".to_owned(), |_| {
            let moment =
                || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")));
            let memberships = MetaSchema {
                description: Some("Null when memberships were not asked for."),
                nullable: true,
                items: Some(Box::new(MembershipBody::schema_ref())),
                ..MetaSchema::new("array")
            };
            let segments = MetaSchema {
                items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new("object"))))),
                ..MetaSchema::new("array")
            };
            let mut properties = vec![email_schema()];
            properties.extend(ContactField::ALL.iter().map(|f| (f.name(), field_schema(*f, false))));
            properties.extend([
                ("created_at", moment()),
                ("updated_at", moment()),
                ("contact_lists", MetaSchemaRef::Inline(Box::new(memberships))),
                ("contact_segments", MetaSchemaRef::Inline(Box::new(segments))),
            ]);
            MetaSchema {
                description: Some("A contact. Fields without a value are left out."),
                required: vec!["email", "created_at", "updated_at"],
                properties,
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for ContactBody {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

impl ParseFromJSON for ContactBody {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.map(Self).ok_or_else(|| ParseError::custom("is required"))
    }
}

#[derive(Object)]
#[oai(rename = "UpsertContactBody")]
pub(super) struct UpsertBody {
    pub(super) workspace_id: Text,
    pub(super) contact: ContactInput,
}

#[derive(Object)]
#[oai(rename = "UpsertedContact")]
pub(super) struct UpsertAnswer {
    email: String,
    /// `create` or `update`.
    action: String,
}

fn action_name(action: UpsertAction) -> &'static str {
    match action {
        UpsertAction::Create => "create",
        UpsertAction::Update => "update",
    }
}

impl UpsertAnswer {
    pub(super) fn new(email: &EmailAddress, action: UpsertAction) -> Self {
        Self { email: email.to_string(), action: action_name(action).to_owned() }
    }
}

#[derive(Object)]
pub(super) struct ContactAnswer {
    pub(super) contact: ContactBody,
}

#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ContactsPage {
    contacts: Vec<ContactBody>,
    /// For the next page; absent on the last one.
    next_cursor: Option<String>,
}

impl From<Page<ContactView>> for ContactsPage {
    fn from(page: Page<ContactView>) -> Self {
        let last = page.items.last().filter(|_| page.has_more);
        Self {
            next_cursor: last.map(|view| cursor::write_contact(&view.contact)),
            contacts: page.items.iter().map(ContactBody::from).collect(),
        }
    }
}

#[derive(Object)]
#[oai(rename = "ContactCount")]
pub(super) struct CountAnswer {
    pub(super) total_contacts: u64,
}

#[derive(Object)]
#[oai(rename = "ImportContactsBody")]
pub(super) struct ImportBody {
    pub(super) workspace_id: Text,
    /// At least one.
    pub(super) contacts: Vec<ContactInput>,
    /// Lists that every stored contact is put on.
    #[oai(nullable)]
    pub(super) subscribe_to_lists: Option<Vec<Text>>,
}

/// What became of one row of an import.
#[derive(Object)]
#[oai(rename = "ImportOperation", skip_serializing_if_is_none)]
struct OperationBody {
    email: String,
    /// `create`, `update` or `error`.
    action: String,
    /// Why nothing was stored.
    error: Option<String>,
}

#[derive(Object)]
#[oai(rename = "ImportedContacts")]
pub(super) struct ImportAnswer {
    /// One for each row, in the order of the rows.
    operations: Vec<OperationBody>,
}

impl From<Vec<ImportOperation>> for ImportAnswer {
    fn from(operations: Vec<ImportOperation>) -> Self {
        let operation = |op: ImportOperation| {
            let (action, error) = match op.result {
                Ok(action) => (action_name(action), None),
                Err(error) => ("error", Some(error)),
            };
            OperationBody { email: op.email, action: action.to_owned(), error }
        };
        Self { operations: operations.into_iter().map(operation).collect() }
    }
}

#[derive(Object)]
#[oai(rename = "DeleteContactBody")]
pub(super) struct DeleteBody {
    pub(super) workspace_id: Text,
    pub(super) email: Text,
}

#[derive(Object)]
#[oai(rename = "ContactDeleted")]
pub(super) struct DeletedAnswer {
    pub(super) success: bool,
}
