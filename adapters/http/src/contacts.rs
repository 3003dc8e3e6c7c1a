//! `contacts.*`: the people that mails go to.

mod bodies;

use crate::{Bearer, Body, Problem, body::complete, cursor, features::Shared, tags::Tag};
pub(crate) use bodies::ContactInput;
use bodies::{
    ContactAnswer, ContactBody, ContactsPage, CountAnswer, DeleteBody, DeletedAnswer, ImportAnswer,
    ImportBody, UpsertAnswer, UpsertBody,
};
use domain::{
    contacts::{ContactField, ContactFilter, ContactPatch},
    email_address::EmailAddress,
    ids::{ListId, SegmentId},
    lists::MembershipStatus,
    validation::{Check, Invalid},
};
use poem_openapi::{OpenApi, param::Query, payload::Json};

pub(crate) struct ContactsApi(pub(crate) Shared);

#[OpenApi(tag = "Tag::Contacts")]
impl ContactsApi {
    /// Stores a contact, or merges into a known one
    ///
    /// A field that is left out is kept, `null` clears it, a value sets it.
    #[oai(path = "/contacts.upsert", method = "post", operation_id = "contactsUpsert")]
    async fn upsert(
        &self,
        bearer: Bearer,
        Body(body): Body<UpsertBody>,
    ) -> Result<Json<UpsertAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let patch = ContactPatch::from_json(&body.contact.0).map_err(|e| e.below("/contact"))?;
        let email = patch.email.clone();
        let action = self.0.contacts.upsert(&caller, patch).await?;
        Ok(Json(UpsertAnswer::new(&email, action)))
    }

    /// Finds a contact by its address
    #[oai(path = "/contacts.getByEmail", method = "get", operation_id = "contactsGetByEmail")]
    async fn by_email(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The address.
        email: Query<String>,
    ) -> Result<Json<ContactAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let email = EmailAddress::parse(&email.0).map_err(|rule| Invalid::one("/email", rule))?;
        Ok(Json(self.0.contacts.by_email(&caller, &email).await?.into()))
    }

    /// Finds a contact by the identifier that another system gave it
    #[oai(path = "/contacts.getByExternalID", method = "get", operation_id = "contactsGetByExternalID")]
    async fn by_external_id(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// The identifier.
        external_id: Query<String>,
    ) -> Result<Json<ContactAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        Ok(Json(self.0.contacts.by_external_id(&caller, &external_id.0).await?.into()))
    }

    /// Lists contacts, newest first
    #[oai(path = "/contacts.list", method = "get", operation_id = "contactsList")]
    #[expect(clippy::too_many_arguments, reason = "one for each query parameter")]
    async fn list(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
        /// Part of the address.
        email: Query<Option<String>>,
        /// Part of the external identifier.
        external_id: Query<Option<String>>,
        /// Part of the first name.
        first_name: Query<Option<String>>,
        /// Part of the last name.
        last_name: Query<Option<String>>,
        /// Part of the full name.
        full_name: Query<Option<String>>,
        /// Part of the telephone number.
        phone: Query<Option<String>>,
        /// Part of the country.
        country: Query<Option<String>>,
        /// Part of the language.
        language: Query<Option<String>>,
        /// Only members of this list.
        list_id: Query<Option<String>>,
        /// Only those with this standing on `list_id`, or on any list.
        contact_list_status: Query<Option<String>>,
        /// Only members of any of these segments.
        #[oai(name = "segments[]")]
        segments: Query<Vec<String>>,
        /// Whether to answer each contact's memberships.
        with_contact_lists: Query<Option<String>>,
        /// 1 to 100; 20 by default.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ContactsPage>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let mut check = Check::default();
        let given = |text: Option<String>| text.filter(|t| !t.is_empty());
        let fields = [
            (ContactField::ExternalId, external_id.0),
            (ContactField::FirstName, first_name.0),
            (ContactField::LastName, last_name.0),
            (ContactField::FullName, full_name.0),
            (ContactField::Phone, phone.0),
            (ContactField::Country, country.0),
            (ContactField::Language, language.0),
        ];
        let filter = ContactFilter {
            email: given(email.0),
            fields: fields.into_iter().filter_map(|(field, text)| Some((field, given(text)?))).collect(),
            list: given(list_id.0).and_then(|id| check.field("/list_id", ListId::parse(&id))),
            list_status: given(contact_list_status.0)
                .and_then(|name| check.field("/contact_list_status", status(&name))),
            segments: (segments.0.iter())
                .filter_map(|id| check.field("/segments[]", SegmentId::parse(id)))
                .collect(),
        };
        let limit = limit.0.unwrap_or(20);
        check.require((1..=100).contains(&limit), "/limit", "must be 1 to 100");
        let with_lists = with_contact_lists.0.as_deref().map_or(Ok(false), truth);
        let with_lists = check.field("/with_contact_lists", with_lists);
        let after = given(cursor.0).and_then(|text| check.field("/cursor", cursor::read_contact(&text)));
        let with_lists = complete(check, with_lists)?;
        let size = limit as usize;
        let page = self.0.contacts.list(&caller, &filter, after.as_ref(), size, with_lists).await?;
        Ok(Json(page.into()))
    }

    /// Counts contacts
    #[oai(path = "/contacts.count", method = "get", operation_id = "contactsCount")]
    async fn count(
        &self,
        bearer: Bearer,
        /// The workspace.
        workspace_id: Query<String>,
    ) -> Result<Json<CountAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &workspace_id.0).await?;
        let total_contacts = self.0.contacts.count(&caller).await?;
        Ok(Json(CountAnswer { total_contacts }))
    }

    /// Stores many contacts, and puts them on lists
    ///
    /// Every row is answered, in the order of the rows. Of several rows with one address the last is
    /// stored. Nobody is put back on a list that they left.
    #[oai(path = "/contacts.import", method = "post", operation_id = "contactsImport")]
    async fn import(
        &self,
        bearer: Bearer,
        Body(body): Body<ImportBody>,
    ) -> Result<Json<ImportAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let mut check = Check::default();
        check.require(!body.contacts.is_empty(), "/contacts", "needs at least one contact");
        let lists = body.subscribe_to_lists.unwrap_or_default();
        let lists: Vec<_> = (lists.iter().enumerate())
            .filter_map(|(n, id)| check.field(&format!("/subscribe_to_lists/{n}"), ListId::parse(&id.0)))
            .collect();
        check.finish()?;
        let rows: Vec<_> = body.contacts.into_iter().map(|row| row.0).collect();
        Ok(Json(self.0.contacts.import(&caller, &rows, &lists).await?.into()))
    }

    /// Deletes a contact and what is kept about it
    #[oai(path = "/contacts.delete", method = "post", operation_id = "contactsDelete")]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<DeleteBody>,
    ) -> Result<Json<DeletedAnswer>, Problem> {
        let caller = self.0.enter(&bearer, &body.workspace_id.0).await?;
        let email = EmailAddress::parse(&body.email.0).map_err(|rule| Invalid::one("/email", rule))?;
        self.0.contacts.delete(&caller, &email).await?;
        Ok(Json(DeletedAnswer { success: true }))
    }
}

/// Reads the standing of a membership.
pub(crate) fn status(name: &str) -> Result<MembershipStatus, String> {
    MembershipStatus::from_name(name).ok_or_else(|| {
        let known = MembershipStatus::ALL.map(MembershipStatus::name).join(", ");
        format!("must be one of {known}")
    })
}

/// Reads a boolean of a query string.
pub(crate) fn truth(word: &str) -> Result<bool, &'static str> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "" | "0" | "f" | "false" => Ok(false),
        _ => Err("must be true or false"),
    }
}

impl From<application::contacts::ContactView> for ContactAnswer {
    fn from(view: application::contacts::ContactView) -> Self {
        Self { contact: ContactBody::from(&view) }
    }
}
