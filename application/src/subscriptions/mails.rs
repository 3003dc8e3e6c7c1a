//! The mails about a contact's own subscriptions: that of the list, else one that is built in, in the
//! contact's language.

use super::Subscriptions;
use crate::{
    ports::{StoreError, UnitOfWork},
    rate_limit::Limit,
};
use domain::{
    Timestamp,
    contacts::{Contact, ContactField},
    deliveries::{Delivery, DeliverySource},
    email_address::EmailAddress,
    ids::{IntegrationId, MessageId, TemplateId},
    languages::PageLanguage,
    lists::List,
    messages::{Message, MessageState},
    templates::{EmailBody, EmailContent, Template, TemplateContent},
    transactional::EmailOptions,
    workspaces::Workspace,
};
use serde_json::Map;
use std::collections::BTreeMap;

/// Templates of this version are built in; those of workspaces begin with 1.
const BUILT_IN: i64 = 0;

/// A mail that somebody asked for.
pub(super) struct Asked<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) email: &'a EmailAddress,
    /// The list whose subscription is to be confirmed; without one, the mail leads to the contact's page.
    pub(super) list: Option<&'a List>,
    /// Of a mail that is built in.
    pub(super) language: PageLanguage,
}

/// The language of what is built in: the contact's own, else what was said, else the workspace's.
pub(super) fn language_of(
    contact: Option<&Contact>,
    said: Option<&str>,
    workspace: &Workspace,
) -> PageLanguage {
    let own = contact.and_then(|contact| contact.text(ContactField::Language));
    let usual = workspace.settings.default_language.as_str();
    let first = [own, said, Some(usual)].into_iter().flatten().find_map(PageLanguage::of);
    first.unwrap_or(PageLanguage::En)
}

impl Subscriptions {
    /// Queues a mail, unless the address was mailed the same a few times within the last hour. Answers
    /// whether it did.
    pub(super) async fn ask(
        &self,
        store: &mut dyn UnitOfWork,
        asked: &Asked<'_>,
        integration: IntegrationId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Asked { workspace, email, list, language } = asked;
        if !store.suppressions(std::slice::from_ref(*email)).await?.is_empty() {
            return Ok(false);
        }
        let key = format!("{} {email} {}", workspace.id, list.map_or("", |list| list.id.as_str()));
        if self.limiter.attempt(Limit::ASKED_MAILS, &key).is_err() {
            return Ok(false);
        }
        let own = match list.and_then(|list| list.double_optin_template.as_ref()) {
            Some(chosen) => store.template(&chosen.id).await?.filter(|t| t.content.email().is_some()),
            None => None,
        };
        let (template, template_version) = match own {
            Some(template) => (template.id, template.version),
            None => (Kind::of(list.is_some()).template(*language), BUILT_IN),
        };
        let list = list.map(|list| list.id.clone());
        let message = Message {
            id: MessageId::from_uuid(self.ports.ids.uuid()),
            external_id: None,
            contact_email: (*email).clone(),
            broadcast: None,
            notification: None,
            list: list.clone(),
            template,
            template_version,
            state: MessageState::Queued,
            status_info: None,
            data: None,
            metadata: None,
            options: EmailOptions::default(),
            sent_at: None,
            delivered_at: None,
            failed_at: None,
            opened_at: None,
            clicked_at: None,
            bounced_at: None,
            complained_at: None,
            unsubscribed_at: None,
            created_at: now,
            updated_at: now,
        };
        let delivery = Delivery {
            message: message.id.clone(),
            source: DeliverySource::Subscription { list },
            recipient: message.contact_email.clone(),
            template: message.template.clone(),
            template_version,
            integration,
            attempts: 0,
            due_at: now,
            created_at: now,
        };
        store.insert_messages_if_absent(&[message]).await?;
        store.insert_deliveries(&[delivery]).await?;
        Ok(true)
    }
}

/// What a built-in mail is for.
#[derive(Clone, Copy)]
enum Kind {
    Confirmation,
    Link,
}

