//! A provider inside the test.

use application::ports::{Attachment, Clock, MailRoute, Mailbox, Mailer as _, OutgoingMail, SendError};
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::MessageId,
    integrations::{PostmarkSettings, ProviderSettings},
    mail_name::MailName,
    secret::Secret,
};
use providers::{Bases, Config, HttpMailer};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub const ID: &str = "00000000-0000-0000-0000-000000000007";
pub const KEY: &str = "key-of-the-account";

/// What the provider does with a request.
#[derive(Clone, Copy)]
pub enum Act {
    /// Answers with a status, further header lines and a body.
    Answer(u16, &'static str, &'static str),
    /// Answers each request with a status and a body.
    Play(fn(&Seen) -> (u16, String)),
    /// Answers nothing and keeps the connection.
    Hang,
    /// Closes the connection.
    Cut,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path.
    pub line: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The fields of a form, in order.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

pub struct Provider {
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Provider {
    pub async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, act, Arc::clone(&kept)));
            }
        });
        Self { base, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request.
    pub fn request(&self) -> Seen {
        let [seen] = <[Seen; 1]>::try_from(self.seen()).expect("one request");
        seen
    }

    pub fn mailer(&self) -> HttpMailer {
        mailer(self.config())
    }

    pub fn config(&self) -> Config {
        let base = || self.base.clone();
        Config {
            bases: Bases {
                postmark: base(),
                mailgun: base(),
                mailgun_eu: format!("{}/eu", self.base),
                sendgrid: base(),
                mailjet: base(),
                ses: base(),
                sns: base(),
            },
            allow_private_hosts: true,
            ..Config::default()
        }
    }

    pub async fn send(
        &self,
        settings: ProviderSettings<Secret>,
        mail: &OutgoingMail,
    ) -> Result<(), SendError> {
        self.mailer().send(&route(settings), mail).await
    }
}

async fn converse(mut stream: TcpStream, act: Act, seen: Arc<Mutex<Vec<Seen>>>) {
    while let Some(request) = read(&mut stream).await {
        seen.lock().unwrap().push(request.clone());
        match act {
            Act::Answer(status, headers, body) => {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Act::Play(play) => {
                let (status, body) = play(&request);
                let length = body.len();
                let answer = format!("HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Act::Hang => std::future::pending().await,
            Act::Cut => return,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { line, headers, body: bytes[end..end + length].to_vec() })
}

/// The moment at which every mail is sent.
pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }
}

pub fn mailer(config: Config) -> HttpMailer {
    HttpMailer::new(config, Arc::new(Noon)).unwrap()
}

pub fn route(settings: ProviderSettings<Secret>) -> MailRoute {
    MailRoute::Provider { pool: None, settings: Arc::new(settings) }
}

pub fn postmark() -> ProviderSettings<Secret> {
    ProviderSettings::Postmark(PostmarkSettings {
        server_token: Secret::new(KEY),
        message_stream: "outbound".into(),
    })
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// A mail with everything that a mail can have, except files.
pub fn mail() -> OutgoingMail {
    OutgoingMail {
        message_id: MessageId::from_uuid(uuid::Uuid::from_u128(7)),
        from: Mailbox {
            address: email("news@acme.example"),
            name: Some(MailName::parse("Acme, Inc.").unwrap()),
        },
        to: Mailbox { address: email("ana@shop.example"), name: None },
        cc: vec![email("cc@shop.example"), email("ana@shop.example")],
        bcc: vec![email("bcc@shop.example"), email("cc@shop.example")],
        reply_to: Some(email("answers@acme.example")),
        subject: "Hello\r\nBcc: x".into(),
        html: "<p>Hi</p>".into(),
        text: "Hi".into(),
        list_unsubscribe: Some("https://m.acme.example/u?t=1".into()),
        attachments: Vec::new(),
        dkim: None,
    }
}

/// A mail with a file and a picture.
pub fn with_files() -> OutgoingMail {
    let file = |filename: &str, content_type: &str, inline| Attachment {
        filename: filename.into(),
        content_type: content_type.into(),
        inline,
        content: Arc::from(&b"bytes"[..]),
    };
    let attachments =
        vec![file("bill \"1\".pdf", "application/pdf", false), file("my logo.png", "image/png", true)];
    OutgoingMail { attachments, ..mail() }
}

/// Short, for tests of what runs out.
pub const SOON: Duration = Duration::from_millis(300);
