//! The installation's own mails: sign-in codes and invitations, in the reader's language.

use crate::{
    platform::Platform,
    ports::{Mailbox, OutgoingMail},
};
use domain::{email_address::EmailAddress, ids::MessageId, secret::Secret, users::Session};

/// What a mail tells.
pub(crate) enum SystemMail<'a> {
    /// A code to type.
    SignInCode(&'a Secret),
    /// A link to follow.
    Invitation {
        /// Who invites.
        inviter: &'a str,
        /// Where to.
        workspace: &'a str,
        /// The link.
        link: &'a str,
    },
    /// An account became a member of a further workspace.
    Added {
        /// Who did it.
        inviter: &'a str,
        /// Which workspace.
        workspace: &'a str,
        /// Where to sign in.
        link: &'a str,
    },
}

/// The mail was not taken. Fit for the log: the server's words without addresses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SystemMailError(String);

/// The phrases of a language. `{code}`, `{minutes}`, `{inviter}` and `{workspace}` are replaced.
struct Phrases {
    code_subject: &'static str,
    code_lead: &'static str,
    code_note: &'static str,
    invitation_subject: &'static str,
    invitation_lead: &'static str,
    invitation_action: &'static str,
    invitation_note: &'static str,
    added_subject: &'static str,
    added_lead: &'static str,
    added_action: &'static str,
}

const ENGLISH: Phrases = Phrases {
    code_subject: "Your sign-in code",
    code_lead: "Type this code to sign in. It is good for {minutes} minutes.",
    code_note: "If you did not ask for it, ignore this mail.",
    invitation_subject: "You are invited to {workspace}",
    invitation_lead: "{inviter} invites you to the workspace {workspace}.",
    invitation_action: "Accept the invitation",
    invitation_note: "The invitation is good for 15 days.",
    added_subject: "You are now a member of {workspace}",
    added_lead: "{inviter} added you to the workspace {workspace}.",
    added_action: "Sign in",
};

const FRENCH: Phrases = Phrases {
    code_subject: "Votre code de connexion",
    code_lead: "Saisissez ce code pour vous connecter. Il est valable {minutes} minutes.",
    code_note: "Si vous n’êtes pas à l’origine de cette demande, ignorez ce message.",
    invitation_subject: "Invitation à rejoindre {workspace}",
    invitation_lead: "{inviter} vous invite à rejoindre l’espace de travail {workspace}.",
    invitation_action: "Accepter l’invitation",
    invitation_note: "L’invitation est valable 15 jours.",
    added_subject: "Vous êtes désormais membre de {workspace}",
    added_lead: "{inviter} vous a ajouté à l’espace de travail {workspace}.",
    added_action: "Se connecter",
};

const GERMAN: Phrases = Phrases {
    code_subject: "Ihr Anmeldecode",
    code_lead: "Geben Sie diesen Code ein, um sich anzumelden. Er gilt {minutes} Minuten.",
    code_note: "Falls Sie ihn nicht angefordert haben, ignorieren Sie diese E-Mail.",
    invitation_subject: "Einladung zu {workspace}",
    invitation_lead: "{inviter} lädt Sie in den Arbeitsbereich {workspace} ein.",
    invitation_action: "Einladung annehmen",
    invitation_note: "Die Einladung gilt 15 Tage.",
    added_subject: "Sie sind jetzt Mitglied von {workspace}",
    added_lead: "{inviter} hat Sie in den Arbeitsbereich {workspace} aufgenommen.",
    added_action: "Anmelden",
};

const SPANISH: Phrases = Phrases {
    code_subject: "Su código de acceso",
    code_lead: "Escriba este código para iniciar sesión. Es válido durante {minutes} minutos.",
    code_note: "Si no lo ha solicitado, ignore este mensaje.",
    invitation_subject: "Invitación a {workspace}",
    invitation_lead: "{inviter} le invita al espacio de trabajo {workspace}.",
    invitation_action: "Aceptar la invitación",
    invitation_note: "La invitación es válida durante 15 días.",
    added_subject: "Ahora es miembro de {workspace}",
    added_lead: "{inviter} le ha añadido al espacio de trabajo {workspace}.",
    added_action: "Iniciar sesión",
};

fn phrases(language: &str) -> &'static Phrases {
    match language {
        "fr" => &FRENCH,
        "de" => &GERMAN,
        "es" => &SPANISH,
        _ => &ENGLISH,
    }
}

