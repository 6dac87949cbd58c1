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

#[derive(Serialize, Deserialize, Collection)]
struct Message {
    id: String,
    user_id: String,
}

fn main() {
    let _ = Query::from::<User>("u").filter(|u| m.user_id.eq(u.id));
    let _ = Query::from::<User>("u")
        .join::<Message>("m", |u, m| u.id.eq(m.user_id))
        .filter(|u, m, n| u.id.eq(n.id));
}
