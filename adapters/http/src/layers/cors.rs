//! Letting scripts of other origins call.

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";
const REQUEST_HEADERS: &str =
    "Accept, Content-Type, Content-Length, Accept-Encoding, Authorization, Idempotency-Key, X-Request-Id";
const ANSWER_HEADERS: &str = "Retry-After, X-Request-Id";

/// Adds the headers to every answer and answers every `OPTIONS` itself.
pub(super) struct Cors(Origins);

#[derive(Clone)]
enum Origins {
    /// Any, without credentials.
    Any,
    /// These, with credentials.
    Listed(Vec<String>),
}

pub(super) struct CorsEndpoint<E>(E, Origins);

impl Cors {
    pub(super) fn new(allowed: &str) -> Self {
        let allowed: Vec<String> =
            allowed.split(',').map(|origin| origin.trim().to_owned()).filter(|o| !o.is_empty()).collect();
        let any = allowed.iter().any(|origin| origin == "*");
        Self(if any { Origins::Any } else { Origins::Listed(allowed) })
    }
}

impl<E: Endpoint> Middleware<E> for Cors {
    type Output = CorsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        CorsEndpoint(inner, self.0.clone())
    }
}

impl<E: Endpoint> Endpoint for CorsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut response = if request.method() == Method::OPTIONS {
            StatusCode::OK.into_response()
        } else {
            self.0.call(request).await?.into_response()
        };
        self.1.mark(origin.as_ref(), response.headers_mut());
        Ok(response)
    }
}

impl Origins {
    fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        match self {
            Self::Any => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Listed(allowed) => {
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                let known = origin.filter(|o| allowed.iter().any(|a| a.as_bytes() == o.as_bytes()));
                let Some(origin) = known else { return };
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANSWER_HEADERS));
    }
}
