//! Logs, traces and metrics of the process.
//!
//! Logs go to standard error. Traces and metrics leave by OTLP when a collector is named; metrics
//! are also served as text for Prometheus when a port is named.

mod connections;
mod mails;
mod requests;
mod scrape;

pub use connections::observe_connections;
pub use mails::MeteredMailer;
pub use requests::Measured;
pub use scrape::Scraping;

use crate::settings::{self, LogFormat};
use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use prometheus::Registry;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What the crates of the exporters and of HTTP say themselves would be traced without end.
const NEVER_TRACED: [&str; 5] =
    ["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "hyper", "reqwest"];

/// The running telemetry of the process.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    registry: Registry,
}

/// Telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Something in this process logs already.
    #[error("logging is already set up in this process")]
    AlreadyStarted,
    /// The filter of log lines is wrong.
    #[error("LOG_LEVEL cannot be used")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter to the collector cannot be made.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used")]
    Exporter(#[from] ExporterBuildError),
    /// Metrics cannot be collected.
    #[error("metrics cannot be collected")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
}

impl Telemetry {
    /// Starts logs, traces and metrics for the whole process.
    ///
    /// # Errors
    /// When it was started before or an exporter cannot be made.
    pub fn start(settings: &settings::Telemetry) -> Result<Self, TelemetryError> {
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let traces = traces(settings, &resource)?;
        let registry = Registry::new();
        let metrics = metrics(settings, resource, &registry)?;

        let filter = EnvFilter::try_new(&settings.log_filter)?;
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.log_format {
            LogFormat::Text => lines.with_ansi(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let spans = traces.as_ref().map(|provider| {
            let quiet = NEVER_TRACED.map(|name| (name, tracing::level_filters::LevelFilter::OFF));
            let wanted = Targets::new().with_default(tracing::Level::INFO).with_targets(quiet);
            tracing_opentelemetry::layer().with_tracer(provider.tracer("notifuse")).with_filter(wanted)
        });
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(spans)
            .try_init()
            .map_err(|_| TelemetryError::AlreadyStarted)?;

        global::set_text_map_propagator(TraceContextPropagator::new());
        if let Some(provider) = &metrics {
            global::set_meter_provider(provider.clone());
        }
        Ok(Self { traces, metrics, registry })
    }

    /// Serves the metrics where the settings say; `None` when they say nowhere.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(&self, settings: &settings::Telemetry) -> anyhow::Result<Option<Scraping>> {
        match &settings.metrics {
            Some((host, port)) => Scraping::start(host, *port, self.registry.clone()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends what was not sent yet. Waits for the collector, but not without end.
    pub async fn shutdown(self) {
        let flush = move || {
            let traces = self.traces.map(|provider| provider.shutdown());
            let metrics = self.metrics.map(|provider| provider.shutdown());
            [traces, metrics].into_iter().flatten().filter_map(Result::err).collect::<Vec<_>>()
        };
        for error in tokio::task::spawn_blocking(flush).await.unwrap_or_default() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last traces or metrics may be lost"
            );
        }
    }
}

fn traces(
    settings: &settings::Telemetry,
    resource: &Resource,
) -> Result<Option<SdkTracerProvider>, ExporterBuildError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
    let exporter =
        SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces")).build()?;
    Ok(Some(
        SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(exporter).build(),
    ))
}

fn metrics(
    settings: &settings::Telemetry,
    resource: Resource,
    registry: &Registry,
) -> Result<Option<SdkMeterProvider>, TelemetryError> {
    if settings.otlp_endpoint.is_none() && settings.metrics.is_none() {
        return Ok(None);
    }
    let mut provider = SdkMeterProvider::builder().with_resource(resource);
    if settings.metrics.is_some() {
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        provider = provider.with_reader(exporter);
    }
    if let Some(endpoint) = &settings.otlp_endpoint {
        let exporter =
            MetricExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/metrics")).build()?;
        provider = provider.with_reader(PeriodicReader::builder(exporter).build());
    }
    Ok(Some(provider.build()))
}
