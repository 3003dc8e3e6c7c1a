//! An installation with a root user, over memory.

use application::{
    access::{Access, Caller, Identity},
    api_keys::ApiKeys,
    integrations::Integrations,
    members::{Invited, Members},
    platform::{Environment, Installation, Platform},
    ports::{Clock, MailRoute, Mailbox, Vault as _},
    rate_limit::RateLimiter,
    users::{SignedIn, Users},
    workspaces::{WorkspaceDraft, WorkspaceView, Workspaces},
};
use domain::{
    email_address::EmailAddress, ids::WorkspaceId, languages::Language, permissions::Permissions,
    secret::Secret, timezones::Timezone, workspaces::WorkspaceSettings,
};
use memory::{
    FixedClock, FixedRandom, MemoryBroker, MemoryMailer, PlainDkimKeys, PlainTokens, PlainVault,
    RecordingSites, SequentialIds,
};
use std::sync::Arc;

pub const ROOT: &str = "root@host.example";

pub struct House {
    pub broker: MemoryBroker,
    pub clock: FixedClock,
    pub mailer: MemoryMailer,
    pub vault: PlainVault,
    pub platform: Arc<Platform>,
    pub sites: RecordingSites,
    pub access: Access,
    pub users: Users,
    pub workspaces: Workspaces,
    pub members: Members,
    pub api_keys: ApiKeys,
    pub integrations: Integrations,
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn acme() -> WorkspaceId {
    WorkspaceId::parse("acme").unwrap()
}

pub fn draft(name: &str) -> WorkspaceDraft {
    let en = Language::parse("en").unwrap();
    WorkspaceDraft {
        name: name.into(),
        settings: WorkspaceSettings::new(Timezone::UTC, en.clone(), vec![en]),
    }
}

impl House {
    /// In production, without limits.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Installation)) -> Self {
        let clock = FixedClock::default();
        let mut installation = Installation {
            environment: Environment::Production,
            root_email: Some(email(ROOT)),
            api_endpoint: "https://mail.host.example:8443".into(),
            mail_route: MailRoute::Outbox,
            mail_from: Mailbox { address: email("no-reply@host.example"), name: None },
            max_workspaces: 0,
            max_users: 0,
        };
        change(&mut installation);
        let (broker, mailer, vault) = (MemoryBroker::new(), MemoryMailer::new(), PlainVault::default());
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let sites = RecordingSites::default();
        let platform = Arc::new(Platform {
            installation,
            broker: Arc::new(broker.clone()),
            databases: Arc::new(broker.clone()),
            clock: time.clone(),
            ids: Arc::new(SequentialIds::new()),
            random: Arc::new(FixedRandom::default()),
            vault: Arc::new(vault.clone()),
            dkim_keys: Arc::new(PlainDkimKeys),
            tokens: Arc::new(PlainTokens::default()),
            mailer: Arc::new(mailer.clone()),
            limiter: Arc::new(RateLimiter::new(time)),
            sites: Arc::new(sites.clone()),
        });
        let house = Self {
            broker,
            clock,
            mailer,
            vault,
            access: Access::new(platform.clone()),
            users: Users::new(platform.clone()),
            workspaces: Workspaces::new(platform.clone()),
            members: Members::new(platform.clone()),
            api_keys: ApiKeys::new(platform.clone()),
            integrations: Integrations::new(platform.clone(), platform.mailer.clone()),
            platform,
            sites,
        };
        house.users.ensure_root_user().await.unwrap();
        house
    }

    /// Asks for a code and sends the mail; answers the code when it is told.
    pub async fn asks_for_code(&self, address: &str) -> Option<Secret> {
        let request = self.users.request_code(&email(address)).await.unwrap();
        if let Some(mail) = request.mail {
            self.users.mail_code(mail).await;
        }
        request.code
    }

    pub async fn root_signs_in(&self) -> SignedIn {
        // A signature is good once, so time passes between two sign-ins.
        self.clock.advance(chrono::Duration::seconds(1));
        let timestamp = self.clock.now().timestamp();
        let signature = self.vault.hash(&format!("{ROOT}:{timestamp}"));
        self.users.root_sign_in(ROOT, timestamp, &signature).await.unwrap()
    }

    pub async fn root(&self) -> Identity {
        self.identity(&self.root_signs_in().await).await
    }

    pub async fn identity(&self, signed_in: &SignedIn) -> Identity {
        self.access.authenticate(signed_in.token.expose()).await.unwrap()
    }

    pub async fn with_workspace(&self) -> WorkspaceView {
        self.workspaces.create(&self.root().await, acme(), draft("Acme")).await.unwrap()
    }

    /// The owner in the workspace `acme`.
    pub async fn owner(&self) -> Caller {
        self.access.enter(&self.root().await, &acme()).await.unwrap()
    }

    /// Invites a person to `acme` and lets them accept.
    pub async fn joins(&self, address: &str, permissions: Permissions) -> SignedIn {
        let invited = self.members.invite(&self.owner().await, &email(address), permissions).await.unwrap();
        assert!(matches!(invited, Invited::Invitation { .. }));
        let token = self.mailed_token();
        self.members.accept_invitation(&token).await.unwrap().signed_in
    }

    /// A member of `acme` who is no owner.
    pub async fn member(&self, permissions: Permissions) -> Caller {
        let signed_in = self.joins("member@shop.example", permissions).await;
        self.access.enter(&self.identity(&signed_in).await, &acme()).await.unwrap()
    }

    /// The token in the link of the last mail.
    pub fn mailed_token(&self) -> String {
        let text = self.mailer.sent().pop().unwrap().text;
        text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    }
}
