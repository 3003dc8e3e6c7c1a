//! The HTTP surface: converts requests, calls use cases, answers.
//!
//! How a feature gets its slice:
//! 1. a field for its use cases in [`Features`] (`features.rs`) and a variant in `Tag` (`tags.rs`);
//! 2. `<feature>.rs` with `pub(crate) struct <Feature>Api(pub(crate) Shared);` and one `#[OpenApi]`
//!    block: paths without `/api`, `operation_id` in camel case, bodies beside their operations. An
//!    operation takes [`Bearer`] (a known caller), then `Body<T>` or `Query<T>`; it begins with
//!    `let caller = self.0.enter(&bearer, &body.workspace_id).await?;` and ends in `Json` or `Created`.
//!    `?` turns every `Failure`, also `Invalid`, into a [`Problem`];
//! 3. texts of requests are [`Text`], moments [`Moment`]; a body becomes a command by `TryFrom` with a
//!    `Check`, pointers from the root of the body, ended by `body::complete`. Fields that may be null
//!    carry `#[oai(nullable)]`; never `default` on a `MaybeUndefined`;
//!    Names of bodies are unique in the document: give general ones `#[oai(rename = "…")]`;
//! 4. its `…Api` in the tuple of `operations` below (16 at most; nest tuples beyond that).

mod api_keys;
mod bearer;
mod body;
mod broadcasts;
mod callbacks;
mod client;
mod connections;
mod contacts;
mod cursor;
mod features;
mod feedback;
mod integrations;
mod layers;
mod lists;
mod members;
mod messages;
mod problem;
mod publications;
mod status;
mod subscriptions;
mod tags;
mod templates;
mod tracking;
mod transactional;
mod users;
mod workspaces;

pub use bearer::Bearer;
pub use body::{Body, Created, Moment, Text};
pub use client::{TrustedProxies, TrustedProxiesError};
pub use features::Features;
pub use layers::{HttpSettings, ShutdownGate};
pub use problem::Problem;
pub use publications::SiteCache;

use features::Shared;
use poem::{EndpointExt as _, IntoEndpoint as _, Response, Route, endpoint::BoxEndpoint, get, post};
use poem_openapi::{OpenApi, OpenApiService};
use std::sync::Arc;

fn operations(shared: &Shared) -> impl OpenApi + 'static {
    let of = || shared.clone();
    (
        (status::StatusApi, connections::ConnectionsApi(of())),
        users::UsersApi(of()),
        workspaces::WorkspacesApi(of()),
        members::MembersApi(of()),
        api_keys::ApiKeysApi(of()),
        (integrations::IntegrationsApi(of()), callbacks::CallbacksApi(of())),
        contacts::ContactsApi(of()),
        lists::ListsApi(of()),
        templates::TemplatesApi(of()),
        transactional::TransactionalApi(of()),
        (broadcasts::BroadcastsApi(of()), publications::PublicationsApi(of())),
        (messages::MessagesApi(of()), feedback::FeedbackApi(of())),
    )
}

fn service(shared: &Shared) -> OpenApiService<impl OpenApi + 'static, ()> {
    OpenApiService::new(operations(shared), "Notifuse API", env!("CARGO_PKG_VERSION"))
        .description("Contacts, templates, transactional mail and broadcasts, workspace by workspace.")
        .url_prefix("/api")
}

/// The whole surface: the API, its document, Swagger UI and the health of the process.
#[must_use]
pub fn api(features: Features, settings: HttpSettings) -> BoxEndpoint<'static, Response> {
    let shared = Shared::new(Arc::new(features));
    let service = service(&shared);
    let routes = Route::new()
        .at("/openapi.json", service.spec_endpoint())
        .nest("/docs", service.swagger_ui())
        .at("/health", connections::health(shared.clone()))
        .at("/healthz", status::healthz(shared.clone()))
        .at("/notification-center", get(subscriptions::show).post(subscriptions::act))
        .at("/unsubscribe-oneclick", get(subscriptions::ask_one_click).post(subscriptions::one_click))
        .at("/preferences", get(subscriptions::show_preferences).post(subscriptions::change_preferences))
        .at("/subscribe", get(subscriptions::subscribe_form).post(subscriptions::subscribe))
        .at("/webhooks/email", post(feedback::receive))
        .at("/t/:token", get(tracking::open).head(tracking::open))
        .at("/r/:token", get(tracking::follow).head(tracking::follow))
        .nest("/api", service)
        .at("/", publications::SiteEndpoint(shared.clone()))
        .at("/*path", publications::SiteEndpoint(shared.clone()))
        .data(shared)
        .data(settings.trusted_proxies.clone());
    layers::around(routes, settings).into_endpoint().boxed()
}

/// The OpenAPI document, as served at `/openapi.json`. Needs no database.
#[must_use]
pub fn document() -> String {
    service(&Shared::without_features()).spec()
}
