//! Mails that a program asks for, one contact at a time.

use crate::{
    Timestamp,
    attachments::AttachedFile,
    email_address::EmailAddress,
    ids::{IntegrationId, NotificationId, TemplateId},
    mail_name::MailName,
    utm::UtmParameters,
    validation::{Check, Invalid, required_text},
};
use serde_json::{Map, Value};

/// Whether mails report opens and clicks. A workspace that wants no reports has none in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MailTracking {
    /// Nothing is said: as the workspace has chosen.
    #[default]
    Workspace,
    /// They do.
    On,
    /// They do not.
    Off,
}

impl MailTracking {
    /// What a client has said.
    #[must_use]
    pub const fn from_flag(flag: Option<bool>) -> Self {
        match flag {
            None => Self::Workspace,
            Some(true) => Self::On,
            Some(false) => Self::Off,
        }
    }

    /// What a client is told.
    #[must_use]
    pub const fn flag(self) -> Option<bool> {
        match self {
            Self::Workspace => None,
            Self::On => Some(true),
            Self::Off => Some(false),
        }
    }
}

/// A kind of mail that programs can ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Chosen by the client.
    pub id: NotificationId,
    /// How people call it, 1 to 255 characters.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The template of its mail.
    pub email: EmailChannel,
    /// Campaign parameters of its links.
    pub utm: UtmParameters,
    /// Whether its mails report opens and clicks.
    pub tracking: MailTracking,
    /// Stored for clients.
    pub metadata: Map<String, Value>,
    /// The integration that manages it.
    pub integration: Option<IntegrationId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How a notification is sent by mail.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EmailChannel {
    /// The template, always in its latest version.
    pub template_id: TemplateId,
    /// Stored for clients; some members change the mail, see [`EmailChannel::options`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
}

impl EmailChannel {
    /// What the settings change of every mail of the notification, unless a send changes it: the
    /// members `from_name`, `subject`, `subject_preview` and `reply_to`. Others mean nothing here.
    #[must_use]
    pub fn options(&self) -> EmailOptions {
        self.checked_options().unwrap_or_default()
    }

    fn checked_options(&self) -> Result<EmailOptions, Invalid> {
        let text = |name: &str| self.settings.as_ref()?.get(name)?.as_str();
        EmailOptions::parse(
            text("from_name"),
            text("subject"),
            text("subject_preview"),
            text("reply_to"),
            &[],
            &[],
        )
    }

    fn check(&self, check: &mut Check, pointer: &str) {
        check.nested(&format!("{pointer}/channels/email/settings"), self.checked_options());
    }
}

/// What a client gives of a new notification.
#[derive(Debug, Clone, PartialEq)]
pub struct NotificationDraft {
    /// See [`Notification::id`].
    pub id: NotificationId,
    /// See [`Notification::name`].
    pub name: String,
    /// See [`Notification::description`].
    pub description: String,
    /// See [`Notification::email`].
    pub email: EmailChannel,
    /// See [`Notification::utm`].
    pub utm: UtmParameters,
    /// See [`Notification::tracking`].
    pub tracking: MailTracking,
    /// See [`Notification::metadata`].
    pub metadata: Map<String, Value>,
}

impl NotificationDraft {
    /// # Errors
    /// When the name is empty or too long, or a setting of the mail is bad.
    pub fn into_notification(self, now: Timestamp) -> Result<Notification, Invalid> {
        let mut check = Check::default();
        let name = check.field("/notification/name", required_text(&self.name, 255));
        self.email.check(&mut check, "/notification");
        check.finish()?;
        Ok(Notification {
            id: self.id,
            name: name.unwrap_or_default(),
            description: self.description,
            email: self.email,
            utm: self.utm,
            tracking: self.tracking,
            metadata: self.metadata,
            integration: None,
            created_at: now,
            updated_at: now,
        })
    }
}

/// What to change of a notification; what is absent is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NotificationPatch {
    /// See [`Notification::name`].
    pub name: Option<String>,
    /// See [`Notification::description`].
    pub description: Option<String>,
    /// See [`Notification::email`].
    pub email: Option<EmailChannel>,
    /// See [`Notification::utm`].
    pub utm: Option<UtmParameters>,
    /// See [`Notification::tracking`].
    pub tracking: Option<MailTracking>,
    /// See [`Notification::metadata`].
    pub metadata: Option<Map<String, Value>>,
}

impl Notification {
    /// # Errors
    /// When nothing is changed, the name is empty or too long, or a setting of the mail is bad.
    pub fn apply(&mut self, patch: NotificationPatch, now: Timestamp) -> Result<(), Invalid> {
        if patch == NotificationPatch::default() {
            return Err(Invalid::one("/updates", "at least one field must be given"));
        }
        if let Some(name) = &patch.name {
            self.name = required_text(name, 255).map_err(|e| Invalid::one("/updates/name", e))?;
        }
        if let Some(description) = patch.description {
            self.description = description;
        }
        if let Some(email) = patch.email {
            let mut check = Check::default();
            email.check(&mut check, "/updates");
            check.finish()?;
            self.email = email;
        }
        if let Some(utm) = patch.utm {
            self.utm = utm;
        }
        if let Some(tracking) = patch.tracking {
            self.tracking = tracking;
        }
        if let Some(metadata) = patch.metadata {
            self.metadata = metadata;
        }
        self.updated_at = now;
        Ok(())
    }
}

