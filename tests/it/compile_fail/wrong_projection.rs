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

#[derive(Serialize, Deserialize, tailwater::Projection)]
struct Line {
    name: String,
    n: i64,
}

fn main() {
    let _ = Query::from::<User>("u").select(|u| LineSelect { name: u.country, n: u.age });
    let _ = Query::from::<User>("u").select(|u| LineSelect { name: u.name, n: u.name });
    let _ = Query::from::<User>("u").select(|u| LineSelect { name: u.name });
}
