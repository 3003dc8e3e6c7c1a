//! Accounts: signing in by a code or as root, and what an account sees of itself.

use crate::{
    access::Identity,
    failure::{Failure, FailureKind},
    platform::Platform,
    ports::{Claims, Purpose, StoreError, SystemStore},
    rate_limit::{Limit, TooManyAttempts},
    system_mails::SystemMail,
    workspaces::{WorkspaceView, with_integrations},
};
use chrono::Duration;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::{SessionId, UserId},
    languages::CONSOLE_LANGUAGES,
    secret::Secret,
    users::{Session, User, UserKind},
};
use std::sync::Arc;

/// The use cases of accounts.
pub struct Users {
    platform: Arc<Platform>,
}

/// Why a use case of accounts failed.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// Too often.
    #[error(transparent)]
    Limited(#[from] TooManyAttempts),
    /// Unknown account, wrong code, or a code that has ended or was replaced by a newer one.
    #[error("the code is wrong or has expired; ask for a new one")]
    WrongCode,
    /// Not the root address, a wrong signature, a timestamp too far away, or a used signature.
    #[error("the signature is not accepted; sign a fresh timestamp with the secret key of the installation")]
    WrongSignature,
    /// The account was removed.
    #[error("the account does not exist any more")]
    Gone,
    /// Not a language of the console.
    #[error("language: must be one of {}", CONSOLE_LANGUAGES.join(", "))]
    UnknownLanguage,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for UsersError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Limited(e) => e.kind(),
            Self::WrongCode | Self::WrongSignature => FailureKind::Unauthenticated,
            Self::Gone => FailureKind::NotFound,
            Self::UnknownLanguage => FailureKind::Invalid,
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Limited(e) => e.code(),
            Self::WrongCode => "sign-in-code-wrong",
            Self::WrongSignature => "root-signature-wrong",
            Self::Gone => "user-not-found",
            Self::UnknownLanguage => "language-unknown",
            Self::Store(e) => e.code(),
        }
    }
}

/// A sign-in code that was asked for.
#[derive(Debug, Default)]
pub struct CodeRequest {
    /// The code, for the client; in development only.
    pub code: Option<Secret>,
    /// The mail to send; none when the address has no account.
    pub mail: Option<CodeMail>,
}

/// A sign-in code on its way.
#[derive(Debug)]
pub struct CodeMail {
    to: EmailAddress,
    language: String,
    code: Secret,
}

/// Somebody who has just signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// For the `Authorization` header.
    pub token: Secret,
    /// Who.
    pub user: User,
    /// End of the session.
    pub expires_at: Timestamp,
}

/// What an account sees of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub user: User,
    /// Its workspaces, newest first.
    pub workspaces: Vec<WorkspaceView>,
}

impl Users {
    /// How far the timestamp of a root sign-in may be away.
    const ROOT_TOLERANCE: Duration = Duration::seconds(60);