impl Kind {
    fn of(has_list: bool) -> Self {
        if has_list { Self::Confirmation } else { Self::Link }
    }

    /// The name by which the history knows the mail.
    fn template(self, language: PageLanguage) -> TemplateId {
        let name = match self {
            Self::Confirmation => "confirmation",
            Self::Link => "preferences-link",
        };
        TemplateId::parse(&format!("built-in-{name}-{}", language.code()))
            .expect("letters and hyphens, fewer than 32")
    }
}

/// The template of a delivery, when it is one that is built in.
pub(crate) fn built_in(delivery: &Delivery) -> Option<Template> {
    let DeliverySource::Subscription { list } = &delivery.source else { return None };
    if delivery.template_version != BUILT_IN {
        return None;
    }
    let code = delivery.template.as_str().rsplit('-').next().unwrap_or_default();
    let language = PageLanguage::of(code).unwrap_or(PageLanguage::En);
    let content = content(Kind::of(list.is_some()), language);
    Some(Template {
        id: delivery.template.clone(),
        name: content.subject.clone(),
        version: BUILT_IN,
        content: TemplateContent::Email(content),
        category: "transactional".to_owned(),
        macro_id: None,
        integration: None,
        test_data: Map::new(),
        settings: Map::new(),
        translations: BTreeMap::new(),
        created_at: delivery.created_at,
        updated_at: delivery.created_at,
    })
}

fn content(kind: Kind, language: PageLanguage) -> EmailContent {
    let words = words(language);
    let (subject, lead, action, url) = match kind {
        Kind::Confirmation => {
            (words.confirm_subject, words.confirm_lead, words.confirm_action, "confirm_subscription_url")
        }
        Kind::Link => (words.link_subject, words.link_lead, words.link_action, "notification_center_url"),
    };
    let (direction, align) = if language.is_right_to_left() { ("rtl", "right") } else { ("ltr", "left") };
    let note = words.note;
    let mjml_source = format!(
        "<mjml lang=\"{}\" dir=\"{direction}\"><mj-head><mj-title>{subject}</mj-title>\
         <mj-preview>{lead}</mj-preview><mj-attributes>\
         <mj-all font-family=\"-apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif\" />\
         <mj-text font-size=\"16px\" line-height=\"1.6\" color=\"#1c1d21\" align=\"{align}\" />\
         </mj-attributes></mj-head><mj-body background-color=\"#f6f6f8\">\
         <mj-section background-color=\"#ffffff\" padding=\"32px 24px\"><mj-column>\
         <mj-text><p dir=\"{direction}\">{lead}</p></mj-text>\
         <mj-button href=\"{{{{ {url} }}}}\" background-color=\"#2452c7\" color=\"#ffffff\" font-size=\"16px\" \
         border-radius=\"6px\" align=\"{align}\">{action}</mj-button>\
         <mj-text font-size=\"14px\" color=\"#5b5f6b\"><p dir=\"{direction}\">{note}</p></mj-text>\
         </mj-column></mj-section></mj-body></mjml>",
        language.code()
    );
    EmailContent {
        body: EmailBody::Code { mjml_source },
        sender_id: None,
        reply_to: None,
        subject: subject.to_owned(),
        subject_preview: None,
        compiled_preview: None,
        text: Some(format!("{lead}\n\n{action}: {{{{ {url} }}}}\n\n{note}\n")),
    }
}

/// The words of both mails; they may hold Liquid, and no markup.
struct Words {
    confirm_subject: &'static str,
    confirm_lead: &'static str,
    confirm_action: &'static str,
    link_subject: &'static str,
    link_lead: &'static str,
    link_action: &'static str,
    note: &'static str,
}

