//! What the databases hold.

use application::ports::{Gate, WorkItem, WorkKind};
use domain::{
    Timestamp,
    broadcasts::{Broadcast, Recipient},
    contacts::Contact,
    deliveries::Delivery,
    email_address::EmailAddress,
    feedback::{Feedback, SuppressionReason},
    idempotency::IdempotencyKey,
    ids::{
        BroadcastId, FeedbackId, IntegrationId, InvitationId, ListId, MessageId, NotificationId, SessionId,
        TemplateId, UserId, WorkspaceId,
    },
    integrations::Integration,
    lists::{List, Membership},
    messages::{Message, MessageStats},
    templates::Template,
    tracking::{Engagement, EngagementKey, LinkClicks},
    transactional::Notification,
    users::{Invitation, Member, Session, User},
    workspaces::Workspace,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A workspace's database.
#[derive(Clone, Default)]
pub struct WorkspaceState {
    pub(crate) contacts: BTreeMap<EmailAddress, Contact>,
    pub(crate) lists: BTreeMap<ListId, Kept<List>>,
    pub(crate) memberships: BTreeMap<(EmailAddress, ListId), Membership>,
    pub(crate) templates: BTreeMap<(TemplateId, i64), Kept<Template>>,
    pub(crate) notifications: BTreeMap<NotificationId, Kept<Notification>>,
    pub(crate) broadcasts: BTreeMap<BroadcastId, Broadcast>,
    pub(crate) feeds: BTreeMap<BroadcastId, serde_json::Map<String, serde_json::Value>>,
    pub(crate) recipients: BTreeMap<(BroadcastId, EmailAddress), Recipient>,
    pub(crate) deliveries: BTreeMap<MessageId, Queued>,
    pub(crate) messages: BTreeMap<MessageId, Message>,
    pub(crate) contents: BTreeMap<String, KeptContent>,
    pub(crate) idempotency: BTreeMap<IdempotencyKey, ReservedKey>,
    pub(crate) engagements: BTreeMap<EngagementKey, Engagement>,
    pub(crate) links: BTreeMap<(BroadcastId, String), LinkClicks>,
    pub(crate) engaged: BTreeMap<BroadcastId, Engaged>,
    pub(crate) feedback: BTreeMap<FeedbackId, Feedback>,
    pub(crate) suppressions: BTreeMap<EmailAddress, SuppressionReason>,
    /// What messages had counted that have left the history.
    pub(crate) purged: BTreeMap<BroadcastId, MessageStats>,
}

/// The system database.
#[derive(Clone, Default)]
pub struct SystemState {
    pub(crate) users: BTreeMap<UserId, User>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) workspaces: BTreeMap<WorkspaceId, Workspace>,
    pub(crate) members: BTreeMap<(WorkspaceId, UserId), Member>,
    pub(crate) invitations: BTreeMap<InvitationId, Invitation>,
    pub(crate) integrations: BTreeMap<IntegrationId, Integration>,
    pub(crate) gates: BTreeMap<IntegrationId, Gate>,
    pub(crate) work: HashMap<(WorkspaceId, WorkKind), WorkItem>,
}

/// Something whose identifier stays taken when it is deleted.
#[derive(Clone)]
pub(crate) struct Kept<T> {
    value: T,
    deleted_at: Option<Timestamp>,
}

impl<T> Kept<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, deleted_at: None }
    }

    /// The value, deleted or not.
    pub(crate) fn ever(&self) -> &T {
        &self.value
    }

    pub(crate) fn live(&self) -> Option<&T> {
        self.deleted_at.is_none().then_some(&self.value)
    }

    pub(crate) fn live_mut(&mut self) -> Option<&mut T> {
        self.deleted_at.is_none().then_some(&mut self.value)
    }

    /// Answers whether it was live.
    pub(crate) fn delete(&mut self, now: Timestamp) -> bool {
        let was_live = self.deleted_at.is_none();
        self.deleted_at.get_or_insert(now);
        was_live
    }
}

/// A delivery in the queue.
#[derive(Clone)]
pub(crate) struct Queued {
    pub(crate) delivery: Delivery,
    /// End of the claim; `None` while it waits.
    pub(crate) claimed_until: Option<Timestamp>,
    /// Whether it is being handed over; only while claimed.
    pub(crate) begun: bool,
    /// Whether it is set aside; then it is not claimed.
    pub(crate) aside: bool,
}

/// The bytes of a file.
#[derive(Clone)]
pub(crate) struct KeptContent {
    pub(crate) content: Arc<[u8]>,
    pub(crate) needed_until: Timestamp,
}

/// How many messages of a broadcast were opened or clicked by whom.
#[derive(Clone, Copy, Default)]
pub(crate) struct Engaged {
    pub(crate) proxy_opened: u64,
    pub(crate) machine_opened: u64,
    pub(crate) machine_clicked: u64,
}

/// Whom an idempotency key belongs to.
#[derive(Clone)]
pub(crate) struct ReservedKey {
    pub(crate) message: MessageId,
    pub(crate) fingerprint: String,
    pub(crate) reserved_at: Timestamp,
}
