//! A database server as far as a broker can tell: sessions over TCP, one line per message.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use broker::{CleanStep, CloseProof, Connector, OpenError, OpenFailure, Target, Unusable, ZombieProbe};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

use super::MS;

/// Where the server says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The connection is made, nothing is ever read.
    Connect,
    /// The session exists, but is not told so.
    Auth,
    Query,
    Rollback,
    Ping,
    Close,
}

/// What the server does; tests change it while it runs.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) silent: Option<Stage>,
    /// The code with which sessions are refused, all or those of one database.
    pub(crate) refuse: Option<(&'static str, Option<String>)>,
    /// Closes in the middle of the start.
    pub(crate) reset: bool,
    /// The start of a database's sessions takes so long.
    pub(crate) slow: Option<(String, Duration)>,
    /// A session that was told to end keeps its slot for so long.
    pub(crate) lingers: Duration,
}

struct State {
    limit: usize,
    script: Mutex<Script>,
    /// By the port of the client.
    sessions: Mutex<BTreeMap<u16, String>>,
    counts: Mutex<Counts>,
    kills: watch::Sender<Kills>,
}

/// Sessions that are to end at once.
#[derive(Default)]
struct Kills {
    /// How often all of them were.
    restarts: u64,
    ports: BTreeSet<u16>,
}

#[derive(Default)]
struct Counts {
    peak: usize,
    opened: usize,
    over_limit: usize,
    /// Most starts at the same time.
    starting: usize,
    most_starting: usize,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Server {
    pub(crate) async fn start(limit: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            limit,
            script: Mutex::default(),
            sessions: Mutex::default(),
            counts: Mutex::default(),
            kills: watch::Sender::default(),
        });
        let listening = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let state = Arc::clone(&listening);
                let port = peer.port();
                state.kills.send_modify(|kills| kills.ports.retain(|killed| *killed != port));
                let mut kills = state.kills.subscribe();
                let before = kills.borrow().restarts;
                tokio::spawn(async move {
                    let mine = |kills: &Kills| kills.restarts > before || kills.ports.contains(&port);
                    tokio::select! {
                        _ = kills.wait_for(mine) => {}
                        _ = session(&state, stream, port) => {}
                    }
                    lock(&state.sessions).remove(&port);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn connector(&self) -> WireConnector {
        WireConnector { address: self.address }
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut lock(&self.state.script));
    }

    /// Ends all sessions at once, as a restart does.
    pub(crate) fn end_all(&self) {
        self.state.kills.send_modify(|kills| kills.restarts += 1);
    }

    pub(crate) fn sessions(&self) -> usize {
        lock(&self.state.sessions).len()
    }

    pub(crate) fn peak(&self) -> usize {
        lock(&self.state.counts).peak
    }

    pub(crate) fn opened(&self) -> usize {
        lock(&self.state.counts).opened
    }

    /// Sessions asked for beyond the limit.
    pub(crate) fn over_limit(&self) -> usize {
        lock(&self.state.counts).over_limit
    }

    pub(crate) fn most_starting(&self) -> usize {
        lock(&self.state.counts).most_starting
    }
}

/// One session from its start to its end.
async fn session(state: &State, stream: TcpStream, port: u16) -> io::Result<()> {
    if lock(&state.script).silent == Some(Stage::Connect) {
        return pending().await;
    }
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let Some(hello) = lines.next_line().await? else { return Ok(()) };
    let database = hello.trim_start_matches("hello ").to_owned();
    let Script { refuse, reset, slow, silent, .. } = lock(&state.script).clone();
    if let Some((code, only)) = refuse
        && only.is_none_or(|only| only == database)
    {
        return writer.write_all(format!("error {code}\n").as_bytes()).await;
    }
    if !register(state, port, &database) {
        return writer.write_all(b"error 53300\n").await;
    }
    if reset {
        return Ok(());
    }
    {
        let _starting = Starting::begin(state);
        if silent == Some(Stage::Auth) {
            return pending().await;
        }
        sleep(MS).await;
        if let Some((whose, time)) = slow
            && whose == database
        {
            sleep(time).await;
        }
    }
    writer.write_all(b"ready\n").await?;
    while let Some(line) = lines.next_line().await? {
        let silent = lock(&state.script).silent;
        let place = match line.split(' ').next() {
            Some("rollback" | "discard") => Stage::Rollback,
            Some("ping") => Stage::Ping,
            Some("bye") => Stage::Close,
            _ => Stage::Query,
        };
        if silent == Some(place) {
            return pending().await;
        }
        if place == Stage::Close {
            let lingers = lock(&state.script).lingers;
            sleep(lingers).await;
            // The slot is free before the socket closes.
            lock(&state.sessions).remove(&port);
            return Ok(());
        }
        let answer = line.strip_prefix("gone ").map(|ports| gone(state, ports));
        writer.write_all(format!("{}\n", answer.unwrap_or_else(|| database.clone())).as_bytes()).await?;
    }
    Ok(())
}

fn register(state: &State, port: u16, database: &str) -> bool {
    let mut sessions = lock(&state.sessions);
    let mut counts = lock(&state.counts);
    if sessions.len() >= state.limit {
        counts.over_limit += 1;
        return false;
    }
    sessions.insert(port, database.to_owned());
    counts.opened += 1;
    counts.peak = counts.peak.max(sessions.len());
    true
}

struct Starting<'a>(&'a State);

