//! The adapter against a server of its own that answers by script.

use application::ports::{FeedError, FeedReader as _, FeedRequest};
use domain::{ids::WorkspaceId, secret::Secret};
use feeds::{Config, HttpFeedReader};
use serde_json::{Map, Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What the feed does with a question.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with a status, header lines and a body.
    Answer(u16, &'static str, &'static str),
    /// Answers without telling how long, and never ends.
    Endless,
    /// Promises more than it may send.
    Promise(usize),
    /// Sends the head of an answer and nothing more.
    Stall,
    /// Answers nothing.
    Hang,
    /// Closes the connection.
    Cut,
}

#[derive(Default)]
struct Seen {
    questions: Mutex<Vec<String>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

struct Feed {
    url: String,
    seen: Arc<Seen>,
}

impl Feed {
    async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/feed", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, act, Arc::clone(&kept)));
            }
        });
        Self { url, seen }
    }

    fn questions(&self) -> Vec<String> {
        self.seen.questions.lock().unwrap().clone()
    }
}

async fn converse(mut stream: TcpStream, act: Act, seen: Arc<Seen>) {
    loop {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"}") {
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        seen.questions.lock().unwrap().push(String::from_utf8(bytes).unwrap());
        let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(open, Ordering::SeqCst);
        // Others that may be open get the time to show.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        seen.open.fetch_sub(1, Ordering::SeqCst);
        match act {
            Act::Answer(status, headers, body) => {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"a\":\"").await;
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                return;
            }
            Act::Promise(length) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
                std::future::pending::<()>().await;
            }
            Act::Stall => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{").await;
                std::future::pending::<()>().await;
            }
            Act::Hang => std::future::pending::<()>().await,
            Act::Cut => return,
        }
    }
}

/// Generous where nothing is to run out.
fn patient() -> Config {
    let minute = Duration::from_mins(1);
    Config { overall: minute, wait: minute, allow_private: true, ..Config::default() }
}

fn hasty() -> Config {
    Config { overall: Duration::from_millis(200), ..patient() }
}

async fn ask(config: Config, url: &str) -> Result<Map<String, Value>, FeedError> {
    ask_with(&HttpFeedReader::new(config).unwrap(), url, &[]).await
}

async fn ask_with(
    reader: &HttpFeedReader,
    url: &str,
    headers: &[(String, Secret)],
) -> Result<Map<String, Value>, FeedError> {
    let workspace = WorkspaceId::parse("acme").unwrap();
    let body = json!({"contact": {"email": "ana@shop.example"}});
    reader.read(FeedRequest { workspace: &workspace, url, headers, body: &body }).await
}

async fn refused(config: Config, act: Act) -> FeedError {
    ask(config, &Feed::start(act).await.url).await.unwrap_err()
}

