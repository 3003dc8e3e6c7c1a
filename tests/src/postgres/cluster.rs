//! A cluster in a temporary folder, ended and deleted with the test process.

use super::{Server, keep};
use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Where distributions put the server's programs.
const FOLDERS: [&str; 5] = [
    "/usr/lib/postgresql",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/bin",
    "/usr/bin",
];

/// Runs the server and ends it when standard input ends: when the test process is gone.
const GUARD: &str = r#""$1/postgres" -D "$2/data" >"$2/log" 2>&1 & server=$!
read -r _; kill -INT "$server"; wait "$server"; rm -rf "$2""#;

pub(super) fn start() -> Result<Server, String> {
    let programs = programs().ok_or("its programs initdb and postgres were not found")?;
    let folder = tempfile::Builder::new().prefix("notifuse-postgres-").tempdir().map_err(text)?.keep();
    let owner = owner()?;
    if let Some((uid, gid)) = owner {
        chown(&folder, Some(uid), Some(gid)).map_err(text)?;
    }
    let command = |program: &Path| {
        let mut command = Command::new(program);
        // The folder of the test may be closed to the other user.
        command.current_dir("/");
        if let Some((uid, gid)) = owner {
            command.uid(uid).gid(gid);
        }
        command
    };
    let made = command(&programs.join("initdb"))
        .args(["--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "-D"])
        .arg(folder.join("data"))
        .output()
        .map_err(text)?;
    if !made.status.success() {
        return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let port = free_port().map_err(text)?;
    certify(&folder.join("data"), owner)?;
    let sockets = folder.to_string_lossy().into_owned();
    let settings = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{sockets}'\n\
         max_connections = 200\nssl = on\n\
         fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
    );
    let file = folder.join("data/postgresql.conf");
    let before = fs::read_to_string(&file).map_err(text)?;
    fs::write(&file, before + &settings).map_err(text)?;
    let guard = command(Path::new("/bin/sh"))
        .args(["-c", GUARD, "guard"])
        .arg(&programs)
        .arg(&folder)
        // What interrupts the test must not interrupt the tidying up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(text)?;
    keep(guard);
    wait_until_ready(port, &folder)?;
    Ok(Server {
        host: "127.0.0.1".to_owned(),
        port,
        user: "postgres".to_owned(),
        password: String::new(),
        database: "postgres".to_owned(),
        socket_folder: Some(sockets),
    })
}

/// A certificate that nobody has signed, where the server looks for it.
fn certify(data: &Path, owner: Option<(u32, u32)>) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|e| e.to_string())?;
    let key = data.join("server.key");
    fs::write(data.join("server.crt"), made.cert.pem()).map_err(text)?;
    fs::write(&key, made.signing_key.serialize_pem()).map_err(text)?;
    // The server refuses a key that others can read.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).map_err(text)?;
    owner.map_or(Ok(()), |(uid, gid)| chown(&key, Some(uid), Some(gid))).map_err(text)
}

fn programs() -> Option<PathBuf> {
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let asked = asked.map(|o| PathBuf::from(String::from_utf8_lossy(&o.stdout).trim().to_owned()));
    let versions = fs::read_dir(FOLDERS[0]).into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let mut versions: Vec<PathBuf> = versions.collect();
    versions.sort_by_key(|path| std::cmp::Reverse(version(path)));
    let others = FOLDERS[1..].iter().map(PathBuf::from);
    let complete = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|p| folder.join(p).is_file());
    asked.into_iter().chain(versions).chain(others).find(complete)
}

fn version(programs: &Path) -> Option<u32> {
    programs.parent()?.file_name()?.to_str()?.parse().ok()
}

/// The server refuses to run as root: then it runs as the user `postgres`, otherwise as ourselves.
fn owner() -> Result<Option<(u32, u32)>, String> {
    use std::os::unix::fs::MetadataExt as _;
    let probe = tempfile::tempfile().and_then(|f| f.metadata()).map_err(text)?;
    if probe.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(text)?;
    let line = users.lines().find(|l| l.starts_with("postgres:"));
    let mut numbers = line.into_iter().flat_map(|l| l.split(':').skip(2).take(2)).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Some((uid, gid))),
        _ => Err("it does not run as root and there is no user postgres".to_owned()),
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_until_ready(port: u16, folder: &Path) -> Result<(), String> {
    let began = Instant::now();
    let ready = |log: &str| log.contains("database system is ready to accept connections");
    loop {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        if ready(&log) && TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(30) {
            return Err(format!("the server did not start: {log}"));
        }
        sleep(Duration::from_millis(20));
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn text(error: io::Error) -> String {
    error.to_string()
}
