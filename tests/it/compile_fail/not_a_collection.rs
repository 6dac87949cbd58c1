use tailwater::query::Query;

struct User;

fn main() {
    let _ = Query::from::<User>("u");
}
