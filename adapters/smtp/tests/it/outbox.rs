//! Mails as files.

use crate::support::{kind, mail, patient, router};
use application::ports::{MailRoute, Mailer as _};
use smtp::Config;

#[tokio::test]
async fn a_mail_becomes_a_private_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("a/outbox");
    let mailer = router(&Config { outbox: outbox.clone(), ..patient() });
    mailer.send(&MailRoute::Outbox, &mail("m-1")).await.unwrap();
    let file = outbox.join("m-1.eml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(file).unwrap().contains("Subject: Hello\r\n"));
}

#[tokio::test]
async fn the_same_mail_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = router(&Config { outbox: folder.path().into(), ..patient() });
    for _ in 0..2 {
        mailer.send(&MailRoute::Outbox, &mail("m1")).await.unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_outbox_that_cannot_be_written_is_the_providers_fault() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("file");
    std::fs::write(&taken, "").unwrap();
    let mailer = router(&Config { outbox: taken, ..patient() });
    assert_eq!(kind(&mailer.send(&MailRoute::Outbox, &mail("m1")).await), "provider");
}
