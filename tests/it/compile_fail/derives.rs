use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tailwater::{Collection, Projection};

#[derive(Serialize, Deserialize, Collection)]
struct WithoutKey {
    name: String,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(key = "idd")]
struct WrongKey {
    id: String,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(nam = "users")]
struct UnknownAttribute {
    id: String,
}

#[derive(Serialize, Deserialize, Collection)]
#[collection(name = "")]
struct EmptyName {
    id: String,
}

#[derive(Serialize, Deserialize, Collection)]
enum NoStruct {
    A,
}

#[derive(Serialize, Deserialize, Collection)]
struct NoFields(String);

#[derive(Serialize, Deserialize, Collection)]
struct Generic<T> {
    id: T,
}

#[derive(Serialize, Deserialize, Projection)]
struct Flattened {
    id: String,
    #[serde(flatten)]
    rest: HashMap<String, i64>,
}

#[derive(Serialize, Deserialize, Projection)]
struct TwoNames {
    #[serde(rename(serialize = "a", deserialize = "b"))]
    id: String,
}

#[derive(Serialize, Deserialize, Projection)]
#[serde(from = "String", into = "String")]
struct OtherType {
    id: String,
}

fn main() {}
