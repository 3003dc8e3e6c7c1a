//! What each provider calls its bounces, and how much these weigh.

use super::{BounceClass, EnhancedStatus, names_nobody};

/// How much a bounce weighs by the words of its provider. What nobody knows weighs little.
#[must_use]
pub fn bounce_class(source: &str, kind: &str, category: &str, diagnostic: &str) -> BounceClass {
    let word = |text: &str| text.trim().to_ascii_lowercase();
    let (kind, category, diagnostic) = (word(kind), word(category), word(diagnostic));
    match source {
        "ses" => ses(&kind, &category, &diagnostic),
        "mailgun" => hard_if(category == "hardbounce" || category == "permanent"),
        "mailjet" => hard_if(kind == "hardbounce"),
        "postmark" => postmark(&kind),
        "sparkpost" => hard_if(matches!(category.as_str(), "10" | "30" | "90")),
        "sendgrid" => hard_if(kind == "bounce" || category == "invalid address"),
        "smtp" => hard_if(category == "hardbounce" || kind == "hardbounce" || names_nobody(&diagnostic)),
        "dsn" => hard_if(has_expired(&diagnostic) || names_nobody(&diagnostic)),
        _ => BounceClass::Soft,
    }
}

fn hard_if(is_hard: bool) -> BounceClass {
    if is_hard { BounceClass::Hard } else { BounceClass::Soft }
}

fn ses(kind: &str, category: &str, diagnostic: &str) -> BounceClass {
    match (kind, category) {
        ("permanent", _) => BounceClass::Hard,
        ("transient", "messagetoolarge" | "contentrejected" | "attachmentrejected") => BounceClass::Ignored,
        ("transient", "general") => hard_if(has_expired(diagnostic)),
        _ => BounceClass::Soft,
    }
}

fn postmark(kind: &str) -> BounceClass {
    match kind {
        "blocked" => BounceClass::Hard,
        // the last three are answers of people and their programs, not of mail servers
        "messagecontent" | "ruleblocked" | "autoresponder" | "subscribe" | "challengeverification" => {
            BounceClass::Ignored
        }
        _ => hard_if(kind.contains("hard")),
    }
}

/// Whether a server has tried until it gave up.
fn has_expired(diagnostic: &str) -> bool {
    let status = EnhancedStatus::find(diagnostic);
    diagnostic.contains("message expired") || status.is_some_and(|s| (s.subject, s.detail) == (4, 7))
}
