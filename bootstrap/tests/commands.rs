//! The commands as a person types them: the real program in an empty folder.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

/// The program in a folder, without any setting of the machine.
fn notifuse(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notifuse"));
    command.env_clear().envs(settings.iter().copied()).args(arguments).current_dir(folder);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    notifuse(folder.path(), settings, arguments).output().unwrap()
}

#[test]
fn the_demo_ends_by_itself_and_tells_how_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        notifuse(folder.path(), &[], &["demo", "--contacts", "60", "--data-dir", "here"]).output().unwrap();
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", text(&output.stderr));
    assert!(told.contains("contacts     60 rows:"), "{told}");
    assert!(told.contains("From: Nina at Nordlys <hello@nordlys.example>"), "{told}");
    assert!(told.contains("mails/s"), "{told}");
    let mail = std::fs::read_to_string(folder.path().join("here/newsletter.eml")).unwrap();
    assert!(mail.contains("To: nina@nordlys.example") || mail.contains("<nina@nordlys.example>"), "{mail}");
}

#[test]
fn bad_settings_stop_the_start_and_are_all_named() {
    let output = run(&[("SERVER_PORT", "http"), ("LOG_FORMAT", "xml")], &["serve"]);
    assert!(!output.status.success());
    let told = text(&output.stderr);
    assert!(told.contains("SERVER_PORT") && told.contains("LOG_FORMAT"), "{told}");
}

#[test]
fn settings_may_stand_in_a_file_and_the_environment_wins() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "SERVER_PORT=http\nLOG_FORMAT=xml\n").unwrap();
    let output = notifuse(folder.path(), &[("SERVER_PORT", "99999")], &["serve"]).output().unwrap();
    let told = text(&output.stderr);
    assert!(told.contains("SERVER_PORT is 99999") && told.contains("LOG_FORMAT"), "{told}");
}

#[test]
fn the_contract_is_printed_without_a_database() {
    let output = run(&[], &["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        document["paths"]["/contacts.upsert"].is_object()
            || document["paths"]["/api/contacts.upsert"].is_object()
    );
}

#[test]
fn databases_are_brought_up_to_date_twice_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = notifuse(folder.path(), &[], &["migrate"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[cfg(unix)]
#[test]
fn a_server_without_settings_answers_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = notifuse(folder.path(), &[("SERVER_PORT", "0")], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(server.stdout.take().unwrap()).lines();
    let first = told.next().unwrap().unwrap();
    let address = first.rsplit("http://").next().unwrap().to_owned();

    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let killed = Command::new("/bin/kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(server.wait().unwrap().success());
}
