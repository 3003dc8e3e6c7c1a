use super::*;
use proptest::prelude::*;

fn class(source: &str, kind: &str, category: &str, diagnostic: &str) -> BounceClass {
    Bounce::of(source, kind, category, diagnostic).class
}

#[test]
fn providers_words_are_weighed() {
    use BounceClass::{Hard, Ignored, Soft};
    for (source, kind, category, diagnostic, expected) in [
        ("ses", "Permanent", "General", "", Hard),
        ("ses", "Permanent", "Suppressed", "", Hard),
        ("ses", "Transient", "MailboxFull", "", Soft),
        ("ses", "Transient", "General", "smtp; 550 4.4.7 Message expired", Hard),
        ("ses", "Transient", "General", "Message Expired: no answer", Hard),
        ("ses", "Transient", "General", "", Soft),
        ("ses", "Transient", "MessageTooLarge", "", Ignored),
        ("ses", "Transient", " contentrejected ", "", Ignored),
        ("ses", "Transient", "AttachmentRejected", "", Ignored),
        ("ses", "Undetermined", "Undetermined", "", Soft),
        ("mailgun", "Failed", "HardBounce", "bounce", Hard),
        ("mailgun", "Failed", "SoftBounce", "generic", Soft),
        ("mailjet", "HardBounce", "Permanent", "", Hard),
        ("mailjet", "SoftBounce", "Temporary", "", Soft),
        ("mailjet", "Blocked", "Blocked", "", Soft),
        ("postmark", "HardBounce", "HardBounce", "", Hard),
        ("postmark", "Blocked", "Blocked", "", Hard),
        ("postmark", "SoftBounce", "SoftBounce", "", Soft),
        ("postmark", "MessageContent", "", "", Ignored),
        ("postmark", "RuleBlocked", "", "", Ignored),
        ("postmark", "Transient", "", "", Soft),
        ("sparkpost", "Bounce", "10", "", Hard),
        ("sparkpost", "Bounce", "30", "", Hard),
        ("sparkpost", "Bounce", "90", "", Hard),
        ("sparkpost", "Bounce", "22", "", Soft),
        ("sparkpost", "Bounce", "100", "", Soft),
        ("sendgrid", "bounce", "", "", Hard),
        ("sendgrid", "blocked", "Invalid Address", "", Hard),
        ("sendgrid", "blocked", "Reputation", "", Soft),
        ("sendgrid", "dropped", "Dropped", "", Soft),
        ("smtp", "Bounce", "HardBounce", "", Hard),
        ("smtp", "Bounce", "SoftBounce", "", Soft),
        ("smtp", "Bounce", "", "550 no such user here", Hard),
        ("elsewhere", "Permanent", "HardBounce", "", Soft),
    ] {
        assert_eq!(
            class(source, kind, category, diagnostic),
            expected,
            "{source} {kind} {category} {diagnostic}"
        );
    }
}

#[test]
fn a_decisive_status_code_outweighs_the_providers_words() {
    use BounceClass::{Hard, Ignored, Soft};
    for (diagnostic, expected) in [
        ("smtp; 550 5.1.1 <x@y.example>: no such user", Hard),
        ("550 5.2.1 disabled", Hard),
        ("556 5.1.10 null MX", Hard),
        ("552 5.2.2 over quota", Soft),
        ("554 5.7.1 looks like spam", Soft),
        ("552 5.3.4 too big", Ignored),
        ("554 5.6.0 cannot be read", Ignored),
    ] {
        assert_eq!(class("mailgun", "Failed", "HardBounce", diagnostic), expected, "{diagnostic}");
        assert_eq!(class("mailgun", "Failed", "SoftBounce", diagnostic), expected, "{diagnostic}");
    }
    assert_eq!(
        class("mailgun", "Failed", "HardBounce", "550 5.0.0 no"),
        Hard,
        "open codes leave it to the words"
    );
    assert_eq!(class("mailgun", "Failed", "SoftBounce", "450 4.1.1 try later"), Soft);
}

#[test]
fn a_code_is_found_among_other_numbers() {
    let find = |text| EnhancedStatus::find(text).map(|s| (s.class, s.subject, s.detail));
    assert_eq!(find("host mx[5.9.12.33] said: 550-5.1.1 gone"), Some((5, 1, 1)));
    assert_eq!(find("(#5.1.10)"), Some((5, 1, 10)));
    assert_eq!(find("refused: 5.7.26."), Some((5, 7, 26)));
    for none in ["", "550 no", "2.0.0 ok", "5.1", "5.1234.1", "v15.1.1", "6.1.1"] {
        assert_eq!(find(none), None, "{none}");
    }
}

#[test]
fn only_a_refusal_of_the_recipient_for_good_names_nobody() {
    for reply in [
        "refused by the mail server: 550 5.1.1 User unknown",
        "550 5.2.1 disabled",
        "550 No such user here",
        "550 5.0.0 user unknown",
    ] {
        assert!(names_nobody(reply), "{reply}");
    }
    for reply in [
        "550 5.7.1 user unknown to our policy",
        "450 4.0.0 user unknown",
        "450 no such user, try later",
        "552 5.2.2 mailbox full",
        "554 spam",
        "550 5.1.8 sender does not exist",
        "",
    ] {
        assert!(!names_nobody(reply), "{reply}");
    }
}

fn feedback(kind: FeedbackKind) -> Feedback {
    Feedback {
        id: FeedbackId::from_fingerprint(&"ab".repeat(32)).unwrap(),
        kind,
        source: "ses".into(),
        integration: None,
        recipient: EmailAddress::parse("ana@shop.example").unwrap(),
        message: Some("m-1".into()),
        at: Timestamp::UNIX_EPOCH,
        payload: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn only_hard_bounces_stand_on_the_message() {
    let bounced = |category: &str| {
        feedback(FeedbackKind::Bounced(Bounce::of("ses", "Permanent", "General", category))).mark()
    };
    let mark = bounced("smtp; 550 5.1.1\r\nunknown").unwrap();
    assert_eq!(mark.bounced_at, Some(Timestamp::UNIX_EPOCH));
    assert_eq!(mark.status_info.as_deref(), Some("Permanent General smtp; 550 5.1.1  unknown"));
    assert_eq!(bounced("552 5.2.2 full"), None);
}

#[test]
fn a_report_about_no_message_of_ours_marks_nothing() {
    let mut report = feedback(FeedbackKind::Delivered);
    assert!(report.mark().is_some());
    report.message = Some("<abc@mx.example>".into());
    assert_eq!(report.mark(), None);
    report.message = None;
    assert_eq!(report.mark(), None);
}

#[test]
fn marks_of_one_message_become_one() {
    let delivered = feedback(FeedbackKind::Delivered).mark().unwrap();
    let complained = feedback(FeedbackKind::complaint("abuse")).mark().unwrap();
    let joined = MessageMark::joined([delivered, complained]);
    assert_eq!(joined.len(), 1);
    assert!(joined[0].delivered_at.is_some() && joined[0].complained_at.is_some());
    assert_eq!(joined[0].status_info.as_deref(), Some("abuse"));
}

proptest! {
    #[test]
    fn whatever_a_provider_says_becomes_short_lines(kind in any::<String>(), words in any::<String>()) {
        let bounce = Bounce::of("ses", &kind, &words, &words);
        for text in [&bounce.kind, &bounce.category, &bounce.diagnostic] {
            prop_assert!(!text.contains(char::is_control) && text.chars().count() <= 1_000);
        }
    }
}
