//! `lists.*` and `contactLists.*`: lists and the standing of their members.

use crate::{
    Bearer, Body, Created, Moment, Problem, Text,
    body::complete,
    contacts::{ContactInput, status},
    features::Shared,
    subscriptions::list_ids,
    tags::Tag,
};
use application::lists::ListDraft;
use domain::{
    contacts::ContactPatch,
    email_address::EmailAddress,
    ids::{ListId, TemplateId},
    lists::{List, ListStats, TemplateRef},
    validation::{Check, Invalid},
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};

pub(crate) struct ListsApi(pub(crate) Shared);

/// The template of a confirmation mail.
#[derive(Object)]
#[oai(rename = "TemplateReference")]
struct TemplateRefBody {
    id: Text,
    /// Kept for clients: the latest version is always used.
    #[oai(default)]
    version: i64,
}

/// A list to make, or what it becomes.
#[derive(Object)]
#[oai(rename = "ListDraft")]
struct DraftBody {
    workspace_id: Text,
    /// 1 to 32 letters and digits; stays for good.
    id: Text,
    /// 1 to 255 characters.
    name: Text,
    /// Whether a public subscription must be confirmed by mail.
    #[oai(default)]
    is_double_optin: bool,
    /// Whether anybody may subscribe.
    #[oai(default)]
    is_public: bool,
    #[oai(nullable)]
    description: Option<Text>,
    /// The mail that asks for confirmation with `is_double_optin`; a built-in one by default.
    #[oai(nullable)]
    double_optin_template: Option<TemplateRefBody>,
}

impl TryFrom<DraftBody> for ListDraft {
    type Error = Invalid;

    fn try_from(body: DraftBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let id = check.field("/id", ListId::parse(&body.id.0));
        let template = body.double_optin_template.and_then(|template| {
            let id = check.field("/double_optin_template/id", TemplateId::parse(&template.id.0))?;
            Some(TemplateRef { id, version: template.version })
        });
        let id = complete(check, id)?;
        Ok(Self {
            id,
            name: body.name.0,
            is_double_optin: body.is_double_optin,
            is_public: body.is_public,
            description: body.description.map(|d| d.0).unwrap_or_default(),
            double_optin_template: template,
        })
    }
}

/// A template by name and version.
#[derive(Object)]
#[oai(rename = "TemplateVersion")]
struct TemplateVersionBody {
    id: String,
    version: i64,
}

/// A list.
#[derive(Object)]
#[oai(rename = "List", skip_serializing_if_is_none)]
pub(crate) struct ListBody {
    id: String,
    name: String,
    is_double_optin: bool,
    is_public: bool,
    description: Option<String>,
    double_optin_template: Option<TemplateVersionBody>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<List> for ListBody {
    fn from(list: List) -> Self {
        Self {
            id: list.id.to_string(),
            name: list.name,
            is_double_optin: list.is_double_optin,
            is_public: list.is_public,
            description: Some(list.description).filter(|d| !d.is_empty()),
            double_optin_template: list
                .double_optin_template
                .map(|t| TemplateVersionBody { id: t.id.to_string(), version: t.version }),
            created_at: list.created_at.into(),
            updated_at: list.updated_at.into(),
        }
    }
}

#[derive(Object)]
struct ListAnswer {
    list: ListBody,
}

impl From<List> for ListAnswer {
    fn from(list: List) -> Self {
        Self { list: list.into() }
    }
}

#[derive(Object)]
struct ListsAnswer {
    lists: Vec<ListBody>,
}

/// How many members have which standing.
#[derive(Object)]
#[oai(rename = "ListStats")]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct StatsBody {
    total_active: u64,
    total_pending: u64,
    total_unsubscribed: u64,
    total_bounced: u64,
    total_complained: u64,
}

impl From<ListStats> for StatsBody {
    fn from(stats: ListStats) -> Self {
        Self {
            total_active: stats.active,
            total_pending: stats.pending,
            total_unsubscribed: stats.unsubscribed,
            total_bounced: stats.bounced,
            total_complained: stats.complained,
        }
    }
}

#[derive(Object)]
#[oai(rename = "ListStatsAnswer")]
struct StatsAnswer {
    list_id: String,
    stats: StatsBody,
}

#[derive(Object)]
struct ListIdBody {
    workspace_id: Text,
    id: Text,
}

#[derive(Object)]
struct ListDeletedAnswer {
    success: bool,
}

#[derive(Object)]
struct UpdateStatusBody {
    workspace_id: Text,
    email: Text,
    list_id: Text,
    /// `active`, `pending`, `unsubscribed`, `bounced` or `complained`.
    status: Text,
}

