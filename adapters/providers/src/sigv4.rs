//! Requests to Amazon, signed with Signature Version 4.

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use domain::{Timestamp, integrations::SesSettings, secret::Secret};
use reqwest::{Client, Method, RequestBuilder};

/// The request cannot be signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsignable;

/// What is asked of a service.
pub(crate) struct Asked<'a> {
    /// `ses` or `sns`.
    pub service: &'a str,
    pub method: Method,
    pub url: String,
    pub content_type: &'a str,
    pub body: String,
}

pub(crate) fn signed(
    client: &Client,
    settings: &SesSettings<Secret>,
    asked: Asked<'_>,
    now: Timestamp,
) -> Result<RequestBuilder, Unsignable> {
    let (access_key, secret_key) = (settings.access_key.as_str(), settings.secret_key.expose());
    let identity = Credentials::new(access_key, secret_key, None, None, "integration").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&settings.region)
        .name(asked.service)
        .time(now.into())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Unsignable)?
        .into();
    let headers = std::iter::once(("content-type", asked.content_type));
    let body = SignableBody::Bytes(asked.body.as_bytes());
    let signable = SignableRequest::new(asked.method.as_str(), &asked.url, headers, body);
    let (instructions, _) =
        sign(signable.map_err(|_| Unsignable)?, &params).map_err(|_| Unsignable)?.into_parts();
    let request = client.request(asked.method, asked.url).header("content-type", asked.content_type);
    let request = instructions.headers().fold(request, |request, (name, value)| request.header(name, value));
    Ok(request.body(asked.body))
}
