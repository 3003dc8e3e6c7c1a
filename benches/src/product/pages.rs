//! Public pages of a newsletter, beside a server that has nothing but their bytes.

use super::{
    Options,
    house::{HOST, House, repeat},
};
use crate::{
    figures::{per_second, percentile},
    table::Table,
};
use anyhow::{Context as _, ensure};
use poem::{Response, Server, endpoint::make_sync, listener::TcpAcceptor};
use serde_json::json;
use smtp::sink::{Sink, SinkOptions};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

const CLIENTS: usize = 16;
/// Pages that nobody has asked for yet.
const FRESH: usize = 200;

pub(super) async fn measure(options: &Options) -> anyhow::Result<()> {
    println!(
        "A page with {CLIENTS} readers, beside the same bytes as a file; first requests of {FRESH} pages"
    );
    let mut table = Table::new(&["way", "requests/s", "÷ file", "p50 ms", "p99 ms", "first requests/s"]);
    let mut file = None;
    for engine in options.engines() {
        let sink = Sink::start(SinkOptions::default()).await.context("no mail server")?;
        let house = House::start(engine, sink.addr(), true).await?;
        let mut paths = Vec::new();
        for number in 0..=FRESH {
            let draft = json!({"name": format!("Harvest {number}"), "channels": {"email": false, "web": true},
                "web_settings": {"slug": format!("harvest-{number}")}});
            let id = house.broadcast(draft).await?;
            paths.push(format!("/harvest-{number}-{id}"));
        }
        let visitor = Visitor::new(house.address)?;
        let began = Instant::now();
        for path in &paths[1..] {
            visitor.read(path).await?;
        }
        let fresh = per_second(FRESH as u64, began.elapsed());
        let page = visitor.read(&paths[0]).await?;
        let base = match file {
            Some(base) => base,
            None => *file.insert(read_file(page, options.time(), &mut table).await?),
        };
        let took = visitor.rush(paths[0].clone(), options.time()).await?;
        table.row(row(engine.name(), &took, options.time(), base, &format!("{fresh:.0}")));
        house.end().await;
    }
    table.print(options.markdown);
    println!();
    Ok(())
}

/// Serves the page from memory, as a server of files does that keeps them there. Answers requests per
/// second.
async fn read_file(page: String, time: Duration, table: &mut Table) -> anyhow::Result<f64> {
    let page = bytes::Bytes::from(page);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let endpoint = make_sync(move |_| Response::builder().content_type("text/html").body(page.clone()));
    let server = tokio::spawn(Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?).run(endpoint));
    let took = Visitor::new(address)?.rush("/page.html".to_owned(), time).await?;
    server.abort();
    let base = per_second(took.len() as u64, time);
    table.row(row("file", &took, time, base, "–"));
    Ok(base)
}

fn row(name: &str, took: &[Duration], time: Duration, base: f64, fresh: &str) -> [String; 6] {
    let rate = per_second(took.len() as u64, time);
    [
        name.to_owned(),
        format!("{rate:.0}"),
        format!("{:.2}", rate / base.max(1.0)),
        format!("{:.2}", percentile(took, 0.5).as_secs_f64() * 1e3),
        format!("{:.2}", percentile(took, 0.99).as_secs_f64() * 1e3),
        fresh.to_owned(),
    ]
}

/// Reads pages of the workspace's domain.
#[derive(Clone)]
struct Visitor {
    http: reqwest::Client,
    base: String,
}

impl Visitor {
    fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: format!("http://{address}") })
    }

    async fn read(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{path}", self.base)).header("host", HOST).send().await?;
        ensure!(answer.status().is_success(), "{path} answered {}", answer.status());
        Ok(answer.text().await?)
    }

    async fn rush(&self, path: String, time: Duration) -> anyhow::Result<Vec<Duration>> {
        let visitor = self.clone();
        repeat(CLIENTS, time, move |_, _| {
            let (visitor, path) = (visitor.clone(), path.clone());
            async move { visitor.read(&path).await.map(drop) }
        })
        .await
    }
}
