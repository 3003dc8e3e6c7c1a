//! Things to store. Numbers tell them apart; moments are seconds of the first day of 2026.

use chrono::Duration;
use domain::{
    Timestamp,
    broadcasts::{Audience, Broadcast, BroadcastDraft, Recipient, RecipientState, Variation},
    contacts::ContactPatch,
    data_feeds::FeedsDraft,
    deliveries::{Delivery, DeliverySource},
    dkim::{Dkim, DkimAlgorithm, DkimPublicKey},
    email_address::EmailAddress,
    ids::{
        BroadcastId, IntegrationId, InvitationId, ListId, MessageId, NotificationId, SenderId, SessionId,
        TemplateId, UserId, WorkspaceId,
    },
    integrations::{EmailProvider, Integration, ProviderSettings, Sender, SmtpSecurity, SmtpSettings},
    languages::Language,
    lists::{List, TemplateRef},
    mail_name::MailName,
    messages::{Message, MessageState},
    permissions::{Permissions, Role},
    publications::Channels,
    secret::Sealed,
    templates::{EmailBody, EmailContent, Template, TemplateContent},
    timezones::Timezone,
    transactional::{EmailChannel, EmailOptions, MailTracking, Notification},
    users::{Invitation, Member, User, UserKind},
    utm::UtmParameters,
    workspaces::{Workspace, WorkspaceSettings, WorkspaceState},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// So many seconds into 2026.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::days(20_454) + Duration::seconds(seconds)
}

fn uuid(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// The workspace that every store under test has.
pub fn acme() -> WorkspaceId {
    WorkspaceId::parse("acme").unwrap()
}

/// An active workspace made at a moment.
pub fn workspace(id: &str, created: i64) -> Workspace {
    let english = Language::parse("en").unwrap();
    let mut settings =
        WorkspaceSettings::new(Timezone::parse("Europe/Paris").unwrap(), english.clone(), vec![english]);
    settings.custom_field_labels = [("custom_string_1".to_owned(), "Shoe size".to_owned())].into();
    settings.transactional_email_provider_id = Some(integration_id(1));
    Workspace {
        id: WorkspaceId::parse(id).unwrap(),
        name: format!("The {id} company"),
        settings,
        secret_key: Sealed::new("00ff"),
        state: WorkspaceState::Active,
        created_at: at(created),
        updated_at: at(created),
    }
}

/// An address of the shop.
pub fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@shop.example")).unwrap()
}

/// A patch of the contact with this name: a JSON object of fields.
pub fn patch(name: &str, fields: Value) -> ContactPatch {
    let Value::Object(mut object) = fields else { panic!("fields are an object") };
    object.insert("email".to_owned(), json!(address(name).as_str()));
    ContactPatch::from_json(&Value::Object(object)).unwrap()
}

/// A patch of a contact without fields, made at a moment.
pub fn arrived(name: &str, created: i64) -> ContactPatch {
    ContactPatch { created_at: Some(at(created)), ..ContactPatch::of(address(name)) }
}

/// The identifier of a list.
pub fn list_id(id: &str) -> ListId {
    ListId::parse(id).unwrap()
}

/// A list made at a moment.
pub fn list(id: &str, created: i64) -> List {
    List {
        id: list_id(id),
        name: format!("List {id}"),
        is_double_optin: true,
        is_public: false,
        description: "What happens".to_owned(),
        double_optin_template: Some(TemplateRef { id: template_id("confirm"), version: 2 }),
        created_at: at(created),
        updated_at: at(created),
    }
}

/// The identifier of a template.
pub fn template_id(id: &str) -> TemplateId {
    TemplateId::parse(id).unwrap()
}

