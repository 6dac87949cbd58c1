//! What statements become: `lowering.txt` has statements, each with its query in JSON below.
//!
//! With `TAILWATER_BLESS=1` the file is written anew.

use std::path::Path;

use tailwater::plan::Plan;
use tailwater::query::Query;
use tailwater::schema::Catalog;

#[test]
fn statements_become_queries() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sql/lowering.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    for pair in text.split("\n\n").filter(|pair| !pair.trim().is_empty()) {
        let sql = pair.trim().lines().next().unwrap();
        let query = Query::from_sql(sql).unwrap_or_else(|e| panic!("{e}"));
        let json = query.to_json().unwrap();
        assert_eq!(Query::from_json(&json).as_ref(), Ok(&query), "{sql}");
        let plan = Plan::new(&query, &Catalog::open());
        assert!(plan.is_ok(), "{sql}: {plan:?}");
        written += &format!("{sql}\n{json}\n\n");
    }
    let written = format!("{}\n", written.trim_end());
    if std::env::var("TAILWATER_BLESS").is_ok() {
        std::fs::write(&path, written).unwrap();
    } else if written != text {
        let differs = written.lines().zip(text.lines()).find(|(a, b)| a != b);
        panic!("lowering.txt differs: {differs:#?}");
    }
}
