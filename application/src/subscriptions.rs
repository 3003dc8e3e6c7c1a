//! What contacts do about their own mails: subscribing, confirming, choosing, leaving.

mod center;
mod leaving;
mod mails;
mod subscribing;

pub use center::{Center, Offer, Preferences};
pub use leaving::About;
pub(crate) use mails::built_in;
pub use subscribing::Subscription;

use crate::{
    access::Denied,
    directory::active_workspace,
    failure::{Failure, FailureKind},
    ports::{Clock, ConnectionBroker, ContactTokens, IdGenerator, Purpose, StoreError},
    rate_limit::{Limit, RateLimiter, TooManyAttempts},
    work::Work,
};
use domain::{
    email_address::EmailAddress,
    ids::WorkspaceId,
    languages::Language,
    subscriptions::{ContactPass, LinkRight},
    validation::{FieldProblem, Invalid},
    workspaces::Workspace,
};
use std::{net::IpAddr, sync::Arc};

/// The use cases of contacts themselves. The proof in a link stands for the caller; without one, a
/// stranger may do what the public forms offer.
pub struct Subscriptions {
    ports: SubscriptionPorts,
    limiter: RateLimiter,
}

/// What subscriptions need from the outside.
#[expect(missing_docs, reason = "each port says what it is")]
pub struct SubscriptionPorts {
    pub broker: Arc<dyn ConnectionBroker>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
    pub tokens: Arc<dyn ContactTokens>,
    pub work: Arc<Work>,
}

/// Why a contact's own use case failed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionsError {
    /// The link was not made by this installation for this address and purpose, or has expired, or its
    /// workspace is gone.
    #[error("this link is not valid or has expired; use the link of a recent mail")]
    BadLink,
    /// The address of a good link is no contact any longer.
    #[error("contact not found")]
    NoContact,
    /// A list that is named does not exist.
    #[error("contact list not found")]
    NoList,
    /// A list that is named is not for everybody, or does not exist.
    #[error("list is not public")]
    NotPublic,
    /// Subscriptions would have to be confirmed, and no provider can send the mail.
    #[error("no e-mail provider: set marketing_email_provider_id in the workspace settings")]
    NoProvider,
    /// Too many attempts with one address or from one place.
    #[error(transparent)]
    Limited(#[from] TooManyAttempts),
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for SubscriptionsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::BadLink => FailureKind::Unauthenticated,
            Self::NoContact | Self::NoList => FailureKind::NotFound,
            Self::NotPublic => FailureKind::Invalid,
            Self::NoProvider => FailureKind::Unprocessable,
            Self::Limited(e) => e.kind(),
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadLink => "link-invalid",
            Self::NoContact => "contact-not-found",
            Self::NoList => "list-not-found",
            Self::NotPublic => "list-not-public",
            Self::NoProvider => "provider-missing",
            Self::Limited(e) => e.code(),
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

/// Where a contact comes from: a link in a mail of ours, and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactLink {
    /// The workspace that sent the mail.
    pub workspace: WorkspaceId,
    /// Who received it.
    pub email: EmailAddress,
    /// The signed part of the link.
    pub token: String,
}

/// How the owner of a workspace appears to contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// How its owner calls it.
    pub name: String,
    /// The owner's logo.
    pub logo_url: Option<String>,
    /// The owner's site.
    pub website_url: Option<String>,
    /// The language of content without a translation.
    pub language: Language,
}

impl From<&Workspace> for Profile {
    fn from(workspace: &Workspace) -> Self {
        let filled = |url: &Option<String>| url.clone().filter(|url| !url.is_empty());
        Self {
            workspace: workspace.id.clone(),
            name: workspace.name.clone(),
            logo_url: filled(&workspace.settings.logo_url),
            website_url: filled(&workspace.settings.website_url),
            language: workspace.settings.default_language.clone(),
        }
    }
}

impl Subscriptions {
    /// Takes its ports.
    #[must_use]
    pub fn new(ports: SubscriptionPorts) -> Self {
        let limiter = RateLimiter::new(ports.clock.clone());
        Self { ports, limiter }
    }

    /// How a workspace appears; `None` when there is none.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "subscriptions.profile", skip_all)]
    pub async fn profile(&self, workspace: &WorkspaceId) -> Result<Option<Profile>, StoreError> {
        let purpose = Purpose::interactive("subscriptions.profile");
        match active_workspace(self.ports.broker.as_ref(), workspace, purpose).await {
            Ok(workspace) => Ok(Some(Profile::from(&workspace))),
            Err(StoreError::WorkspaceMissing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The workspace of a link that is good for this right.
    async fn admit(
        &self,
        link: &ContactLink,
        right: LinkRight,
        purpose: Purpose,
    ) -> Result<Workspace, SubscriptionsError> {
        let pass = ContactPass { workspace: link.workspace.clone(), email: link.email.clone(), right };
        let verified = self.ports.tokens.verify(&link.token, &pass, self.ports.clock.now());
        verified.map_err(|_| SubscriptionsError::BadLink)?;
        match active_workspace(self.ports.broker.as_ref(), &link.workspace, purpose).await {
            Err(StoreError::WorkspaceMissing) => Err(SubscriptionsError::BadLink),
            other => Ok(other?),
        }
    }

    /// Counts an attempt with an address of a workspace, then one from where it comes.
    fn count(
        &self,
        [by_email, by_place]: [Limit; 2],
        workspace: &WorkspaceId,
        email: &EmailAddress,
        from: Option<IpAddr>,
    ) -> Result<(), TooManyAttempts> {
        self.limiter.attempt(by_email, &format!("{workspace} {email}"))?;
        let Some(from) = from else { return Ok(()) };
        self.limiter.attempt(by_place, &place(from))
    }
}

/// Where an address belongs to: one of IPv6 to the network that one customer usually has.
fn place(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_with_its_network() {
        let place = |text: &str| place(text.parse().unwrap());
        assert_eq!(place("192.0.2.7"), "192.0.2.7");
        assert_eq!(place("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(place("2001:db8:1:2:3::4"), place("2001:db8:1:2::9"));
        assert_ne!(place("2001:db8:1:2::4"), place("2001:db8:1:3::4"));
    }
}
