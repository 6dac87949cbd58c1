use serde::{Deserialize, Serialize};
use tailwater::Collection;
use tailwater::query::Query;

#[derive(Serialize, Deserialize, Collection)]
struct User {
    id: String,
    name: String,
    age: i64,
    country: Option<String>,
}

fn main() {
    let _ = Query::from::<User>("u").filter(|u| u.agee.gt(18));
}