#[tokio::test]
async fn a_question_is_posted_with_its_headers_and_an_object_comes_back() {
    let feed = Feed::start(Act::Answer(200, "", r#"{"price": 4, "offers": [{"name": "Žluť"}]}"#)).await;
    let reader = HttpFeedReader::new(patient()).unwrap();
    let key = [("X-Key".to_owned(), Secret::new("s3cret"))];
    let data = ask_with(&reader, &feed.url, &key).await.unwrap();
    assert_eq!((data["price"].as_i64(), data["offers"][0]["name"].as_str()), (Some(4), Some("Žluť")));
    let question = feed.questions().remove(0);
    assert!(question.starts_with("POST /feed HTTP/1.1\r\n"), "{question}");
    for line in [
        "x-key: s3cret",
        "content-type: application/json",
        "accept: application/json",
        "user-agent: notifuse data feed",
    ] {
        assert!(question.contains(line), "{line}: {question}");
    }
    assert!(question.ends_with(r#"{"contact":{"email":"ana@shop.example"}}"#), "{question}");
}

#[tokio::test]
async fn an_answer_that_is_no_object_is_no_data() {
    for body in ["", "[1]", "\"text\"", "{\"a\":", "<html>", "null"] {
        let error = refused(patient(), Act::Answer(200, "", body)).await;
        assert_eq!(
            (error.reason.as_str(), error.may_pass),
            ("its answer is no JSON object", false),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_answer_nested_beyond_measure_is_no_data() {
    let deep: &'static str =
        Box::leak(format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)).into_boxed_str());
    assert!(!refused(patient(), Act::Answer(200, "", deep)).await.may_pass);
}

#[tokio::test]
async fn faults_of_the_moment_may_pass_and_others_do_not() {
    for (status, may_pass) in [(500, true), (503, true), (408, true), (429, true), (400, false), (404, false)]
    {
        let error = refused(patient(), Act::Answer(status, "", "{}")).await;
        assert_eq!(error, FeedError { reason: format!("it answered with status {status}"), may_pass });
    }
    let error = refused(patient(), Act::Cut).await;
    assert!(error.may_pass, "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Feed::start(Act::Answer(200, "", "{}")).await;
    let location: &'static str = Box::leak(format!("Location: {}\r\n", target.url).into_boxed_str());
    for status in [301, 302, 307, 308] {
        let error = refused(patient(), Act::Answer(status, location, "")).await;
        assert_eq!((error.reason, error.may_pass), (format!("it answered with status {status}"), false));
    }
    assert!(target.questions().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off() {
    for act in [Act::Endless, Act::Promise(2 * 1024 * 1024)] {
        let error = refused(patient(), act).await;
        assert_eq!(
            (error.reason.as_str(), error.may_pass),
            ("its answer is larger than 1048576 bytes", false)
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_does_not_end_is_not_waited_for() {
    for act in [Act::Hang, Act::Stall] {
        let error = refused(hasty(), act).await;
        assert_eq!((error.reason.as_str(), error.may_pass), ("it took longer than 200 ms", true));
    }
}

#[tokio::test]
async fn a_feed_that_is_away_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/feed", listener.local_addr().unwrap());
    drop(listener);
    let error = ask(patient(), &url).await.unwrap_err();
    assert_eq!((error.reason.as_str(), error.may_pass), ("no connection", true));
}

#[tokio::test]
async fn nothing_inside_is_asked_and_nothing_without_tls() {
    let feed = Feed::start(Act::Answer(200, "", "{}")).await;
    let port = feed.url.rsplit(':').next().unwrap();
    let strict = || Config { allow_private: false, ..patient() };
    for host in [
        "http://127.0.0.1",
        "https://127.0.0.1",
        "https://[::ffff:127.0.0.1]",
        "https://0x7f000001",
        "https://localhost",
    ] {
        let url = format!("{host}:{port}");
        let reader = HttpFeedReader::new(strict()).unwrap();
        assert!(reader.check(&url).is_err(), "{url}");
        let error = ask(strict(), &url).await.unwrap_err();
        assert!(error.reason.starts_with("its address must"), "{url}: {error}");
    }
    assert!(feed.questions().is_empty());
}

#[tokio::test]
async fn only_so_many_questions_of_a_workspace_are_open() {
    let feed = Feed::start(Act::Answer(200, "", "{}")).await;
    let reader = Arc::new(HttpFeedReader::new(Config { at_once: 2, ..patient() }).unwrap());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (reader, url) = (Arc::clone(&reader), feed.url.clone());
        asking.spawn(async move { ask_with(&reader, &url, &[]).await.unwrap() });
    }
    asking.join_all().await;
    assert_eq!(feed.questions().len(), 20);
    assert!(feed.seen.most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn a_question_does_not_wait_for_others_without_end() {
    let feed = Feed::start(Act::Hang).await;
    let config = Config { at_once: 1, wait: Duration::from_millis(50), ..patient() };
    let reader = Arc::new(HttpFeedReader::new(config).unwrap());
    let first = {
        let (reader, url) = (Arc::clone(&reader), feed.url.clone());
        tokio::spawn(async move { ask_with(&reader, &url, &[]).await })
    };
    while feed.questions().is_empty() {
        tokio::task::yield_now().await;
    }
    let error = ask_with(&reader, &feed.url, &[]).await.unwrap_err();
    assert_eq!((error.reason.as_str(), error.may_pass), ("too many questions are open", true));
    first.abort();
}
