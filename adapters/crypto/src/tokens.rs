//! Tokens as signed JSON (JWT, HS256 and nothing else).

use application::ports::{Claims, TokenError, Tokens};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use domain::{
    Timestamp,
    ids::{InvitationId, SessionId, UserId, WorkspaceId},
    secret::Secret,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// A key of at least this many bytes may be written in base64.
const DECODED_KEY_LENGTH: usize = 32;

/// How far the clocks of two servers may be apart, in seconds, before a token counts as issued in
/// the future.
const CLOCK_SKEW: i64 = 30;

/// Signs and checks tokens with one key.
pub struct JwtTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

/// The claims of every kind of token, under the names that clients know.
#[derive(Default, Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invitation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
    #[serde(default)]
    email: String,
    exp: i64,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    nbf: i64,
}

impl JwtTokens {
    /// Tokens under the installation's key: its base64 content when that has at least 32 bytes, else
    /// the text itself.
    #[must_use]
    pub fn new(secret_key: &Secret) -> Self {
        let text = secret_key.expose();
        let key = match STANDARD.decode(text) {
            Ok(decoded) if decoded.len() >= DECODED_KEY_LENGTH => decoded,
            _ => text.as_bytes().to_vec(),
        };
        let mut validation = Validation::new(Algorithm::HS256);
        // Time comes from the caller, who also checks it.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            validation,
        }
    }
}

impl Tokens for JwtTokens {
    fn issue(&self, claims: &Claims, now: Timestamp) -> Secret {
        let payload = Payload { iat: now.timestamp(), nbf: now.timestamp(), ..Payload::from(claims) };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &payload, &self.encoding)
            .expect("texts and integers always serialise, and HMAC takes a key of any length");
        Secret::new(token)
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let payload = jsonwebtoken::decode::<Payload>(token, &self.decoding, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if now.timestamp() >= payload.exp {
            return Err(TokenError::Expired);
        }
        if payload.nbf > now.timestamp() + CLOCK_SKEW {
            return Err(TokenError::Invalid);
        }
        payload.into_claims().ok_or(TokenError::Invalid)
    }
}

impl From<&Claims> for Payload {
    fn from(claims: &Claims) -> Self {
        match claims {
            Claims::Session { user, session, email, expires_at } => Self {
                user_id: Some(user.to_string()),
                kind: Some("user".to_owned()),
                session_id: Some(session.to_string()),
                email: email.clone(),
                exp: expires_at.timestamp(),
                ..Self::default()
            },
            Claims::ApiKey { user, email, expires_at } => Self {
                user_id: Some(user.to_string()),
                kind: Some("api_key".to_owned()),
                email: email.clone(),
                exp: expires_at.timestamp(),
                ..Self::default()
            },
            Claims::Invitation { invitation, workspace, email, expires_at } => Self {
                invitation_id: Some(invitation.to_string()),
                workspace_id: Some(workspace.to_string()),
                email: email.clone(),
                exp: expires_at.timestamp(),
                ..Self::default()
            },
        }
    }
}

impl Payload {
    fn into_claims(self) -> Option<Claims> {
        let email = self.email;
        let expires_at = DateTime::<Utc>::from_timestamp(self.exp, 0)?;
        let user = |id: Option<String>| UserId::parse(&id?).ok();
        match self.kind.as_deref() {
            Some("user") => Some(Claims::Session {
                user: user(self.user_id)?,
                session: SessionId::parse(&self.session_id?).ok()?,
                email,
                expires_at,
            }),
            Some("api_key") => Some(Claims::ApiKey { user: user(self.user_id)?, email, expires_at }),
            Some(_) => None,
            None => Some(Claims::Invitation {
                invitation: InvitationId::parse(&self.invitation_id?).ok()?,
                workspace: WorkspaceId::parse(&self.workspace_id?).ok()?,
                email,
                expires_at,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
