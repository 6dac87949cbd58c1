//! Rows of the workload `events`.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct User<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    pub(crate) active: bool,
    pub(crate) age: i64,
    #[serde(borrow)]
    pub(crate) country: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event<'a> {
    #[serde(borrow)]
    pub(crate) user_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) language: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) title: Option<Cow<'a, str>>,
    pub(crate) bytes: i64,
    pub(crate) timestamp: i64,
}
