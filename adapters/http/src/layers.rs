//! What every request passes on its way in and out.

mod cors;
mod gate;
mod json;
mod limits;
mod observe;

pub use gate::ShutdownGate;
pub(crate) use limits::TooLarge;

use crate::problem::{Problems, panicked};
use application::ports::IdGenerator;
use poem::{Endpoint, EndpointExt as _, IntoEndpoint, Response, middleware::CatchPanic};
use std::{sync::Arc, time::Duration};

/// How the surface behaves.
pub struct HttpSettings {
    /// Origins whose scripts may call: `*`, or a list separated by commas.
    pub cors_allow_origin: String,
    /// Most bytes of a body.
    pub body_limit: usize,
    /// Most bytes of the body of an import.
    pub import_body_limit: usize,
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
            body_limit: 10 << 20,
            import_body_limit: 50 << 20,
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

/// Puts the layers around the routes, the innermost first.
pub(crate) fn around<E>(routes: E, settings: HttpSettings) -> impl Endpoint<Output = Response>
where
    E: IntoEndpoint<Endpoint: 'static>,
{
    routes
        .with(json::AssumeJson)
        .with(limits::BodyLimit { usual: settings.body_limit, import: settings.import_body_limit })
        .with(limits::Timeout { usual: settings.timeout, import: settings.import_timeout })
        .with(CatchPanic::new().with_handler(panicked))
        .with(gate::Gate(settings.gate))
        .with(Problems)
        .with(cors::Cors::new(&settings.cors_allow_origin))
        .with(observe::Observe(settings.ids))
}
