use crate::query::Query;
#[test]
fn scratch() {
    println!(
        "{}",
        Query::from_sql("SELECT 1 FROM t")
            .unwrap()
            .to_json()
            .unwrap()
    );
}