/// A version of a template, changed at a moment.
pub fn template(id: &str, version: i64, updated: i64) -> Template {
    let content = |subject: &str| {
        TemplateContent::Email(EmailContent {
            body: EmailBody::Visual { visual_editor_tree: json!({"type": "mjml", "children": []}) },
            sender_id: None,
            reply_to: Some(address("reply")),
            subject: subject.to_owned(),
            subject_preview: Some("Look".to_owned()),
            compiled_preview: None,
            text: None,
        })
    };
    Template {
        id: template_id(id),
        name: format!("Template {id}"),
        version,
        content: content("Hello"),
        category: "marketing".to_owned(),
        macro_id: Some("m".to_owned()),
        integration: Some(integration_id(1)),
        test_data: object(json!({"contact": {"first_name": "Ana"}})),
        settings: object(json!({"a": [1, null]})),
        translations: [(Language::parse("fr").unwrap(), content("Bonjour"))].into(),
        created_at: at(0),
        updated_at: at(updated),
    }
}

/// The members of a JSON object.
pub fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("not an object") };
    object
}

/// The identifier of a notification.
pub fn notification_id(id: &str) -> NotificationId {
    NotificationId::parse(id).unwrap()
}

/// A notification made at a moment.
pub fn notification(id: &str, name: &str, created: i64) -> Notification {
    Notification {
        id: notification_id(id),
        name: name.to_owned(),
        description: "For orders".to_owned(),
        email: EmailChannel { template_id: template_id("order"), settings: Some(object(json!({"x": 1}))) },
        utm: UtmParameters { source: "shop".to_owned(), ..UtmParameters::default() },
        tracking: MailTracking::Off,
        metadata: object(json!({"team": "orders"})),
        integration: None,
        created_at: at(created),
        updated_at: at(created),
    }
}

/// The identifier of a broadcast.
pub fn broadcast_id(number: u32) -> BroadcastId {
    BroadcastId::from_uuid(uuid(number))
}

/// A draft made at a moment.
pub fn broadcast(number: u32, created: i64) -> Broadcast {
    BroadcastDraft {
        name: format!("News {number}"),
        audience: audience(&["news"], &[]),
        variations: vec![Variation { variation_name: "A".to_owned(), template_id: template_id("news") }],
        test: None,
        utm: UtmParameters { campaign: "june".to_owned(), ..UtmParameters::default() },
        metadata: Some(object(json!({"team": "news"}))),
        channels: Channels::default(),
        web: None,
        feeds: FeedsDraft::default(),
    }
    .into_broadcast(broadcast_id(number), at(created))
    .unwrap()
}

/// An audience of some lists, without others.
pub fn audience(lists: &[&str], excluded: &[&str]) -> Audience {
    Audience {
        list: list_id(lists[0]),
        further_lists: lists[1..].iter().map(|list| list_id(list)).collect(),
        excluded_lists: excluded.iter().map(|list| list_id(list)).collect(),
        segments: Vec::new(),
        exclude_unsubscribed: true,
    }
}

/// A line of the account of broadcast 1.
pub fn recipient(name: &str, message: u32) -> Recipient {
    Recipient {
        broadcast: broadcast_id(1),
        email: address(name),
        list: list_id("news"),
        variation: 0,
        in_test: false,
        message: message_id(message),
        state: RecipientState::Queued,
        planned_at: at(0),
    }
}

/// The identifier of a message; greater numbers have greater identifiers.
pub fn message_id(number: u32) -> MessageId {
    MessageId::from_uuid(uuid(number))
}

/// A queued transactional message to a contact, accepted at a moment.
pub fn message(number: u32, name: &str, created: i64) -> Message {
    Message {
        id: message_id(number),
        external_id: None,
        contact_email: address(name),
        broadcast: None,
        notification: Some(notification_id("order")),
        list: None,
        template: template_id("order"),
        template_version: 3,
        state: MessageState::Queued,
        status_info: None,
        data: Some(Sealed::new("c0de")),
        metadata: Some(object(json!({"order": 7}))),
        options: EmailOptions {
            from_name: Some(MailName::parse("Ana's Shop").unwrap()),
            cc: vec![address("copy")],
            ..EmailOptions::default()
        },
        sent_at: None,
        delivered_at: None,
        failed_at: None,
        opened_at: None,
        clicked_at: None,
        bounced_at: None,
        complained_at: None,
        unsubscribed_at: None,
        created_at: at(created),
        updated_at: at(created),
    }
}

