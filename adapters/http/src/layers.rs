//! What every request passes on its way in and out.

mod cors;
mod gate;
mod json;
mod limits;
mod observe;

pub use gate::ShutdownGate;
pub(crate) use limits::TooLarge;

use crate::{
    client::TrustedProxies,
    problem::{Problems, panicked},
};
use application::ports::IdGenerator;
use poem::{Endpoint, EndpointExt as _, IntoEndpoint, Response, middleware::CatchPanic};
use std::{sync::Arc, time::Duration};

/// How the surface behaves.
pub struct HttpSettings {
    /// Origins whose scripts may call: `*`, or a list separated by commas.
    pub cors_allow_origin: String,
    /// Who is believed about where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Most bytes of a body.
    pub body_limit: usize,
    /// Most bytes of the body of an import.
    pub import_body_limit: usize,
    /// Most bytes of the body of a send, which may hold files.
    pub send_body_limit: usize,
    /// Most bytes of a report of a provider or a mail server.
    pub callback_body_limit: usize,
    /// Longest a request may take.
    pub timeout: Duration,
    /// Longest an import may take.
    pub import_timeout: Duration,
    /// Closed when the process ends.
    pub gate: ShutdownGate,
    /// Names requests that come without a name.
    pub ids: Arc<dyn IdGenerator>,
}

impl HttpSettings {
    /// The documented defaults.
    #[must_use]
    pub fn new(ids: Arc<dyn IdGenerator>) -> Self {
        Self {
            cors_allow_origin: "*".to_owned(),
            trusted_proxies: TrustedProxies::default(),
            body_limit: 10 << 20,
            import_body_limit: 50 << 20,
            send_body_limit: 20 << 20,
            callback_body_limit: 5 << 20,
            timeout: Duration::from_secs(30),
            import_timeout: Duration::from_mins(5),
            gate: ShutdownGate::default(),
            ids,
        }
    }
}

/// Whether a path is that of an import, whose requests may be larger and take longer.
fn is_import(path: &str) -> bool {
    path.starts_with("/api/") && path.ends_with(".import")
}

/// Whether a path is that of a send, whose requests may hold files.
fn is_send(path: &str) -> bool {
    path.starts_with("/api/transactional.send")
}

/// Whether a path is one that takes reports of providers and mail servers.
fn is_callback(path: &str) -> bool {
    matches!(path, "/webhooks/email" | "/api/inboundWebhookEvents.upload")
}

/// Puts the layers around the routes, the innermost first.
pub(crate) fn around<E>(routes: E, settings: HttpSettings) -> impl Endpoint<Output = Response>
where
    E: IntoEndpoint<Endpoint: 'static>,
{
    routes
        .with(json::AssumeJson)
        .with(limits::BodyLimit {
            usual: settings.body_limit,
            import: settings.import_body_limit,
            send: settings.send_body_limit,
            callback: settings.callback_body_limit,
        })
        .with(limits::Timeout { usual: settings.timeout, import: settings.import_timeout })
        .with(CatchPanic::new().with_handler(panicked))
        .with(gate::Gate(settings.gate))
        .with(Problems)
        .with(cors::Cors::new(&settings.cors_allow_origin))
        .with(observe::Observe(settings.ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::{
        Route,
        endpoint::make_sync,
        http::StatusCode,
        test::{TestClient, TestResponse},
    };

    struct OneId;

    impl IdGenerator for OneId {
        fn uuid(&self) -> uuid::Uuid {
            uuid::Uuid::nil()
        }
    }

    async fn answered(routes: Route) -> TestResponse {
        let settings = HttpSettings::new(Arc::new(OneId));
        TestClient::new(around(routes, settings)).get("/a").send().await
    }

    async fn problem(response: TestResponse) -> serde_json::Value {
        response.assert_content_type("application/problem+json");
        let body = response.0.into_body().into_string().await.unwrap();
        serde_json::from_str(&body).unwrap()
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_without_its_message() {
        fn handler(_: poem::Request) -> &'static str {
            panic!("hunter2")
        }
        let response = answered(Route::new().at("/a", make_sync(handler))).await;
        response.assert_status(StatusCode::INTERNAL_SERVER_ERROR);
        let problem = problem(response).await;
        assert_eq!(problem["code"], "internal");
        assert!(!problem.to_string().contains("hunter2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_is_given_up() {
        let hang = poem::endpoint::make(|_| std::future::pending::<&'static str>());
        let response = answered(Route::new().at("/a", hang)).await;
        response.assert_status(StatusCode::SERVICE_UNAVAILABLE);
        response.assert_header("retry-after", "5");
        assert_eq!(problem(response).await["code"], "timeout");
    }

    #[tokio::test]
    async fn what_a_dependency_says_is_not_passed_on() {
        let fail = poem::endpoint::make(|_| async {
            Err::<&'static str, _>(poem::Error::from_string("secret", StatusCode::BAD_GATEWAY))
        });
        let response = answered(Route::new().at("/a", fail)).await;
        response.assert_status(StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem(response).await.to_string().contains("secret"));
    }
}
