//! What the use cases need from the outside, in their own words.

mod attachments;
mod broadcasts;
mod broker;
mod callbacks;
mod connections;
mod contacts;
mod data_feeds;
mod deliveries;
mod dkim;
mod feedback;
mod gates;
mod integrations;
mod lists;
mod mailer;
mod members;
mod messages;
mod publications;
mod renderer;
mod sites;
mod subscriptions;
mod system;
mod templates;
mod tracking;
mod transactional;
mod users;
mod vault;
mod work;
mod workspaces;

pub use attachments::{AttachmentStore, FileContent};
pub use broadcasts::{AccountLine, BroadcastStore};
pub use broker::{
    Class, ConnectionBroker, Purpose, StoreError, SystemStore, SystemUnitOfWork, UnitOfWork,
    WorkspaceDatabases, WorkspaceStore,
};
pub use callbacks::{
    Callback, CallbackEvent, CallbackRegistrar, Learned, RegisteredCallback, Registration, RegistrationError,
};
pub use connections::{
    BreakerState, BrokerStatus, ConnectionFigures, ConnectionMeter, ConnectionPage, ConnectionPlace,
    ConnectionRefusals, ConnectionSort, LeaseOutcomes, PerClass, Quantiles, SystemConnections,
    WorkspaceConnections,
};
pub use contacts::ContactStore;
pub use data_feeds::{FeedError, FeedReader, FeedRequest};
pub use deliveries::{Claim, DeliveryStore, Settled};
pub use dkim::{DkimIdentity, DkimKeyError, DkimKeys};
pub use feedback::{FeedbackReader, FeedbackStore, InboundCall, NoticeReader, ReadingError, Report};
pub use gates::{Gate, GateStore};
pub use integrations::IntegrationStore;
pub use lists::ListStore;
pub use mailer::{Attachment, MailRoute, Mailbox, Mailer, OutgoingMail, SendError};
pub use members::MemberStore;
pub use messages::{IdempotencyStore, MessageEvent, MessageStore, Reservation};
pub use publications::PublicationStore;
pub use renderer::{
    CompileError, CompileIssue, CompileRequest, Compiled, LinkPolicy, Overrides, PageContent, PreparedEmail,
    RenderError, RenderedEmail, Renderer, TemplateKey,
};
pub use sites::SiteChanges;
pub use subscriptions::ContactTokens;
pub use system::{Clock, IdGenerator, Random};
pub use templates::TemplateStore;
pub use tracking::{TrackingStore, TrackingTokens};
pub use transactional::NotificationStore;
pub use users::UserStore;
pub use vault::{Claims, TokenError, Tokens, Vault, VaultError};
pub use work::{WorkItem, WorkKind, WorkSignal, WorkStore};
pub use workspaces::WorkspaceDirectory;
