use super::*;
use domain::feedback::BounceClass;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-06-02T00:00:00Z".parse().unwrap()
}

fn read(mail: &str) -> Result<Vec<Report>, ReadingError> {
    MailNotices.read(mail.replace('\n', "\r\n").as_bytes(), now())
}

/// A notice as Postfix writes it, about some recipients.
fn notice(recipients: &str, original: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.acme.example (Mail Delivery System)\n\
         To: bounces@acme.example\n\
         Subject: Undelivered Mail Returned to Sender\n\
         Date: Mon, 1 Jun 2026 11:00:05 +0000\n\
         Message-ID: <dsn-1@mx.acme.example>\n\
         MIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\
         \n\
         --b\n\
         Content-Type: text/plain\n\
         \n\
         This is the mail system. 550 5.7.1 is not what counts.\n\
         \n\
         --b\n\
         Content-Type: message/delivery-status\n\
         \n\
         Reporting-MTA: dns; mx.acme.example\n\
         Arrival-Date: Mon, 1 Jun 2026 11:00:00 +0000 (UTC)\n\
         \n\
         {recipients}\n\
         --b\n\
         {original}\n\
         --b--\n"
    )
}

const ORIGINAL: &str = "Content-Type: message/rfc822\n\
                        \n\
                        From: hello@acme.example\n\
                        To: Ana <ana@shop.example>\n\
                        Subject: Hi\n\
                        Message-ID: <m-1@acme.example>\n\
                        X-Message-ID: m-1\n\
                        \n\
                        Hi Ana\n";

const HEADERS: &str = "Content-Type: text/rfc822-headers\n\
                       \n\
                       From: hello@acme.example\n\
                       To: ana@shop.example\n\
                       Message-ID:\n <m-2@acme.example>\n";

fn failed(address: &str, status: &str, words: &str) -> String {
    format!(
        "Final-Recipient: rfc822; {address}\nAction: failed\nStatus: {status}\n\
         Diagnostic-Code: smtp; {words}\n"
    )
}

fn bounce_of(report: &Report) -> &Bounce {
    report.kind.bounce().expect("a bounce")
}

#[test]
fn a_recipient_that_does_not_exist_is_a_hard_bounce_of_our_mail() {
    let words = "550 5.1.1 <ana@shop.example>:\n    Recipient address rejected: User unknown";
    let reports = read(&notice(&failed("Ana@Shop.example", "5.1.1", words), ORIGINAL)).unwrap();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.recipient.as_str(), report.message.as_deref()), ("ana@shop.example", Some("m-1")));
    let bounce = bounce_of(report);
    assert_eq!((bounce.class, bounce.category.as_str()), (BounceClass::Hard, "5.1.1"));
    assert_eq!(bounce.diagnostic, "550 5.1.1 <ana@shop.example>: Recipient address rejected: User unknown");
    assert_eq!(report.at.to_rfc3339(), "2026-06-01T11:00:05+00:00");
}

#[test]
fn the_status_code_decides_where_the_words_have_none() {
    for (status, words, expected) in [
        ("5.1.1", "550 no", BounceClass::Hard),
        ("5.2.2", "552 full", BounceClass::Soft),
        ("5.0.0", "550 no such user", BounceClass::Hard),
        ("5.0.0", "554 no", BounceClass::Soft),
        ("4.4.7", "delivery time expired", BounceClass::Hard),
        ("5.3.4", "552 too large", BounceClass::Ignored),
    ] {
        let reports = read(&notice(&failed("ana@shop.example", status, words), ORIGINAL)).unwrap();
        assert_eq!(bounce_of(&reports[0]).class, expected, "{status} {words}");
    }
}