impl<'a> Starting<'a> {
    fn begin(state: &'a State) -> Self {
        let mut counts = lock(&state.counts);
        counts.starting += 1;
        counts.most_starting = counts.most_starting.max(counts.starting);
        Self(state)
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        lock(&self.0.counts).starting -= 1;
    }
}

/// `4711! 4712` asks whether two sessions are gone and has the first one ended.
fn gone(state: &State, ports: &str) -> String {
    let parse = |text: &str| text.trim_end_matches('!').parse::<u16>().unwrap();
    let ended = ports.split(' ').filter(|port| port.ends_with('!')).map(parse);
    let answers = ports.split(' ').map(|port| !lock(&state.sessions).contains_key(&parse(port)));
    let words: Vec<_> = answers.map(|gone| if gone { "yes" } else { "no" }).collect();
    state.kills.send_modify(|kills| kills.ports.extend(ended));
    words.join(" ")
}

/// Opens sessions of a [`Server`].
pub(crate) struct WireConnector {
    address: SocketAddr,
}

pub(crate) struct Session {
    port: u16,
    stream: Arc<TcpStream>,
    buffer: Vec<u8>,
}

impl Session {
    pub(crate) async fn ask(&mut self, question: &str) -> io::Result<String> {
        let question = format!("{question}\n");
        let mut rest = question.as_bytes();
        while !rest.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.line().await
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim().to_owned());
            }
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }
}

#[derive(Clone)]
pub(crate) struct Handle {
    port: u16,
    stream: Weak<TcpStream>,
}

impl Connector for WireConnector {
    type Connection = Session;
    type Handle = Handle;

    async fn open(&self, target: &Target) -> Result<Session, OpenError<Handle>> {
        let database = match target {
            Target::System => "system",
            Target::Workspace(key) => key.as_str(),
        };
        let Ok(stream) = TcpStream::connect(self.address).await else {
            return Err(OpenError::proven(OpenFailure::Down));
        };
        let port = stream.local_addr().map_err(|_| OpenError::proven(OpenFailure::Down))?.port();
        let stream = Arc::new(stream);
        let handle = Handle { port, stream: Arc::downgrade(&stream) };
        let mut session = Session { port, stream, buffer: Vec::new() };
        let answer = timeout(250 * MS, session.ask(&format!("hello {database}"))).await;
        match answer {
            Ok(Ok(answer)) if answer == "ready" => Ok(session),
            Ok(Ok(error)) => Err(OpenError::proven(match error.as_str() {
                "error 53300" => OpenFailure::Limit,
                "error 57P03" => OpenFailure::Down,
                "error 3D000" => OpenFailure::DatabaseMissing,
                "error 28P01" => OpenFailure::Auth,
                _ => OpenFailure::Other,
            })),
            // The end of the connection was seen.
            Ok(Err(_)) => Err(OpenError::proven(OpenFailure::Down)),
            Err(_) => Err(OpenError::unproven(OpenFailure::Other, handle)),
        }
    }

    fn handle(&self, session: &Session) -> Handle {
        Handle { port: session.port, stream: Arc::downgrade(&session.stream) }
    }

    async fn clean(&self, session: &mut Session, step: CleanStep) -> Result<(), Unusable> {
        let question = match step {
            CleanStep::Rollback => "rollback",
            CleanStep::Discard => "discard",
        };
        session.ask(question).await.map(drop).map_err(|_| Unusable)
    }

    async fn check(&self, session: &mut Session) -> Result<(), Unusable> {
        session.ask("ping").await.map(drop).map_err(|_| Unusable)
    }

    async fn close(&self, mut session: Session) -> CloseProof<Handle> {
        // EOF or a reset: either proves that the slot is free.
        while session.ask("bye").await.is_ok() {}
        CloseProof::Free
    }

    async fn prove_gone(&self, system: Option<&mut Session>, zombies: &[ZombieProbe<Handle>]) -> Vec<bool> {
        let Some(system) = system else { return vec![false; zombies.len()] };
        let ports = zombies
            .iter()
            .map(|zombie| format!("{}{}", zombie.handle.port, if zombie.terminate { "!" } else { "" }));
        let question = format!("gone {}", ports.collect::<Vec<_>>().join(" "));
        match system.ask(&question).await {
            Ok(answer) => answer.split(' ').map(|gone| gone == "yes").collect(),
            Err(_) => vec![false; zombies.len()],
        }
    }

    fn watch(&self, handle: &Handle) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let stream = handle.stream.clone();
        Some(Box::pin(async move {
            while let Some(stream) = stream.upgrade() {
                match stream.peek(&mut [0]).await {
                    Ok(0) | Err(_) => return,
                    // An answer that is just being read.
                    Ok(_) => sleep(5 * MS).await,
                }
            }
        }))
    }
}
