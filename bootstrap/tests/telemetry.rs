//! Traces reach a collector and metrics a scraper. One test, since telemetry is the process's own.

use bootstrap::{
    settings::Settings,
    telemetry::{Measured, Telemetry},
};
use poem::{
    Endpoint as _, EndpointExt as _, Request, Route, Server, handler,
    http::StatusCode,
    listener::{Acceptor as _, Listener as _, TcpListener},
    post,
    web::{Data, Path},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

type Received = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[handler]
fn collect(Path(kind): Path<String>, Data(received): Data<&Received>, body: Vec<u8>) -> StatusCode {
    received.lock().unwrap().push((kind, body));
    StatusCode::OK
}

#[handler]
fn greet(Path(_name): Path<String>) -> &'static str {
    let _span = tracing::info_span!("greet").entered();
    "hello"
}

async fn listen() -> (impl poem::listener::Acceptor + 'static, u16) {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
    let port = acceptor.local_addr()[0].as_socket_addr().unwrap().port();
    (acceptor, port)
}

async fn scrape(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_traced_request_reaches_the_collector_and_the_scraper() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let received = Received::default();
    let (acceptor, collector) = listen().await;
    let routes = Route::new().at("/v1/:kind", post(collect)).data(received.clone());
    let server = tokio::spawn(Server::new_with_acceptor(acceptor).run(routes));

    let values = BTreeMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://127.0.0.1:{collector}")),
        ("METRICS_PORT".to_owned(), "0".to_owned()),
        ("LOG_LEVEL".to_owned(), "off".to_owned()),
    ]);
    let settings = Settings::from_values(&values).unwrap();
    let telemetry = Telemetry::start(&settings.telemetry).unwrap();
    assert!(Telemetry::start(&settings.telemetry).is_err(), "telemetry starts once");

    let app = Route::new().at("/hello/:name", poem::get(greet)).with(Measured);
    for path in ["/hello/ann", "/hello/bo", "/nowhere/at/all"] {
        let request = Request::builder()
            .uri(path.parse().unwrap())
            .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
            .finish();
        app.call(request).await.unwrap();
    }

    let scraping = telemetry.serve(&settings.telemetry).await.unwrap().unwrap();
    let text = scrape(scraping.address().port()).await;
    assert!(text.contains(r#"http_route="/hello/:name""#), "{text}");
    assert!(text.contains(r#"http_route="unmatched""#), "{text}");
    assert!(!text.contains("/hello/ann"), "paths are no labels");

    telemetry.shutdown().await;
    server.abort();
    let received = received.lock().unwrap();
    let trace = u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes();
    let traces: Vec<_> = received.iter().filter(|(kind, _)| kind == "traces").collect();
    let continued = traces.iter().any(|(_, body)| body.windows(16).any(|bytes| bytes == trace));
    assert!(continued, "the caller's trace is continued");
    assert!(received.iter().any(|(kind, _)| kind == "metrics"), "metrics are flushed at the end");
}
