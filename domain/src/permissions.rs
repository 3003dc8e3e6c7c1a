//! Who may do what in a workspace.

use std::collections::BTreeMap;

/// A part of a workspace that permissions speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Contacts, segments, custom events.
    Contacts,
    /// Lists and memberships.
    Lists,
    /// Templates and saved blocks.
    Templates,
    /// Broadcasts.
    Broadcasts,
    /// Transactional notifications.
    Transactional,
    /// Settings, integrations, webhooks.
    Workspace,
    /// Sent messages and statistics.
    MessageHistory,
    /// Blog.
    Blog,
    /// Automations.
    Automations,
    /// Language model features.
    Llm,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 10] = [
        Self::Contacts,
        Self::Lists,
        Self::Templates,
        Self::Broadcasts,
        Self::Transactional,
        Self::Workspace,
        Self::MessageHistory,
        Self::Blog,
        Self::Automations,
        Self::Llm,
    ];

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Lists => "lists",
            Self::Templates => "templates",
            Self::Broadcasts => "broadcasts",
            Self::Transactional => "transactional",
            Self::Workspace => "workspace",
            Self::MessageHistory => "message_history",
            Self::Blog => "blog",
            Self::Automations => "automations",
            Self::Llm => "llm",
        }
    }
}

/// What a member may do with one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Access {
    /// May look.
    pub read: bool,
    /// May change.
    pub write: bool,
}

/// A single right, checked by a use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To look at a resource.
    Read(Resource),
    /// To change a resource.
    Write(Resource),
    /// What only an owner may do: members, keys, integrations, settings.
    Own,
}

/// The rights of a member by resource; what is missing is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<Resource, Access>);

impl Permissions {
    /// Takes the rights as given.
    #[must_use]
    pub fn new(access: BTreeMap<Resource, Access>) -> Self {
        Self(access)
    }

    /// Every right on every resource.
    #[must_use]
    pub fn all() -> Self {
        let all = Access { read: true, write: true };
        Self(Resource::ALL.into_iter().map(|r| (r, all)).collect())
    }

    /// What is allowed on one resource.
    #[must_use]
    pub fn on(&self, resource: Resource) -> Access {
        self.0.get(&resource).copied().unwrap_or_default()
    }

    /// Each resource that is spoken of, with its rights.
    pub fn iter(&self) -> impl Iterator<Item = (Resource, Access)> + '_ {
        self.0.iter().map(|(r, a)| (*r, *a))
    }

    /// Whether no right is given at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The standing of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Passes every check.
    Owner,
    /// Has the permissions stored with the membership.
    Member,
}

impl Role {
    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
        }
    }

    /// Reads the stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "owner" => Some(Self::Owner),
            "member" => Some(Self::Member),
            _ => None,
        }
    }

    /// Whether this role with these permissions has a right.
    #[must_use]
    pub fn allows(self, permissions: &Permissions, wanted: Permission) -> bool {
        match (self, wanted) {
            (Self::Owner, _) => true,
            (Self::Member, Permission::Read(resource)) => permissions.on(resource).read,
            (Self::Member, Permission::Write(resource)) => permissions.on(resource).write,
            (Self::Member, Permission::Own) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_denied() {
        let none = Permissions::default();
        for resource in Resource::ALL {
            assert!(!Role::Member.allows(&none, Permission::Read(resource)));
            assert!(Role::Owner.allows(&none, Permission::Write(resource)));
        }
    }

    #[test]
    fn a_member_never_owns() {
        assert!(!Role::Member.allows(&Permissions::all(), Permission::Own));
    }

    #[test]
    fn reading_does_not_imply_writing() {
        let access = Access { read: true, write: false };
        let reader = Permissions::new([(Resource::Lists, access)].into());
        assert!(Role::Member.allows(&reader, Permission::Read(Resource::Lists)));
        assert!(!Role::Member.allows(&reader, Permission::Write(Resource::Lists)));
        assert!(!Role::Member.allows(&reader, Permission::Read(Resource::Contacts)));
    }
}
