//! The words of the pages for contacts, a file for each language. A word that is missing does not compile.

mod ar;
mod de;
mod en;
mod es;
mod fr;
mod hi;
mod ja;
mod pl;
mod pt;
mod ru;
mod zh;

use domain::languages::PageLanguage;

/// The words of the pages in one language, without markup. Names in braces are filled in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The page on which a contact chooses.
    pub(crate) preferences: &'static str,
    /// `{email}` is the contact.
    pub(crate) preferences_lead: &'static str,
    /// Heads the lists.
    pub(crate) lists: &'static str,
    /// There is nothing to choose from.
    pub(crate) no_lists: &'static str,
    /// The contact is on a list.
    pub(crate) receives: &'static str,
    /// A subscription waits for its confirmation.
    pub(crate) pending: &'static str,
    /// Mails to the address came back or were called spam.
    pub(crate) suppressed: &'static str,
    /// Heads the contact's own fields.
    pub(crate) about: &'static str,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) language: &'static str,
    pub(crate) timezone: &'static str,
    /// A field has no value.
    pub(crate) unset: &'static str,
    pub(crate) save: &'static str,
    /// Leaves every list.
    pub(crate) leave_all: &'static str,
    /// What was chosen is stored.
    pub(crate) saved: &'static str,
    /// Leaves one list.
    pub(crate) unsubscribe: &'static str,
    /// Asks for the click; `{email}` and `{list}`.
    pub(crate) unsubscribe_ask: &'static str,
    pub(crate) unsubscribed: &'static str,
    /// `{list}` was left.
    pub(crate) unsubscribed_note: &'static str,
    /// There is nothing to leave.
    pub(crate) not_subscribed: &'static str,
    /// Heads the page that asks for the click.
    pub(crate) confirm: &'static str,
    /// `{email}` and `{list}`.
    pub(crate) confirm_ask: &'static str,
    pub(crate) confirm_button: &'static str,
    pub(crate) confirmed: &'static str,
    /// `{list}` is subscribed to.
    pub(crate) confirmed_note: &'static str,
    pub(crate) nothing_to_confirm: &'static str,
    /// Heads the form, and sends it.
    pub(crate) subscribe: &'static str,
    /// Above the form; `{name}` is the owner.
    pub(crate) subscribe_lead: &'static str,
    pub(crate) email: &'static str,
    /// Beside the field that people do not see.
    pub(crate) trap: &'static str,
    pub(crate) thanks: &'static str,
    /// `{email}` has subscribed, or is asked to confirm.
    pub(crate) thanks_note: &'static str,
    pub(crate) email_wrong: &'static str,
    /// No list was chosen.
    pub(crate) lists_missing: &'static str,
    /// A field cannot be stored.
    pub(crate) entry_wrong: &'static str,
    /// A link is not good, or no longer.
    pub(crate) expired: &'static str,
    pub(crate) expired_note: &'static str,
    /// Above the form that asks for a new link.
    pub(crate) link_lead: &'static str,
    pub(crate) link_button: &'static str,
    pub(crate) link_sent: &'static str,
    /// Says nothing about whether the address is known.
    pub(crate) link_sent_note: &'static str,
    /// Leads to the page of all subscriptions.
    pub(crate) manage: &'static str,
    /// There is no such page.
    pub(crate) missing: &'static str,
    pub(crate) too_many: &'static str,
    /// The server cannot answer now.
    pub(crate) later: &'static str,
}

impl Words {
    /// In this language.
    pub(crate) fn of(language: PageLanguage) -> &'static Self {
        match language {
            PageLanguage::Ar => &ar::WORDS,
            PageLanguage::De => &de::WORDS,
            PageLanguage::En => &en::WORDS,
            PageLanguage::Es => &es::WORDS,
            PageLanguage::Fr => &fr::WORDS,
            PageLanguage::Hi => &hi::WORDS,
            PageLanguage::Ja => &ja::WORDS,
            PageLanguage::Pl => &pl::WORDS,
            PageLanguage::Pt => &pt::WORDS,
            PageLanguage::Ru => &ru::WORDS,
            PageLanguage::Zh => &zh::WORDS,
        }
    }
}

/// Fills names in. What is filled in is set apart from the direction of the text around it, and is no
/// place for another.
pub(crate) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            rest = after;
            break;
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            out.push('\u{2068}');
            out.push_str(value);
            out.push('\u{2069}');
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_fills_nothing_in() {
        let values = [("email", "{list}@x.example"), ("list", "News")];
        assert_eq!(
            filled("{email} and {list}", &values),
            "\u{2068}{list}@x.example\u{2069} and \u{2068}News\u{2069}"
        );
    }

    #[test]
    fn languages_differ() {
        let titles: Vec<_> = PageLanguage::ALL.iter().map(|l| Words::of(*l).unsubscribed).collect();
        let distinct: std::collections::BTreeSet<_> = titles.iter().collect();
        assert_eq!(distinct.len(), PageLanguage::ALL.len());
    }
}