#[expect(clippy::too_many_lines, reason = "one part for each language")]
fn words(language: PageLanguage) -> Words {
    match language {
        PageLanguage::Ar => Words {
            confirm_subject: "يرجى تأكيد اشتراكك في {{ list.name }}",
            confirm_lead: "طُلب الاشتراك في {{ list.name }} من {{ workspace.name }} بهذا العنوان. أكِّد أنك تريد تلقي هذه الرسائل.",
            confirm_action: "تأكيد الاشتراك",
            link_subject: "تفضيلات البريد لدى {{ workspace.name }}",
            link_lead: "من هذه الصفحة تختار الرسائل التي تتلقاها من {{ workspace.name }}.",
            link_action: "فتح التفضيلات",
            note: "إن لم تطلب ذلك فتجاهل هذه الرسالة ولن يحدث شيء.",
        },
        PageLanguage::De => Words {
            confirm_subject: "Bitte bestätigen Sie Ihr Abonnement: {{ list.name }}",
            confirm_lead: "Mit dieser Adresse wurde {{ list.name }} von {{ workspace.name }} bestellt. Bestätigen Sie, dass Sie diese Mails erhalten möchten.",
            confirm_action: "Abonnement bestätigen",
            link_subject: "Ihre E-Mail-Einstellungen bei {{ workspace.name }}",
            link_lead: "Auf dieser Seite wählen Sie, welche Mails Sie von {{ workspace.name }} erhalten.",
            link_action: "Einstellungen öffnen",
            note: "Falls Sie das nicht angefordert haben, ignorieren Sie diese Mail; es geschieht dann nichts.",
        },
        PageLanguage::En => Words {
            confirm_subject: "Please confirm your subscription to {{ list.name }}",
            confirm_lead: "This address was used to subscribe to {{ list.name }} from {{ workspace.name }}. Please confirm that you want these mails.",
            confirm_action: "Confirm the subscription",
            link_subject: "Your e-mail preferences at {{ workspace.name }}",
            link_lead: "On this page you choose which mails you receive from {{ workspace.name }}.",
            link_action: "Open the preferences",
            note: "If you did not ask for this, ignore this mail and nothing will happen.",
        },
        PageLanguage::Es => Words {
            confirm_subject: "Confirme su suscripción a {{ list.name }}",
            confirm_lead: "Con esta dirección se solicitó la suscripción a {{ list.name }} de {{ workspace.name }}. Confirme que desea recibir estos correos.",
            confirm_action: "Confirmar la suscripción",
            link_subject: "Sus preferencias de correo en {{ workspace.name }}",
            link_lead: "En esta página elige qué correos recibe de {{ workspace.name }}.",
            link_action: "Abrir las preferencias",
            note: "Si no lo ha solicitado, ignore este correo y no ocurrirá nada.",
        },
        PageLanguage::Fr => Words {
            confirm_subject: "Veuillez confirmer votre abonnement à {{ list.name }}",
            confirm_lead: "Un abonnement à {{ list.name }} de {{ workspace.name }} a été demandé avec cette adresse. Veuillez confirmer que vous souhaitez recevoir ces messages.",
            confirm_action: "Confirmer l’abonnement",
            link_subject: "Vos préférences d’e-mail chez {{ workspace.name }}",
            link_lead: "Sur cette page, vous choisissez les messages que vous recevez de {{ workspace.name }}.",
            link_action: "Ouvrir les préférences",
            note: "Si vous n’êtes pas à l’origine de cette demande, ignorez ce message : rien ne se passera.",
        },
        PageLanguage::Hi => Words {
            confirm_subject: "कृपया {{ list.name }} की अपनी सदस्यता की पुष्टि करें",
            confirm_lead: "इस पते से {{ workspace.name }} की {{ list.name }} की सदस्यता माँगी गई है। कृपया पुष्टि करें कि आप ये मेल चाहते हैं।",
            confirm_action: "सदस्यता की पुष्टि करें",
            link_subject: "{{ workspace.name }} पर आपकी ईमेल प्राथमिकताएँ",
            link_lead: "इस पृष्ठ पर आप चुनते हैं कि {{ workspace.name }} से कौन-से मेल पाएँ।",
            link_action: "प्राथमिकताएँ खोलें",
            note: "यदि आपने यह नहीं माँगा, तो इस मेल को अनदेखा करें; कुछ नहीं होगा।",
        },
        PageLanguage::Ja => Words {
            confirm_subject: "{{ list.name }} の購読を確認してください",
            confirm_lead: "このアドレスで {{ workspace.name }} の {{ list.name }} の購読が申し込まれました。メールの受信を希望される場合は確認してください。",
            confirm_action: "購読を確認する",
            link_subject: "{{ workspace.name }} のメール設定",
            link_lead: "このページで {{ workspace.name }} から受け取るメールを選べます。",
            link_action: "設定を開く",
            note: "お心当たりがない場合は、このメールを無視してください。何も行われません。",
        },
        PageLanguage::Pl => Words {
            confirm_subject: "Prosimy o potwierdzenie subskrypcji {{ list.name }}",
            confirm_lead: "Z tego adresu zamówiono {{ list.name }} od {{ workspace.name }}. Prosimy potwierdzić, że chcą Państwo otrzymywać te wiadomości.",
            confirm_action: "Potwierdź subskrypcję",
            link_subject: "Preferencje wiadomości od {{ workspace.name }}",
            link_lead: "Na tej stronie można wybrać, jakie wiadomości przychodzą od {{ workspace.name }}.",
            link_action: "Otwórz preferencje",
            note: "Jeśli to nie Państwa prośba, prosimy zignorować tę wiadomość; nic się nie stanie.",
        },
        PageLanguage::Pt => Words {
            confirm_subject: "Confirme a sua subscrição de {{ list.name }}",
            confirm_lead: "Com este endereço foi pedida a subscrição de {{ list.name }} de {{ workspace.name }}. Confirme que deseja receber estas mensagens.",
            confirm_action: "Confirmar a subscrição",
            link_subject: "As suas preferências de e-mail em {{ workspace.name }}",
            link_lead: "Nesta página escolhe que mensagens recebe de {{ workspace.name }}.",
            link_action: "Abrir as preferências",
            note: "Se não fez este pedido, ignore esta mensagem e nada acontecerá.",
        },
        PageLanguage::Ru => Words {
            confirm_subject: "Подтвердите подписку на {{ list.name }}",
            confirm_lead: "С этого адреса запрошена подписка на {{ list.name }} от {{ workspace.name }}. Подтвердите, что хотите получать эти письма.",
            confirm_action: "Подтвердить подписку",
            link_subject: "Ваши настройки писем от {{ workspace.name }}",
            link_lead: "На этой странице можно выбрать, какие письма вы получаете от {{ workspace.name }}.",
            link_action: "Открыть настройки",
            note: "Если вы этого не запрашивали, не обращайте внимания на это письмо: ничего не произойдёт.",
        },
        PageLanguage::Zh => Words {
            confirm_subject: "请确认您对 {{ list.name }} 的订阅",
            confirm_lead: "有人用此地址订阅了 {{ workspace.name }} 的 {{ list.name }}。请确认您希望接收这些邮件。",
            confirm_action: "确认订阅",
            link_subject: "您在 {{ workspace.name }} 的邮件偏好",
            link_lead: "在此页面上，您可以选择接收 {{ workspace.name }} 的哪些邮件。",
            link_action: "打开偏好设置",
            note: "如果这不是您的请求，请忽略此邮件，不会有任何变化。",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_mail_of_each_kind() {
        for language in PageLanguage::ALL {
            for kind in [Kind::Confirmation, Kind::Link] {
                let id = kind.template(*language);
                assert!(id.as_str().len() <= 32);
                let content = content(kind, *language);
                let text = content.text.unwrap();
                assert!(text.contains("_url }}"), "{id}");
                assert!(content.subject.chars().count() <= 255 && !content.subject.contains('<'));
            }
        }
    }
}