#[derive(Object)]
struct StatusUpdatedAnswer {
    success: bool,
    message: String,
    /// Whether the contact is on the list.
    found: bool,
}

#[derive(Object)]
struct SubscribeBody {
    workspace_id: Text,
    contact: ContactInput,
    /// At least one list.
    list_ids: Vec<Text>,
}

#[derive(Object)]
struct SubscribedAnswer {
    success: bool,
}

fn list_id(pointer: &str, text: &str) -> Result<ListId, Invalid> {
    ListId::parse(text).map_err(|rule| Invalid::one(pointer, rule))
}

#[OpenApi(tag = "Tag::Lists")]
impl ListsApi {
    /// Makes a list
    #[oai(path = "/lists.create", method = "post", operation_id = "listsCreate")]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<DraftBody>,
    ) -> Result<Created<ListAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        Ok(Created(self.0.lists.create(&caller, body.try_into()?).await?.into()))
    }

    /// Replaces a list
    #[oai(path = "/lists.update", method = "post", operation_id = "listsUpdate")]
    async fn update(&self, bearer: Bearer, Body(body): Body<DraftBody>) -> Result<Json<ListAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        Ok(Json(self.0.lists.update(&caller, body.try_into()?).await?.into()))
    }

    /// Lists all lists, newest first
    #[oai(path = "/lists.list", method = "get", operation_id = "listsList")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
    ) -> Result<Json<ListsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let lists = self.0.lists.list(&caller).await?;
        Ok(Json(ListsAnswer { lists: lists.into_iter().map(Into::into).collect() }))
    }

    /// One list
    #[oai(path = "/lists.get", method = "get", operation_id = "listsGet")]
    async fn get(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The list.
        id: Query<String>,
    ) -> Result<Json<ListAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        Ok(Json(self.0.lists.get(&caller, &list_id("/id", &id.0)?).await?.into()))
    }

    /// Counts the members of a list by standing
    #[oai(path = "/lists.stats", method = "get", operation_id = "listsStats")]
    async fn stats(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The list.
        #[oai(name = "list_id")]
        id: Query<String>,
    ) -> Result<Json<StatsAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let id = list_id("/list_id", &id.0)?;
        let stats = self.0.lists.stats(&caller, &id).await?;
        Ok(Json(StatsAnswer { list_id: id.to_string(), stats: stats.into() }))
    }

    /// Deletes a list and its memberships
    #[oai(path = "/lists.delete", method = "post", operation_id = "listsDelete")]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<ListIdBody>,
    ) -> Result<Json<ListDeletedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        self.0.lists.delete(&caller, &list_id("/id", &body.id.0)?).await?;
        Ok(Json(ListDeletedAnswer { success: true }))
    }

    /// Subscribes a contact to lists at once
    ///
    /// The contact is stored or merged. Also one that once left comes back, but none that bounced or
    /// complained. No confirmation is asked for: the caller answers for the contact's consent.
    #[oai(path = "/lists.subscribe", method = "post", operation_id = "listsSubscribe")]
    async fn subscribe(
        &self,
        bearer: Bearer,
        Body(body): Body<SubscribeBody>,
    ) -> Result<Json<SubscribedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let mut check = Check::default();
        let contact = check.nested("/contact", ContactPatch::from_json(&body.contact.0));
        let lists = check.nested("", list_ids(&body.list_ids));
        let (contact, lists) = complete(check, contact.zip(lists))?;
        self.0.subscriptions.subscribe_for(&caller, contact, &lists).await?;
        Ok(Json(SubscribedAnswer { success: true }))
    }

    /// Sets the standing of a contact on a list
    #[oai(path = "/contactLists.updateStatus", method = "post", operation_id = "contactListsUpdateStatus")]
    async fn update_status(
        &self,
        bearer: Bearer,
        Body(body): Body<UpdateStatusBody>,
    ) -> Result<Json<StatusUpdatedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let mut check = Check::default();
        let email = check.field("/email", EmailAddress::parse(&body.email.0));
        let list = check.field("/list_id", ListId::parse(&body.list_id.0));
        let status = check.field("/status", status(&body.status.0));
        let wanted = email.zip(list).zip(status);
        let ((email, list), status) = complete(check, wanted)?;
        let found = self.0.lists.update_status(&caller, &email, &list, status).await?;
        let message = if found { "status updated successfully" } else { "contact not in list" };
        Ok(Json(StatusUpdatedAnswer { success: true, message: message.to_owned(), found }))
    }
}
