//! Taking bodies for JSON whatever a client calls them: existing clients omit the header, or leave
//! it at the default of their tool.

use poem::{
    Endpoint, Middleware, Request, Result,
    http::{HeaderValue, Method, header},
};

pub(super) struct AssumeJson;

pub(super) struct AssumeJsonEndpoint<E>(E);

impl<E: Endpoint> Middleware<E> for AssumeJson {
    type Output = AssumeJsonEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        AssumeJsonEndpoint(inner)
    }
}

impl<E: Endpoint> Endpoint for AssumeJsonEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        let unnamed = match request.content_type() {
            None => true,
            Some(named) => {
                named.starts_with("application/x-www-form-urlencoded") || named.starts_with("text/plain")
            }
        };
        if unnamed && request.method() == Method::POST && request.uri().path().starts_with("/api/") {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        self.0.call(request).await
    }
}
