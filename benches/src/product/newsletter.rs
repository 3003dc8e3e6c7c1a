//! A newsletter from `broadcasts.schedule` to the last mail in the mail server.

use super::{
    Options,
    house::{Engine, House, memory, processor_time},
};
use crate::{
    figures::{micros, per_second},
    gates::Gates,
    table::Table,
};
use anyhow::{Context as _, ensure};
use serde_json::json;
use smtp::sink::{Keep, Sink, SinkOptions};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// As many conversations as the product has with one provider.
const CONNECTIONS: u32 = 8;
/// A newsletter of any size is over by then.
const PATIENCE: Duration = Duration::from_hours(1);

struct Run {
    per_second: f64,
    /// Processor time for each recipient, the mail server's part included.
    cpu: Duration,
    /// How much more memory there was at the end than before, in kilobytes.
    grown: u64,
}

pub(super) async fn measure(options: &Options, gates: &mut Gates) -> anyhow::Result<()> {
    let mail = sample().await?;
    println!(
        "A newsletter to {} contacts, {} bytes each, beside a program that only speaks SMTP over {CONNECTIONS} \
         connections",
        options.recipients,
        mail.len()
    );
    let bare = bare(options.recipients, Arc::new(mail)).await?;
    let head = ["way", "mails/s", "÷ bare", "CPU µs for each", "memory +MB"];
    let mut table = Table::new(&head);
    let mut row = |name: &str, run: &Run| {
        table.row([
            name.to_owned(),
            format!("{:.0}", run.per_second),
            format!("{:.2}", run.per_second / bare.per_second.max(1.0)),
            format!("{:.0}", micros(run.cpu)),
            (run.grown / 1024).to_string(),
        ]);
    };
    row("bare", &bare);
    let mut ratios = Vec::new();
    for engine in options.engines() {
        let run = ours(engine, options.recipients).await?;
        row(engine.name(), &run);
        ratios.push((engine.name(), run.per_second / bare.per_second.max(1.0)));
    }
    table.print(options.markdown);
    for (name, ratio) in ratios {
        gates.at_least(&format!("delivery to bare SMTP, {name}"), ratio, 0.7, "");
    }
    println!();
    Ok(())
}

/// A mail as the product makes it.
async fn sample() -> anyhow::Result<Vec<u8>> {
    let sink = mail_server(Keep::Mails).await?;
    let house = House::start(Engine::Sqlite, sink.addr(), true).await?;
    house.subscribe(1).await?;
    house.broadcast(json!({"name": "Sample"})).await?;
    ensure!(sink.wait_for(1, PATIENCE).await, "the sample did not arrive");
    house.end().await;
    let mail = sink.received().pop().context("the sample was not kept")?;
    Ok(mail.data.clone())
}

async fn ours(engine: Engine, recipients: u32) -> anyhow::Result<Run> {
    let sink = mail_server(Keep::Nothing).await?;
    let house = House::start(engine, sink.addr(), true).await?;
    house.subscribe(recipients).await?;
    let run = timed(recipients, async {
        house.broadcast(json!({"name": "Newsletter"})).await?;
        ensure!(sink.wait_for(recipients as usize, PATIENCE).await, "mails are missing");
        Ok(())
    })
    .await;
    house.end().await;
    run
}

async fn bare(recipients: u32, mail: Arc<Vec<u8>>) -> anyhow::Result<Run> {
    let sink = mail_server(Keep::Nothing).await?;
    let address = sink.addr();
    timed(recipients, async {
        let mut conversations = tokio::task::JoinSet::new();
        for number in 0..CONNECTIONS {
            let share = recipients / CONNECTIONS + u32::from(number < recipients % CONNECTIONS);
            conversations.spawn(converse(address, share, Arc::clone(&mail)));
        }
        while let Some(ended) = conversations.join_next().await {
            ended??;
        }
        Ok(())
    })
    .await
}

async fn timed(recipients: u32, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Run> {
    let (began, before, memory_before) = (Instant::now(), processor_time()?, memory()?);
    work.await?;
    let (time, cpu) = (began.elapsed(), processor_time()?.saturating_sub(before));
    Ok(Run {
        per_second: per_second(u64::from(recipients), time),
        cpu: cpu / recipients.max(1),
        grown: memory()?.saturating_sub(memory_before),
    })
}

async fn mail_server(keep: Keep) -> anyhow::Result<Sink> {
    Sink::start(SinkOptions { keep, ..SinkOptions::default() }).await.context("no mail server")
}

/// One conversation (RFC 5321), a command at a time.
async fn converse(address: SocketAddr, mails: u32, mail: Arc<Vec<u8>>) -> anyhow::Result<()> {
    let mut server = Conversation(BufReader::new(TcpStream::connect(address).await?));
    server.0.get_ref().set_nodelay(true)?;
    server.answer(b'2').await?;
    server.say("EHLO bench.example\r\n", b'2').await?;
    let end: &str = if mail.ends_with(b"\r\n") { ".\r\n" } else { "\r\n.\r\n" };
    for number in 0..mails {
        server.say("MAIL FROM:<hello@bench.example>\r\n", b'2').await?;
        server.say(&format!("RCPT TO:<c{number}@example.com>\r\n"), b'2').await?;
        server.say("DATA\r\n", b'3').await?;
        server.0.get_mut().write_all(&mail).await?;
        server.say(end, b'2').await?;
    }
    server.say("QUIT\r\n", b'2').await
}

struct Conversation(BufReader<TcpStream>);

impl Conversation {
    async fn say(&mut self, line: &str, expected: u8) -> anyhow::Result<()> {
        self.0.get_mut().write_all(line.as_bytes()).await?;
        self.answer(expected).await
    }

    /// Reads a reply, which may have several lines.
    async fn answer(&mut self, expected: u8) -> anyhow::Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            ensure!(line.as_bytes().first() == Some(&expected), "the mail server said {line:?}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