/// What a single send changes of the mail. Precedence: request, notification, template, sender, default
/// sender of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct EmailOptions {
    /// Replaces the sender's name; the address never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_name: Option<MailName>,
    /// Replaces the template's subject; may hold Liquid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Replaces the template's preview line; may hold Liquid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_preview: Option<String>,
    /// Where replies go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EmailAddress>,
    /// Further visible recipients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<EmailAddress>,
    /// Further hidden recipients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<EmailAddress>,
    /// Files that go with the mail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachedFile>,
}

impl EmailOptions {
    /// These options, completed by others where nothing is given here.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        fn given<T>(list: Vec<T>, other: Vec<T>) -> Vec<T> {
            if list.is_empty() { other } else { list }
        }
        Self {
            from_name: self.from_name.or(others.from_name),
            subject: self.subject.or(others.subject),
            subject_preview: self.subject_preview.or(others.subject_preview),
            reply_to: self.reply_to.or(others.reply_to),
            cc: given(self.cc, others.cc),
            bcc: given(self.bcc, others.bcc),
            attachments: given(self.attachments, others.attachments),
        }
    }

    /// Most addresses in `cc` and `bcc` together.
    pub const MAX_COPIES: usize = 50;

    /// Reads the options of a request, but for its files: absent, null, empty and blank texts mean
    /// "not given".
    ///
    /// # Errors
    /// Every bad field.
    pub fn parse(
        from_name: Option<&str>,
        subject: Option<&str>,
        subject_preview: Option<&str>,
        reply_to: Option<&str>,
        cc: &[String],
        bcc: &[String],
    ) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let from_name =
            check.field("/from_name", MailName::parse_optional(from_name.unwrap_or_default())).flatten();
        let line = |check: &mut Check, pointer: &str, text: Option<&str>| {
            let text = text.map(str::trim).filter(|t| !t.is_empty())?;
            check.require(text.chars().count() <= 255, pointer, "must have at most 255 characters");
            check.require(
                !text.chars().any(char::is_control),
                pointer,
                "must not contain control characters",
            );
            Some(text.to_owned())
        };
        let subject = line(&mut check, "/subject", subject);
        let subject_preview = line(&mut check, "/subject_preview", subject_preview);
        let reply_to = reply_to
            .filter(|t| !t.trim().is_empty())
            .and_then(|t| check.field("/reply_to", EmailAddress::parse(t)));
        let addresses = |check: &mut Check, name: &str, texts: &[String]| {
            let given = texts.iter().enumerate().filter(|(_, t)| !t.trim().is_empty());
            given
                .filter_map(|(i, t)| check.field(&format!("/{name}/{i}"), EmailAddress::parse(t)))
                .collect::<Vec<_>>()
        };
        let cc = addresses(&mut check, "cc", cc);
        let bcc = addresses(&mut check, "bcc", bcc);
        check.require(
            cc.len() + bcc.len() <= Self::MAX_COPIES,
            "/cc",
            "cc and bcc together take at most 50 addresses",
        );
        check.finish()?;
        Ok(Self { from_name, subject, subject_preview, reply_to, cc, bcc, attachments: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_options_are_not_given() {
        let options = EmailOptions::parse(Some(" "), Some(""), None, Some(""), &[String::new()], &[]);
        assert_eq!(options, Ok(EmailOptions::default()));
    }

    #[test]
    fn every_bad_option_is_reported() {
        let bad = EmailOptions::parse(
            Some("A\r\nBcc: b@x.example"),
            Some(&"x".repeat(256)),
            Some("a\nb"),
            Some("nobody"),
            &["ok@x.example".into(), "bad".into()],
            &["bad".into()],
        );
        let pointers: Vec<_> = bad.unwrap_err().0.into_iter().map(|p| p.pointer).collect();
        assert_eq!(pointers, ["/from_name", "/subject", "/subject_preview", "/reply_to", "/cc/1", "/bcc/0"]);
    }

    #[test]
    fn the_settings_of_a_notification_are_checked() {
        let settings = serde_json::json!({"from_name": "A\nB", "reply_to": "nobody", "theme": 7});
        let email = EmailChannel {
            template_id: TemplateId::parse("t").unwrap(),
            settings: settings.as_object().cloned(),
        };
        let draft = NotificationDraft {
            id: NotificationId::parse("reset").unwrap(),
            name: "Reset".into(),
            description: String::new(),
            email,
            utm: UtmParameters::default(),
            tracking: MailTracking::default(),
            metadata: Map::new(),
        };
        let bad = draft.into_notification(Timestamp::UNIX_EPOCH).unwrap_err();
        let pointers: Vec<_> = bad.0.iter().map(|p| p.pointer.as_str()).collect();
        let at = "/notification/channels/email/settings";
        assert_eq!(pointers, [format!("{at}/from_name"), format!("{at}/reply_to")]);
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let now = Timestamp::UNIX_EPOCH;
        let draft = NotificationDraft {
            id: NotificationId::parse("reset").unwrap(),
            name: "Reset".into(),
            description: "d".into(),
            email: EmailChannel { template_id: TemplateId::parse("t").unwrap(), settings: None },
            utm: UtmParameters::default(),
            tracking: MailTracking::default(),
            metadata: Map::new(),
        };
        let mut notification = draft.into_notification(now).unwrap();
        let before = notification.clone();
        assert!(notification.apply(NotificationPatch::default(), now).is_err());
        let patch = NotificationPatch { name: Some("New".into()), ..NotificationPatch::default() };
        notification.apply(patch, now).unwrap();
        assert_eq!(notification.email, before.email);
        assert_eq!(notification.name, "New");
    }
}
