//! The row types of these tests.

use serde::{Deserialize, Serialize};
use tailwater::schema::{Collection, Issue, Issues, StateSchema, Validate};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) email: String,
}

impl Collection for User {
    const NAME: &'static str = "users";
    const EVENT_TYPE: &'static str = "user";
    const PRIMARY_KEY: &'static str = "id";
    type Columns = ();
    fn columns(_: &str) {}
    fn key(&self) -> String {
        self.id.clone().unwrap_or_default()
    }
}

impl Validate for User {
    fn validate(&self) -> Result<(), Issues> {
        if self.name.is_empty() {
            return Err(Issue::new("Invalid user").into());
        }
        if !self.email.contains('@') {
            return Err(Issue::new("must contain an @").at(["email"]).into());
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) text: String,
}

impl Collection for Message {
    const NAME: &'static str = "messages";
    const EVENT_TYPE: &'static str = "message";
    const PRIMARY_KEY: &'static str = "id";
    type Columns = ();
    fn columns(_: &str) {}
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// A user with an id.
pub(super) fn user(id: &str, name: &str) -> User {
    User {
        id: Some(id.into()),
        ..anonymous(name)
    }
}

/// A user without one.
pub(super) fn anonymous(name: &str) -> User {
    User {
        id: None,
        name: name.into(),
        email: format!("{}@example.com", name.to_lowercase()),
    }
}

/// Users with rules, and messages without.
pub(super) fn schema() -> StateSchema {
    StateSchema::builder()
        .collection_with(User::validate)
        .collection::<Message>()
        .build()
        .unwrap()
}
