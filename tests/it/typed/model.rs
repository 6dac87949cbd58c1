//! The collections that the stories of typed queries are about.

use serde::{Deserialize, Serialize};
use tailwater::{Collection, Projection};

use super::put;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Admin,
    Member,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Projection)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    pub(super) city: String,
    pub(super) zip_code: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Collection)]
#[collection(name = "users", type = "user", key = "id")]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "isActive")]
    pub(super) active: bool,
    pub(super) age: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) country: Option<String>,
    pub(super) role: Role,
    pub(super) home_address: Option<Address>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(skip)]
    pub(super) cached: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Collection)]
#[collection(name = "messages")]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) user_id: Option<String>,
    pub(super) text: String,
    pub(super) score: f64,
    pub(super) at: i64,
}

pub(super) fn user(id: &str, name: &str, age: i64, country: Option<&str>) -> User {
    User {
        id: id.into(),
        name: name.into(),
        active: true,
        age,
        country: country.map(Into::into),
        role: Role::Member,
        home_address: None,
        tags: Vec::new(),
        cached: 0,
    }
}

pub(super) fn message(id: &str, user: Option<&str>, text: &str, score: f64) -> Message {
    Message {
        id: id.into(),
        user_id: user.map(Into::into),
        text: text.into(),
        score,
        at: 0,
    }
}

/// Three users, the first an admin at home in Vienna, the last inactive.
pub(super) fn users() -> Vec<User> {
    vec![
        User {
            role: Role::Admin,
            home_address: Some(Address {
                city: "Vienna".into(),
                zip_code: None,
            }),
            tags: vec!["a".into(), "b".into()],
            ..user("1", "Ada", 36, Some("at"))
        },
        user("2", "Bob", 20, None),
        User {
            active: false,
            ..user("3", "Cyd", 40, Some("de"))
        },
    ]
}

/// Two messages of Ada's, one of Bob's, one of nobody's.
pub(super) fn messages() -> Vec<Message> {
    vec![
        message("a", Some("1"), "hello", 1.5),
        message("b", Some("1"), "world", 2.5),
        message("c", Some("2"), "hey", 4.0),
        message("d", None, "lost", 8.0),
    ]
}

pub(super) fn all() -> Vec<String> {
    let users = users();
    let messages = messages();
    users
        .iter()
        .map(put)
        .chain(messages.iter().map(put))
        .collect()
}
