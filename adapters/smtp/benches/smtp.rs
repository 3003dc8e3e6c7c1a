//! Mails per second to a sink in the same process, beside a bare sender that only speaks
//! pipelined SMTP over as many connections: `cargo bench -p smtp`.

use application::ports::{Clock, MailRoute, Mailbox, Mailer as _, OutgoingMail};
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::MessageId,
    integrations::{ProviderSettings, SmtpSecurity, SmtpSettings},
};
use smtp::{
    Config, MailRouter,
    sink::{Keep, Sink, SinkOptions},
};
use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const MAILS: usize = 5_000;
const CONNECTIONS: [usize; 2] = [1, 8];

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    for connections in CONNECTIONS {
        let (bare, built) = (bare(connections).await?, mailer(connections).await?);
        println!(
            "{connections} connections: bare sender {bare:.0} mails/s, mailer {built:.0} mails/s, ratio {:.2}",
            built / bare
        );
    }
    Ok(())
}

async fn sink() -> Outcome<Sink> {
    Ok(Sink::start(SinkOptions { keep: Keep::Nothing, ..SinkOptions::default() }).await?)
}

fn mail() -> Outcome<OutgoingMail> {
    let mailbox = |text| {
        Ok::<_, Box<dyn Error + Send + Sync>>(Mailbox { address: EmailAddress::parse(text)?, name: None })
    };
    Ok(OutgoingMail {
        message_id: MessageId::parse("bench")?,
        from: mailbox("news@shop.example")?,
        to: mailbox("ana@home.example")?,
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: None,
        subject: "News of the week".to_owned(),
        html: "<p style=\"margin:0\">A paragraph of a newsletter of the usual kind.</p>\n".repeat(250),
        text: "A paragraph of a newsletter of the usual kind.\n".repeat(40),
        list_unsubscribe: Some("https://mail.shop.example/unsubscribe?token=0123456789".to_owned()),
        attachments: Vec::new(),
        dkim: None,
    })
}

/// Runs `MAILS` steps on as many tasks as there are connections; mails per second.
async fn mailer(connections: usize) -> Outcome<f64> {
    let sink = sink().await?;
    let config = Config {
        connections_per_route: connections,
        mails_per_connection: u32::MAX,
        allow_private_hosts: true,
        ..Config::default()
    };
    let mailer = Arc::new(MailRouter::new(&config, Arc::new(Fixed))?);
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: sink.addr().port(),
        security: SmtpSecurity::None,
        ehlo_hostname: None,
        username: None,
        password: None,
    };
    let route = MailRoute::Provider { pool: None, settings: Arc::new(ProviderSettings::Smtp(settings)) };
    let mail = Arc::new(mail()?);
    let (left, begin) = (Arc::new(AtomicUsize::new(MAILS)), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (mailer, route, mail) = (Arc::clone(&mailer), route.clone(), Arc::clone(&mail));
        let left = Arc::clone(&left);
        tasks.spawn(async move {
            while take(&left) {
                mailer.send(&route, &mail).await?;
            }
            Outcome::Ok(())
        });
    }
    rate(tasks, begin, &sink).await
}

/// The least that a sender has to do: one text, made beforehand.
async fn bare(connections: usize) -> Outcome<f64> {
    let sink = sink().await?;
    let line = "<p style=3D\"margin:0\">A paragraph of a newsletter of the usual kind.</p>\r\n";
    let text = Arc::new(format!("Subject: bench\r\n\r\n{}.\r\n", line.repeat(280)));
    let (left, begin) = (Arc::new(AtomicUsize::new(MAILS)), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(bare_sender(sink.addr(), Arc::clone(&text), Arc::clone(&left)));
    }
    rate(tasks, begin, &sink).await
}

async fn bare_sender(address: SocketAddr, text: Arc<String>, left: Arc<AtomicUsize>) -> Outcome<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    answers(&mut stream, 1).await?;
    stream.write_all(b"EHLO bench.example\r\n").await?;
    answers(&mut stream, 1).await?;
    while take(&left) {
        let envelope = b"MAIL FROM:<news@shop.example>\r\nRCPT TO:<ana@home.example>\r\nDATA\r\n";
        stream.write_all(envelope).await?;
        answers(&mut stream, 3).await?;
        stream.write_all(text.as_bytes()).await?;
        answers(&mut stream, 1).await?;
    }
    Ok(())
}

async fn answers(stream: &mut BufReader<TcpStream>, mut wanted: usize) -> Outcome<()> {
    let mut line = String::new();
    while wanted > 0 {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err("closed".into());
        }
        wanted -= usize::from(line.as_bytes().get(3) == Some(&b' '));
    }
    Ok(())
}

fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

async fn rate(mut tasks: JoinSet<Outcome<()>>, begin: Instant, sink: &Sink) -> Outcome<f64> {
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    assert_eq!(sink.count(), MAILS);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let mails = MAILS as f64;
    Ok(mails / begin.elapsed().as_secs_f64())
}
