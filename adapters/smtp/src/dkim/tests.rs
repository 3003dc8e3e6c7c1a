use super::*;
use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// An RSA key of 2048 bits, made for these tests.
const RSA: &str = include_str!("rsa.pem");
/// The same key in the other form.
const RSA_PKCS8: &str = include_str!("rsa8.pem");
/// The Ed25519 key of RFC 8463 §A.2.
const ED: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
/// Its public half, as the record of RFC 8463 §A.2 shows it.
const ED_PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// The message of RFC 8463 §A.3, with the Ed25519 signature.
const EXAMPLE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\
 \x20d=football.example.com; i=@football.example.com;\r\n\
 \x20q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n\
 \x20subject : date : message-id : from : subject : date;\r\n\
 \x20bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n\
 \x20b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n\
 \x20Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";

const MAIL: &str = "From: \"Shop\" <news@shop.example>\r\n\
To: ana@home.example,\r\n bob@home.example\r\n\
Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n  and   more\r\n\
Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n\
Message-ID: <m-1@shop.example>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
\r\n\
Hello  \t world \r\n\
\r\n\
.dot\r\n\
\r\n\
\r\n";

/// One blank for many, none at the ends of a line.
fn relaxed(text: &str) -> String {
    text.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Does what RFC 6376 §6.1 tells verifiers to do, by itself: none of what signs is used.
fn verifies(mail: &str, public: &[u8]) -> bool {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", "\u{1}").replace("\r\n\t", "\u{1}");
    let fields: Vec<(String, String)> = head
        .split("\r\n")
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.trim().to_lowercase(), value.replace('\u{1}', " ")))
        .collect();
    let own = &fields.iter().find(|(name, _)| name == "dkim-signature").unwrap().1;
    let tag = |wanted: &str| {
        let tags = own.split(';').filter_map(|tag| tag.split_once('='));
        let found = tags.map(|(name, value)| (name.trim(), value)).find(|(name, _)| *name == wanted);
        found.unwrap().1.split_whitespace().collect::<String>()
    };
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let inner = relaxed(line);
            if line.starts_with([' ', '\t']) && !inner.is_empty() { format!(" {inner}") } else { inner }
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let body = lines.iter().fold(String::new(), |body, line| body + line + "\r\n");
    let hash = digest::digest(&digest::SHA256, body.as_bytes());
    if BASE64_STANDARD.encode(hash) != tag("bh") {
        return false;
    }
    let mut left = fields.clone();
    let mut text = String::new();
    for name in tag("h").split(':') {
        if let Some(at) = left.iter().rposition(|(n, _)| n == name) {
            let _ = write!(text, "{name}:{}\r\n", relaxed(&left.remove(at).1));
        }
    }
    let before = own.rfind("; b=").unwrap() + 2;
    let _ = write!(text, "dkim-signature:{}", relaxed(&own[..before + 2]));
    let signature = BASE64_STANDARD.decode(tag("b")).unwrap();
    match tag("a").as_str() {
        "rsa-sha256" => {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
            key.verify(text.as_bytes(), &signature).is_ok()
        }
        "ed25519-sha256" => {
            let hash = digest::digest(&digest::SHA256, text.as_bytes());
            UnparsedPublicKey::new(&ED25519, public).verify(hash.as_ref(), &signature).is_ok()
        }
        other => panic!("{other}"),
    }
}

fn identity(pem: &str) -> DkimIdentity {
    DkimIdentity { domain: "shop.example".into(), selector: "s1".into(), private_key: Secret::new(pem) }
}

fn signed(mail: &str, pem: &str) -> String {
    let mut mail = mail.to_owned();
    Signer::default().sign(&mut mail, &identity(pem), Timestamp::UNIX_EPOCH).unwrap();
    mail
}

/// The key that a verifier reads from the record.
fn public(pem: &str) -> Vec<u8> {
    let record = DkimKeyReader.public(&Secret::new(pem)).unwrap();
    let der = BASE64_STANDARD.decode(record.key).unwrap();
    // The library wants RSA keys without their wrapping, of which 24 bytes stand before a key of 2048 bits.
    if record.algorithm == DkimAlgorithm::Rsa { der[24..].to_vec() } else { der }
}

#[test]
fn the_verifier_of_these_tests_accepts_the_example_of_the_standard() {
    let public = BASE64_STANDARD.decode(ED_PUBLIC).unwrap();
    assert!(verifies(EXAMPLE, &public));
    assert!(!verifies(&EXAMPLE.replace("hungry", "thirsty"), &public));
    assert!(!verifies(&EXAMPLE.replace("dinner", "supper"), &public));
}

#[test]
fn both_kinds_of_keys_sign_what_verifies() {
    for pem in [RSA, RSA_PKCS8, ED] {
        let mail = signed(MAIL, pem);
        assert!(verifies(&mail, &public(pem)), "{mail}");
        assert!(mail.ends_with(MAIL), "the mail itself is not changed");
    }
}

#[test]
fn what_servers_on_the_way_may_do_does_no_harm() {
    let mail = signed(MAIL, ED);
    let mail = mail
        .replace("ana@home.example,\r\n bob", "ana@home.example,   bob")
        .replace("world \r\n", "world\r\n");
    assert!(verifies(&mail, &public(ED)));
}

#[test]
fn nothing_that_matters_can_be_changed_or_added() {
    let mail = signed(MAIL, ED);
    for changed in [
        mail.replace("Hello", "Goodbye"),
        mail.replace("news@shop", "evil@shop"),
        mail.replace("\r\nSubject:", "\r\nSubject: other\r\nSubject:"),
        mail.replace("\r\nTo:", "\r\nReply-To: evil@evil.example\r\nTo:"),
        mail.replace("text/plain", "text/html"),
    ] {
        assert_ne!(changed, mail);
        assert!(!verifies(&changed, &public(ED)), "{changed}");
    }
}

#[test]
fn a_mail_without_a_text_is_signed() {
    let mail = signed("From: news@shop.example\r\n\r\n\r\n", ED);
    assert!(verifies(&mail, &public(ED)));
}

#[test]
fn lines_of_the_signature_stay_short() {
    for line in signed(MAIL, RSA).split("\r\n").take_while(|line| !line.starts_with("From")) {
        assert!(line.len() <= 78, "{line}");
    }
}

#[test]
fn the_record_shows_what_verifiers_know() {
    let key = |pem: &str| DkimKeyReader.public(&Secret::new(pem)).unwrap();
    assert_eq!(key(ED), DkimPublicKey { algorithm: DkimAlgorithm::Ed25519, key: ED_PUBLIC.into() });
    assert_eq!(key(RSA), key(RSA_PKCS8));
    // As `openssl rsa -pubout -outform DER` writes it.
    assert!(
        key(RSA)
            .key
            .starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzbt0QjYQAu8vv+EcWaVOeafQ0MtF0XYe")
    );
}

#[test]
fn what_is_no_key_to_sign_with_is_refused() {
    let short = RSA.replace("\nMIIE", "\nMIIC");
    for bad in
        ["", "secret", ED_PUBLIC, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", &short]
    {
        assert_eq!(DkimKeyReader.public(&Secret::new(bad)), Err(DkimKeyError), "{bad}");
    }
}

#[test]
fn a_very_long_field_is_signed() {
    let many = (0..5_000).map(|n| format!("c{n}@home.example")).collect::<Vec<_>>().join(",\r\n ");
    let mail = signed(&MAIL.replace("To: ana", &format!("Cc: {many}\r\nTo: ana")), ED);
    assert!(verifies(&mail, &public(ED)));
}