impl Platform {
    /// Sends one of the installation's own mails. No lease may be held meanwhile.
    ///
    /// # Errors
    /// When the mail is not taken.
    pub(crate) async fn send_system_mail(
        &self,
        to: &EmailAddress,
        language: &str,
        mail: &SystemMail<'_>,
    ) -> Result<(), SystemMailError> {
        let written = write(phrases(language), mail);
        let mail = OutgoingMail {
            message_id: MessageId::from_uuid(self.ids.uuid()),
            from: self.installation.mail_from.clone(),
            to: Mailbox { address: to.clone(), name: None },
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: None,
            subject: written.subject,
            html: written.html,
            text: written.text,
            list_unsubscribe: None,
            attachments: Vec::new(),
            dkim: None,
        };
        let sent = self.mailer.send(&self.installation.mail_route, &mail).await;
        sent.map_err(|error| SystemMailError(without_addresses(&error.to_string())))
    }
}

struct Written {
    subject: String,
    html: String,
    text: String,
}

fn write(phrases: &Phrases, mail: &SystemMail<'_>) -> Written {
    match mail {
        SystemMail::SignInCode(code) => {
            let minutes = Session::CODE_LIFETIME.num_minutes().to_string();
            let lead = phrases.code_lead.replace("{minutes}", &minutes);
            let (code, note) = (code.expose(), phrases.code_note);
            let focus = format!("<p style=\"font-size:28px;letter-spacing:6px\"><b>{}</b></p>", escape(code));
            Written {
                subject: phrases.code_subject.to_owned(),
                html: page(&lead, &focus, note),
                text: format!("{lead}\n\n{code}\n\n{note}\n"),
            }
        }
        SystemMail::Invitation { inviter, workspace, link } => linked(
            [phrases.invitation_subject, phrases.invitation_lead],
            [phrases.invitation_action, phrases.invitation_note],
            [inviter, workspace, link],
        ),
        SystemMail::Added { inviter, workspace, link } => linked(
            [phrases.added_subject, phrases.added_lead],
            [phrases.added_action, ""],
            [inviter, workspace, link],
        ),
    }
}

fn linked(
    [subject, lead]: [&str; 2],
    [action, note]: [&str; 2],
    [inviter, workspace, link]: [&str; 3],
) -> Written {
    // The workspace's name goes in last, so that a placeholder in the inviter's name stays text.
    let fill = |text: &str| {
        let parts: Vec<_> = text.split("{workspace}").map(|t| t.replace("{inviter}", inviter)).collect();
        parts.join(workspace)
    };
    let lead = fill(lead);
    let focus = format!("<p><a href=\"{}\">{}</a></p>", escape(link), escape(action));
    Written {
        subject: one_line(&fill(subject)),
        html: page(&lead, &focus, note),
        text: format!("{lead}\n\n{action}: {link}\n\n{note}\n"),
    }
}

fn page(lead: &str, focus: &str, note: &str) -> String {
    format!(
        "<!doctype html><html><body style=\"font-family:sans-serif\"><p>{}</p>{focus}<p>{}</p></body></html>",
        escape(lead),
        escape(note)
    )
}

fn without_addresses(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_inject_markup_or_headers() {
        let mail = SystemMail::Invitation {
            inviter: "<b>{workspace}</b>",
            workspace: "A\r\nBcc: x@y.example",
            link: "https://m.example/?a=\"1\"",
        };
        let written = write(&ENGLISH, &mail);
        assert!(!written.subject.contains(['\r', '\n']));
        assert!(written.html.contains("&lt;b&gt;{workspace}&lt;/b&gt;"));
        assert!(written.html.contains("href=\"https://m.example/?a=&quot;1&quot;\""));
    }

    #[test]
    fn an_error_for_the_log_has_no_address() {
        assert_eq!(without_addresses("550 <ana@shop.example>: unknown"), "550 (address) unknown");
    }

    #[test]
    fn a_code_mail_states_how_long_the_code_lives() {
        for language in ["en", "fr", "de", "es", "ja"] {
            let written = write(phrases(language), &SystemMail::SignInCode(&Secret::new("042917")));
            assert!(written.text.contains("15") && written.text.contains("042917"), "{language}");
            assert!(written.html.contains("042917"), "{language}");
        }
    }
}