/// A transactional delivery that is due at a moment.
pub fn delivery(number: u32, due: i64) -> Delivery {
    Delivery {
        message: message_id(number),
        source: DeliverySource::Transactional { notification: notification_id("order") },
        recipient: address("ana"),
        template: template_id("order"),
        template_version: 3,
        integration: integration_id(1),
        attempts: 0,
        due_at: at(due),
        created_at: at(0),
    }
}

/// A delivery of broadcast 1 that is due at a moment.
pub fn broadcast_delivery(number: u32, due: i64) -> Delivery {
    let source = DeliverySource::Broadcast { broadcast: broadcast_id(1), list: list_id("news") };
    Delivery { source, ..delivery(number, due) }
}

/// The identifier of an integration.
pub fn integration_id(number: u32) -> IntegrationId {
    IntegrationId::from_uuid(uuid(number))
}

/// An integration of a workspace, made at a moment.
pub fn integration(number: u32, workspace: &str, created: i64) -> Integration {
    let settings = SmtpSettings {
        host: "smtp.shop.example".to_owned(),
        port: 587,
        security: SmtpSecurity::StartTls,
        ehlo_hostname: None,
        username: Some("shop".to_owned()),
        password: Some(Sealed::new("5ea1")),
    };
    let sender = Sender {
        id: SenderId::from_uuid(uuid(9)),
        email: address("news"),
        name: MailName::parse("The Shop").unwrap(),
        is_default: true,
        dkim: Some(Dkim {
            domain: "acme.example".into(),
            selector: "s1".into(),
            public_key: DkimPublicKey { algorithm: DkimAlgorithm::Ed25519, key: "AAAA".into() },
            private_key: Sealed::new("beef"),
        }),
    };
    Integration {
        id: integration_id(number),
        workspace: WorkspaceId::parse(workspace).unwrap(),
        name: format!("Provider {number}"),
        provider: EmailProvider {
            settings: ProviderSettings::Smtp(settings),
            senders: vec![sender],
            rate_limit_per_minute: 25,
        },
        created_at: at(created),
        updated_at: at(created),
    }
}

/// The identifier of an account.
pub fn user_id(number: u32) -> UserId {
    UserId::from_uuid(uuid(number))
}

/// A person.
pub fn user(number: u32, email: &str) -> User {
    User {
        id: user_id(number),
        kind: UserKind::Person,
        email: email.to_owned(),
        name: Some("Ana".to_owned()),
        language: "en".to_owned(),
        token_hash: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// The identifier of a session.
pub fn session_id(number: u32) -> SessionId {
    SessionId::from_uuid(uuid(number))
}

/// A member with some rights, since a moment.
pub fn member(workspace: &str, user: u32, created: i64) -> Member {
    Member {
        user: user_id(user),
        workspace: WorkspaceId::parse(workspace).unwrap(),
        role: Role::Member,
        permissions: Permissions::all(),
        created_at: at(created),
        updated_at: at(created),
    }
}

/// The identifier of an invitation.
pub fn invitation_id(number: u32) -> InvitationId {
    InvitationId::from_uuid(uuid(number))
}

/// An invitation sent at a moment.
pub fn invitation(number: u32, workspace: &str, name: &str, created: i64) -> Invitation {
    Invitation {
        id: invitation_id(number),
        workspace: WorkspaceId::parse(workspace).unwrap(),
        inviter: user_id(1),
        email: address(name),
        permissions: Permissions::all(),
        expires_at: at(created) + Invitation::LIFETIME,
        created_at: at(created),
        updated_at: at(created),
    }
}