    /// Takes its ports.
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }

    /// Makes a sign-in code; a newer one replaces it. Neither what this answers to a client nor how
    /// long it takes tells whether the address has an account, so the mail is a step of its own.
    ///
    /// # Errors
    /// Too often, or when the store fails.
    #[tracing::instrument(name = "users.request_code", skip_all)]
    pub async fn request_code(&self, email: &EmailAddress) -> Result<CodeRequest, UsersError> {
        let platform = &self.platform;
        platform.limiter.attempt(Limit::SIGN_IN, email.as_str())?;
        let now = platform.clock.now();
        let code = platform.random.sign_in_code();
        let hash = platform.vault.hash(code.expose());
        let mut store = platform.broker.write_system(Purpose::interactive("user.signin")).await?;
        store.purge_sessions(now).await?;
        let user = store.user_by_email(email.as_str()).await?.filter(|u| u.kind == UserKind::Person);
        if let Some(user) = &user {
            store.insert_session(&Session::awaiting_code(self.session_id(), user.id, hash, now)).await?;
        }
        store.commit().await?;
        let Some(user) = user else {
            return Ok(CodeRequest::default());
        };
        let answered = platform.installation.is_development().then(|| code.clone());
        let mail = CodeMail { to: email.clone(), language: user.language, code };
        Ok(CodeRequest { code: answered, mail: Some(mail) })
    }

    /// Mails a code. To be done without keeping the client waiting. A mail that is not taken is logged.
    #[tracing::instrument(name = "users.mail_code", skip_all)]
    pub async fn mail_code(&self, mail: CodeMail) {
        let content = SystemMail::SignInCode(&mail.code);
        if let Err(error) = self.platform.send_system_mail(&mail.to, &mail.language, &content).await {
            tracing::error!(%error, "a sign-in mail was not sent");
        }
    }

    /// Opens a session with the code that was mailed last.
    ///
    /// # Errors
    /// Too often, or when the code is not the one.
    #[tracing::instrument(name = "users.verify_code", skip_all)]
    pub async fn verify_code(&self, email: &EmailAddress, code: &str) -> Result<SignedIn, UsersError> {
        let platform = &self.platform;
        platform.limiter.attempt(Limit::VERIFY, email.as_str())?;
        let now = platform.clock.now();
        let mut store = platform.broker.write_system(Purpose::interactive("user.verify")).await?;
        let user = store.user_by_email(email.as_str()).await?.filter(|u| u.kind == UserKind::Person);
        let user = user.ok_or(UsersError::WrongCode)?;
        let latest = store.sessions_awaiting_code(user.id).await?.into_iter().next();
        let hash = platform.vault.hash(code.trim());
        let session = latest
            .filter(|session| {
                session
                    .code
                    .as_ref()
                    .is_some_and(|kept| now < kept.expires_at && platform.vault.same(&kept.hash, &hash))
            })
            .ok_or(UsersError::WrongCode)?;
        if !store.open_session(session.id).await? {
            return Err(UsersError::WrongCode);
        }
        store.commit().await?;
        platform.limiter.forget(Limit::VERIFY, email.as_str());
        Ok(platform.signed_in(user, &session, now))
    }

    /// Opens a session for who can sign `<email>:<timestamp>` with the installation's secret key
    /// (HMAC-SHA256, hexadecimal). A signature can be used once.
    ///
    /// # Errors
    /// Too often, or when the signature is not accepted.
    #[tracing::instrument(name = "users.root_sign_in", skip_all)]
    pub async fn root_sign_in(
        &self,
        email: &str,
        timestamp: i64,
        signature: &str,
    ) -> Result<SignedIn, UsersError> {
        let platform = &self.platform;
        let root = EmailAddress::parse(email).map_err(|_| UsersError::WrongSignature)?;
        platform.limiter.attempt(Limit::SIGN_IN, root.as_str())?;
        let now = platform.clock.now();
        let fresh = now.timestamp().abs_diff(timestamp) <= Self::ROOT_TOLERANCE.num_seconds().unsigned_abs();
        let wanted = platform.vault.hash(&format!("{email}:{timestamp}"));
        let signed = platform.vault.same(&wanted, &signature.trim().to_ascii_lowercase());
        if !(fresh && signed && platform.installation.is_root(root.as_str())) {
            return Err(UsersError::WrongSignature);
        }
        let once = platform.limiter.attempt(Limit::ROOT_SIGNATURE, &wanted);
        once.map_err(|_| UsersError::WrongSignature)?;
        let mut store = platform.broker.write_system(Purpose::interactive("user.rootSignin")).await?;
        let user = self.root_account(&mut *store, &root, now).await?;
        let session = Session::open(self.session_id(), user.id, now);
        store.insert_session(&session).await?;
        store.commit().await?;
        platform.limiter.forget(Limit::SIGN_IN, root.as_str());
        Ok(platform.signed_in(user, &session, now))
    }

    /// The account of the caller with its workspaces.
    ///
    /// # Errors
    /// When the account was removed meanwhile.
    #[tracing::instrument(name = "users.me", skip_all)]
    pub async fn me(&self, identity: &Identity) -> Result<Profile, UsersError> {
        let mut store = self.platform.broker.read_system(Purpose::interactive("user.me")).await?;
        let user = store.user(identity.user).await?.ok_or(UsersError::Gone)?;
        let workspaces = store.workspaces_of(identity.user).await?;
        let workspaces = with_integrations(&mut *store, workspaces).await?;
        Ok(Profile { user, workspaces })
    }

    /// Ends all sessions of the caller. An API key has none.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "users.logout", skip_all)]
    pub async fn logout(&self, identity: &Identity) -> Result<(), UsersError> {
        let mut store = self.platform.broker.write_system(Purpose::interactive("user.logout")).await?;
        store.delete_sessions(identity.user).await?;
        store.commit().await?;
        Ok(())
    }

    /// Sets the language of the console and of system mails.
    ///
    /// # Errors
    /// When the language is not one of the console's.
    #[tracing::instrument(name = "users.update_language", skip_all)]
    pub async fn update_language(&self, identity: &Identity, language: &str) -> Result<(), UsersError> {
        if !CONSOLE_LANGUAGES.contains(&language) {
            return Err(UsersError::UnknownLanguage);
        }
        let mut store =
            self.platform.broker.write_system(Purpose::interactive("user.updateLanguage")).await?;
        let mut user = store.user(identity.user).await?.ok_or(UsersError::Gone)?;
        language.clone_into(&mut user.language);
        user.updated_at = self.platform.clock.now();
        store.update_user(&user).await?;
        store.commit().await?;
        Ok(())
    }

    /// Makes the account of the administrator when there is none. For the start of the process.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "users.ensure_root_user", skip_all)]
    pub async fn ensure_root_user(&self) -> Result<(), StoreError> {
        let Some(root) = &self.platform.installation.root_email else {
            return Ok(());
        };
        let mut store = self.platform.broker.write_system(Purpose::interactive("user.ensureRoot")).await?;
        let made = self.root_account(&mut *store, root, self.platform.clock.now()).await;
        match made {
            Ok(_) => store.commit().await,
            Err(StoreError::Duplicate) => Ok(()), // another process was faster
            Err(error) => Err(error),
        }
    }

    async fn root_account(
        &self,
        store: &mut dyn SystemStore,
        root: &EmailAddress,
        now: Timestamp,
    ) -> Result<User, StoreError> {
        if let Some(user) = store.user_by_email(root.as_str()).await? {
            return Ok(user);
        }
        let user = self.platform.new_person(root, Some("Root User".to_owned()), "en", now);
        store.insert_user(&user).await?;
        Ok(user)
    }

    fn session_id(&self) -> SessionId {
        SessionId::from_uuid(self.platform.ids.uuid())
    }
}

impl Platform {
    /// An account not stored before.
    pub(crate) fn new_person(
        &self,
        email: &EmailAddress,
        name: Option<String>,
        language: &str,
        now: Timestamp,
    ) -> User {
        User {
            id: UserId::from_uuid(self.ids.uuid()),
            kind: UserKind::Person,
            email: email.as_str().to_owned(),
            name,
            language: language.to_owned(),
            token_hash: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The answer to a successful sign-in.
    pub(crate) fn signed_in(&self, user: User, session: &Session, now: Timestamp) -> SignedIn {
        let claims = Claims::Session {
            user: user.id,
            session: session.id,
            email: user.email.clone(),
            expires_at: session.expires_at,
        };
        SignedIn { token: self.tokens.issue(&claims, now), user, expires_at: session.expires_at }
    }
}
