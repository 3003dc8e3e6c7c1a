//! Round trips, and the tokens that are refused.

use super::*;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const KEY: &str = "a secret key for tests";

fn tokens() -> JwtTokens {
    JwtTokens::new(&Secret::new(KEY))
}

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn session() -> Claims {
    Claims::Session {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        session: SessionId::from_uuid(Uuid::from_u128(2)),
        email: "ann@example.org".to_owned(),
        expires_at: at(2_000),
    }
}

fn every_kind() -> [Claims; 3] {
    [
        session(),
        Claims::ApiKey {
            user: UserId::from_uuid(Uuid::from_u128(3)),
            email: "shop@localhost:8080".to_owned(),
            expires_at: at(2_000),
        },
        Claims::Invitation {
            invitation: InvitationId::from_uuid(Uuid::from_u128(4)),
            workspace: WorkspaceId::parse("acme").unwrap(),
            email: "bo@example.org".to_owned(),
            expires_at: at(2_000),
        },
    ]
}

fn payload_of(token: &Secret) -> Value {
    let body = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

fn signed(algorithm: Algorithm, payload: &Value) -> String {
    let key = EncodingKey::from_secret(KEY.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), payload, &key).unwrap()
}

#[test]
fn every_kind_of_token_reads_as_it_was_issued() {
    for claims in every_kind() {
        let token = tokens().issue(&claims, at(1_000));
        assert_eq!(tokens().verify(token.expose(), at(1_000)), Ok(claims));
    }
}

#[test]
fn a_session_token_carries_the_claims_that_clients_know() {
    let token = tokens().issue(&session(), at(1_000));
    let expected = json!({
        "user_id": "00000000-0000-0000-0000-000000000001",
        "type": "user",
        "session_id": "00000000-0000-0000-0000-000000000002",
        "email": "ann@example.org",
        "exp": 2_000, "iat": 1_000, "nbf": 1_000,
    });
    assert_eq!(payload_of(&token), expected);
}

#[test]
fn an_api_key_has_no_session() {
    let [_, api_key, _] = every_kind();
    let payload = payload_of(&tokens().issue(&api_key, at(1_000)));
    assert_eq!(payload["type"], "api_key");
    assert!(payload.get("session_id").is_none());
}

#[test]
fn an_invitation_has_no_type() {
    let [_, _, invitation] = every_kind();
    let payload = payload_of(&tokens().issue(&invitation, at(1_000)));
    assert_eq!(payload["workspace_id"], "acme");
    assert!(payload.get("type").is_none());
}

#[test]
fn a_token_ends_at_its_second() {
    let token = tokens().issue(&session(), at(1_000));
    assert!(tokens().verify(token.expose(), at(1_999)).is_ok());
    assert_eq!(tokens().verify(token.expose(), at(2_000)), Err(TokenError::Expired));
}

#[test]
fn a_token_from_the_future_is_refused() {
    let token = tokens().issue(&session(), at(1_000));
    assert!(tokens().verify(token.expose(), at(1_000 - CLOCK_SKEW)).is_ok());
    assert_eq!(tokens().verify(token.expose(), at(999 - CLOCK_SKEW)), Err(TokenError::Invalid));
}

#[test]
fn an_expired_token_of_another_installation_is_invalid() {
    let token = JwtTokens::new(&Secret::new("another")).issue(&session(), at(1_000));
    assert_eq!(tokens().verify(token.expose(), at(3_000)), Err(TokenError::Invalid));
}

#[test]
fn a_long_base64_key_is_decoded_first() {
    let decoded = "0123456789abcdef0123456789abcdef";
    let token = JwtTokens::new(&Secret::new(STANDARD.encode(decoded))).issue(&session(), at(1_000));
    assert_eq!(JwtTokens::new(&Secret::new(decoded)).verify(token.expose(), at(1_000)), Ok(session()));
}

#[test]
fn a_short_base64_key_is_taken_as_text() {
    let short = STANDARD.encode("0123456789");
    let token = JwtTokens::new(&Secret::new(short.clone())).issue(&session(), at(1_000));
    let key = EncodingKey::from_secret(short.as_bytes());
    let same = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &payload_of(&token), &key).unwrap();
    assert!(JwtTokens::new(&Secret::new(short)).verify(&same, at(1_000)).is_ok());
}

#[test]
fn other_algorithms_are_refused_even_under_the_right_key() {
    let payload = payload_of(&tokens().issue(&session(), at(1_000)));
    assert!(tokens().verify(&signed(Algorithm::HS256, &payload), at(1_000)).is_ok());
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = signed(algorithm, &payload);
        assert_eq!(tokens().verify(&token, at(1_000)), Err(TokenError::Invalid), "{algorithm:?}");
    }
}

#[test]
fn unsigned_and_relabelled_tokens_are_refused() {
    let token = tokens().issue(&session(), at(1_000));
    let (_, rest) = token.expose().split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"None","typ":"JWT"}"#, r#"{"alg":"RS256"}"#, "{}", "x"] {
        let header = URL_SAFE_NO_PAD.encode(header);
        for token in [format!("{header}.{body}.{signature}"), format!("{header}.{body}.")] {
            assert_eq!(tokens().verify(&token, at(1_000)), Err(TokenError::Invalid), "{header}");
        }
    }
}

#[test]
fn a_signed_token_that_misses_a_claim_is_refused() {
    let user = "00000000-0000-0000-0000-000000000001";
    for payload in [
        json!({}),
        json!({"type": "user", "user_id": user, "exp": 2_000}),
        json!({"type": "user", "user_id": "", "session_id": user, "exp": 2_000}),
        json!({"type": "user", "user_id": user, "session_id": user}),
        json!({"type": "", "user_id": user, "session_id": user, "exp": 2_000}),
        json!({"type": "root", "user_id": user, "session_id": user, "exp": 2_000}),
        json!({"user_id": user, "session_id": user, "exp": 2_000}),
        json!({"type": "api_key", "exp": 2_000}),
        json!({"invitation_id": user, "exp": 2_000}),
        json!({"type": "user", "invitation_id": user, "workspace_id": "acme", "exp": 2_000}),
    ] {
        let token = signed(Algorithm::HS256, &payload);
        assert_eq!(tokens().verify(&token, at(1_000)), Err(TokenError::Invalid), "{payload}");
    }
}

proptest! {
    #[test]
    fn any_text_at_all_is_read_without_panic(text in "\\PC{0,200}") {
        prop_assert_eq!(tokens().verify(&text, at(1_000)), Err(TokenError::Invalid));
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed(place in any::<prop::sample::Index>(), letter in "[A-Za-z0-9._-]") {
        let token = tokens().issue(&session(), at(1_000)).expose().to_owned();
        let at_byte = place.index(token.len() - 1);
        let mut changed = token.clone();
        changed.replace_range(at_byte..=at_byte, &letter);
        prop_assume!(changed != token);
        prop_assert_eq!(tokens().verify(&changed, at(1_000)), Err(TokenError::Invalid));
    }

    #[test]
    fn sessions_of_any_user_make_the_round_trip(user: u128, session: u128, email in "\\PC{0,60}", lifetime in 1_i64..1_000_000_000) {
        let claims = Claims::Session {
            user: UserId::from_uuid(Uuid::from_u128(user)),
            session: SessionId::from_uuid(Uuid::from_u128(session)),
            email,
            expires_at: at(1_000 + lifetime),
        };
        let token = tokens().issue(&claims, at(1_000));
        prop_assert_eq!(tokens().verify(token.expose(), at(1_000)), Ok(claims));
    }
}
