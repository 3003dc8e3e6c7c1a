//! `user.*`: signing in and out.

use crate::{Bearer, Body, Moment, Problem, Text, features::Shared, tags::Tag, workspaces::WorkspaceBody};
use application::users::{Profile, SignedIn};
use domain::{email_address::EmailAddress, users::User, validation::Invalid};
use poem_openapi::{Object, OpenApi, payload::Json};

pub(crate) struct UsersApi(pub(crate) Shared);

/// Asking for a sign-in code.
#[derive(Object)]
struct SignInBody {
    /// The address of the account.
    email: Text,
}

#[derive(Object)]
#[oai(rename = "SignInRequested", skip_serializing_if_is_none)]
struct SignInAnswer {
    /// What happens now.
    message: String,
    /// The code; only while the environment is `development`.
    code: Option<String>,
}

/// Typing a sign-in code.
#[derive(Object)]
struct VerifyBody {
    /// The address of the account.
    email: Text,
    /// The six digits of the mail that came last.
    code: Text,
}

/// Signing in as root without a mail.
#[derive(Object)]
struct RootSignInBody {
    /// The root address.
    email: Text,
    /// Now, in seconds since 1970; at most 60 seconds away from the server's clock.
    timestamp: i64,
    /// HMAC-SHA256 of `<email>:<timestamp>` under `SECRET_KEY`, in hexadecimal. Good for one sign-in.
    signature: Text,
}

/// Choosing a language.
#[derive(Object)]
struct LanguageBody {
    /// One of `en`, `fr`, `es`, `de`, `ca`, `pt-BR`, `ja`, `it`.
    language: Text,
}

#[derive(Object)]
#[oai(rename = "UserChanged")]
struct MessageAnswer {
    /// What was done.
    message: String,
}

/// An account.
#[derive(Object)]
#[oai(rename = "User", skip_serializing_if_is_none)]
pub(crate) struct UserBody {
    id: String,
    /// `user` or `api_key`.
    #[oai(rename = "type")]
    kind: String,
    email: String,
    name: Option<String>,
    language: String,
    created_at: Moment,
    updated_at: Moment,
}

/// Somebody who has just signed in.
#[derive(Object)]
#[oai(rename = "SignedIn")]
struct SignedInAnswer {
    /// For the header `Authorization: Bearer <token>`.
    token: String,
    user: UserBody,
    /// End of the session.
    expires_at: Moment,
}

#[derive(Object)]
#[oai(rename = "Profile")]
struct ProfileAnswer {
    user: UserBody,
    workspaces: Vec<WorkspaceBody>,
}

#[OpenApi(tag = "Tag::Users")]
impl UsersApi {
    /// Mails a sign-in code
    ///
    /// The answer is the same whether or not the address has an account. A newer code replaces an
    /// older one. At most five requests in five minutes.
    #[oai(path = "/user.signin", method = "post", operation_id = "userSignin")]
    async fn sign_in(&self, Body(body): Body<SignInBody>) -> Result<Json<SignInAnswer>, Problem> {
        let request = self.0.users.request_code(&address(&body.email)?).await?;
        self.0.mail_code(request.mail);
        Ok(Json(SignInAnswer {
            message: "If this address has an account, a sign-in code is on its way".to_owned(),
            code: request.code.map(|code| code.expose().to_owned()),
        }))
    }

    /// Signs in with a code
    #[oai(path = "/user.verify", method = "post", operation_id = "userVerify")]
    async fn verify(&self, Body(body): Body<VerifyBody>) -> Result<Json<SignedInAnswer>, Problem> {
        let signed_in = self.0.users.verify_code(&address(&body.email)?, &body.code.0).await?;
        Ok(Json(signed_in.into()))
    }

    /// Signs in as root with the installation's secret key
    #[oai(path = "/user.rootSignin", method = "post", operation_id = "userRootSignin")]
    async fn root_sign_in(&self, Body(body): Body<RootSignInBody>) -> Result<Json<SignedInAnswer>, Problem> {
        let signed_in = self.0.users.root_sign_in(&body.email.0, body.timestamp, &body.signature.0).await?;
        Ok(Json(signed_in.into()))
    }

    /// Tells who calls, and their workspaces
    #[oai(path = "/user.me", method = "get", operation_id = "userMe")]
    async fn me(&self, bearer: Bearer) -> Result<Json<ProfileAnswer>, Problem> {
        Ok(Json(self.0.users.me(&bearer.0).await?.into()))
    }

    /// Ends all sessions of the caller
    #[oai(path = "/user.logout", method = "post", operation_id = "userLogout")]
    async fn logout(&self, bearer: Bearer) -> Result<Json<MessageAnswer>, Problem> {
        self.0.users.logout(&bearer.0).await?;
        Ok(Json(MessageAnswer { message: "Signed out".to_owned() }))
    }

    /// Sets the language of the console and of system mails
    #[oai(path = "/user.updateLanguage", method = "post", operation_id = "userUpdateLanguage")]
    async fn update_language(
        &self,
        bearer: Bearer,
        Body(body): Body<LanguageBody>,
    ) -> Result<Json<MessageAnswer>, Problem> {
        self.0.users.update_language(&bearer.0, &body.language.0).await?;
        Ok(Json(MessageAnswer { message: "Language updated".to_owned() }))
    }
}

fn address(text: &Text) -> Result<EmailAddress, Invalid> {
    EmailAddress::parse(&text.0).map_err(|rule| Invalid::one("/email", rule))
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            kind: user.kind.name().to_owned(),
            email: user.email,
            name: user.name,
            language: user.language,
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
        }
    }
}

impl From<SignedIn> for SignedInAnswer {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            token: signed_in.token.expose().to_owned(),
            user: signed_in.user.into(),
            expires_at: signed_in.expires_at.into(),
        }
    }
}

impl From<Profile> for ProfileAnswer {
    fn from(profile: Profile) -> Self {
        Self {
            user: profile.user.into(),
            workspaces: profile.workspaces.into_iter().map(Into::into).collect(),
        }
    }
}