#[test]
fn the_mail_is_found_by_its_header_or_by_what_the_notice_answers_to() {
    let recipients = failed("ana@shop.example", "5.1.1", "550 5.1.1 no");
    let reports = read(&notice(&recipients, HEADERS)).unwrap();
    assert_eq!(reports[0].message.as_deref(), Some("m-2"));
    let answering = notice(&recipients, "Content-Type: text/plain\n\nnothing\n")
        .replace("Message-ID: <dsn-1", "In-Reply-To: <m-3@acme.example>\nMessage-ID: <dsn-1");
    assert_eq!(read(&answering).unwrap()[0].message.as_deref(), Some("m-3"));
    let without = notice(&recipients, "Content-Type: text/plain\n\nnothing\n");
    assert_eq!(read(&without).unwrap()[0].message, None);
}

#[test]
fn each_recipient_has_a_report_and_delays_have_none() {
    let recipients = format!(
        "{}\n{}\nOriginal-Recipient: rfc822;cy@shop.example\nFinal-Recipient: rfc822; cyril@elsewhere.example\n\
         Action: delivered\nStatus: 2.0.0\n\nFinal-Recipient: rfc822; no address\nAction: failed\nStatus: 5.1.3\n",
        failed("ana@shop.example", "5.1.1", "550 5.1.1 no"),
        failed("bo@shop.example", "4.2.2", "452 4.2.2 full").replace("failed", "delayed"),
    );
    let reports = read(&notice(&recipients, ORIGINAL)).unwrap();
    let short: Vec<_> = reports.iter().map(|r| (r.kind.name(), r.recipient.as_str())).collect();
    assert_eq!(short, [("bounce", "ana@shop.example"), ("delivered", "cy@shop.example")]);
}

#[test]
fn a_complaint_is_read() {
    let mail = "From: abuse@mailbox.example\nDate: Mon, 1 Jun 2026 11:00:05 +0000\n\
                Message-ID: <arf-1@mailbox.example>\nMIME-Version: 1.0\n\
                Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\n\n\
                --b\nContent-Type: text/plain\n\nA complaint.\n\n\
                --b\nContent-Type: message/feedback-report\n\n\
                Feedback-Type: abuse\nUser-Agent: Mailbox/1.0\nVersion: 1\n\n\
                --b\nContent-Type: message/rfc822\n\nFrom: hello@acme.example\n\
                To: Ana <ana@shop.example>\nX-Message-ID: m-1\n\nHi\n\n--b--\n";
    let reports = read(mail).unwrap();
    assert_eq!(reports[0].kind, FeedbackKind::complaint("abuse"));
    assert_eq!(
        (reports[0].recipient.as_str(), reports[0].message.as_deref()),
        ("ana@shop.example", Some("m-1"))
    );
    assert_eq!(read(&mail.replace("Type: abuse", "Type: not-spam")).unwrap(), []);
}

#[test]
fn a_repetition_has_the_same_key() {
    let mail = notice(&failed("ana@shop.example", "5.1.1", "550 5.1.1 no"), ORIGINAL);
    assert_eq!(read(&mail).unwrap(), read(&mail).unwrap());
    let later = mail.replace("dsn-1@", "dsn-2@");
    assert_ne!(read(&mail).unwrap()[0].key, read(&later).unwrap()[0].key);
}

#[test]
fn other_mails_are_refused() {
    for mail in ["", "Subject: hi\n\nhello\n", "garbage"] {
        assert!(matches!(read(mail), Err(ReadingError::Malformed(_))), "{mail}");
    }
    let melted = failed("ana@shop.example", "5.1.1", "550 no").replace("failed", "melted");
    assert!(matches!(read(&notice(&melted, ORIGINAL)), Err(ReadingError::Malformed(_))));
    assert!(matches!(read(&notice("", ORIGINAL)), Err(ReadingError::Malformed(_))));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0_usize..1_500) {
        let _ = MailNotices.read(&bytes, now());
        let sound = notice(&failed("ana@shop.example", "5.1.1", "550 5.1.1 no"), ORIGINAL).replace('\n', "\r\n");
        let mut broken = sound.into_bytes();
        broken.truncate(cut);
        broken.extend(bytes);
        let _ = MailNotices.read(&broken, now());
    }
}
