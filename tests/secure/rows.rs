//! Tokens that are for some rows: whatever they ask, they see no other.

use serde_json::{Value, json};
use tailwater::query::col;
use tailwater::server::{Queries, Server, Token};

use super::support::{Site, builder, from, func, path, put, start, val};

fn tenant(name: &'static str) -> Token {
    Token::new(name)
        .name(name)
        .read_queries([format!("{name}-*"), "shared".to_owned()])
        .register_queries([format!("{name}-*")])
        .rows("order", [col("order.tenant").eq(name)])
        .rows("*", [col("*.tenant").eq(name)])
}

/// A server with rows of two tenants, and what asks as its administrator, as `acme` and as `evil`.
async fn site() -> (Server, [Site; 3]) {
    let admin = Token::new("admin").read().write();
    let (server, nobody) = start(vec![admin, tenant("acme"), tenant("evil")]).await;
    let sites = ["admin", "acme", "evil"].map(|name| nobody.with_token(name));
    let shared = json!({"from": from("order", "o")});
    assert_eq!(sites[0].register("shared", shared).await.status, 201);
    let rows = (0..20).flat_map(|i| {
        let who = if i % 2 == 0 { "acme" } else { "evil" };
        let order = json!({"id": i, "tenant": who, "text": format!("{who}-order"), "up": i - 2, "item": i % 4});
        let owner = if i % 4 < 2 { "acme" } else { "evil" };
        let item = json!({"id": i % 4, "tenant": owner, "text": format!("{owner}-item")});
        [put("order", &i.to_string(), order), put("item", &(i % 4).to_string(), item)]
    });
    sites[0].append(Value::Array(rows.collect())).await;
    sites[0].await_rows("shared", 20).await;
    (server, sites)
}

/// All of a query's answers that a token gets: rows, the stream, the list.
async fn everything(site: &Site, name: &str) -> String {
    let mut all = String::new();
    for path in [
        format!("/v1/query/{name}/rows"),
        format!("/v1/query/{name}?offset=-1"),
        format!("/v1/changes?query={name}&offset=-1"),
    ] {
        let answer = site.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        all += &answer.body;
    }
    all
}

/// The ways to ask for all orders.
fn attempts() -> Vec<Value> {
    let order = from("order", "o");
    let whole = json!({"from": order});
    let sub = |query: Value| json!({"type": "queryRef", "alias": "q", "query": query});
    let same = || func("eq", &[path("o.item"), path("i.id")]);
    let item = from("item", "i");
    let other = from("order", "p");
    let joined = func("eq", &[path("o.id"), path("p.id")]);
    // What the server makes of the collection, with another condition in the place of the token's.
    let forged = |condition: Value| {
        let query = json!({"from": from("order", "order"), "where": [condition]});
        json!({"from": {"type": "queryRef", "alias": "o", "query": query}})
    };
    let mut all = vec![
        whole.clone(),
        json!({"from": from("order", "order")}),
        json!({"from": order, "where": [func("eq", &[path("o.tenant"), val("acme")])]}),
        json!({"from": order, "where": [func("or", &[val(true), func("eq", &[path("o.tenant"), val("evil")])])]}),
        json!({"from": sub(whole.clone())}),
        json!({"from": sub(json!({"from": sub(json!({"from": sub(whole.clone())}))}))}),
        forged(val(true)),
        forged(func("eq", &[path("order.tenant"), val("acme")])),
        forged(func(
            "or",
            &[func("eq", &[path("order.tenant"), val("evil")]), val(true)],
        )),
        json!({"from": {"type": "unionAll", "queries": [whole, json!({"from": item})]}}),
        json!({"from": {"type": "unionFrom", "sources": [order, item]}}),
        json!({"from": order, "select": {"rows": {"type": "includesSubquery", "materialization": "array",
            "query": {"from": other, "select": {"t": path("p.text")}}}}}),
        json!({"from": order, "select": {"rows": {"type": "includesSubquery", "materialization": "array",
            "query": {"from": other}, "correlationField": path("o.item"), "childCorrelationField": path("p.item")}}}),
        json!({"from": order, "select": {"c": {"type": "conditionalSelect", "branches": [{"condition": val(true), "value":
            {"rows": {"type": "includesSubquery", "materialization": "singleton", "query": {"from": other}}}}]}}}),
        json!({"from": order, "groupBy": [path("o.item")], "select": {"all": {"type": "agg", "name": "arrayAgg", "args": [path("o.text")]}}}),
        json!({"from": order, "select": {"all": {"type": "agg", "name": "arrayAgg", "args": [path("o.text")]}}}),
        json!({"from": sub(json!({"from": order})), "select": {"text": path("q.text"), "tenant": path("q.tenant")}}),
        json!({"from": {"type": "queryRef", "alias": "q", "query": {"from": order}, "over": {
            "next": {"function": "lead", "args": [path("text")], "orderBy": [{"expression": path("id")}]},
            "all": {"function": "arrayAgg", "args": [path("text")], "orderBy": [{"expression": path("id")}]}}}}),
        json!({"withRecursive": {"r": {"from": {"type": "unionAll", "queries": [
            {"from": order, "select": {"id": path("o.id"), "text": path("o.text")}},
            {"from": other, "join": [{"type": "inner", "from": from("r", "r"), "on": func("eq", &[path("p.up"), path("r.id")])}],
             "select": {"id": path("p.id"), "text": path("p.text")}}]}}}, "from": from("r", "x")}),
        // A name that is a recursion in one place, and a collection in another.
        json!({"from": {"type": "unionAll", "queries": [
            {"withRecursive": {"item": {"from": {"type": "unionAll", "queries": [{"from": order, "select": {"text": path("o.text")}}]}}},
             "from": from("item", "x"), "select": {"text": path("x.text")}},
            {"from": from("item", "i"), "select": {"text": path("i.text")}}]}}),
        json!("SELECT * FROM \"order\""),
        json!("SELECT o.text, i.text AS t FROM \"order\" o FULL JOIN item i ON o.item = i.id"),
        json!(
            "SELECT text FROM \"order\" WHERE id IN (SELECT id FROM \"order\" WHERE tenant = 'evil') OR true"
        ),
        json!("WITH q AS (SELECT * FROM \"order\") SELECT * FROM q UNION ALL SELECT * FROM q"),
        json!("SELECT (SELECT max(p.text) FROM \"order\" p) AS t FROM \"order\" o"),
        json!(
            "SELECT text FROM \"order\" o WHERE NOT EXISTS (SELECT 1 FROM item i WHERE i.id = 100)"
        ),
        json!("SELECT text, lag(text) OVER (ORDER BY id) AS before FROM \"order\""),
    ];
    for kind in ["inner", "left", "right", "full", "semi", "anti"] {
        all.push(json!({"from": order, "join": [{"type": kind, "from": other, "on": joined}]}));
        all.push(json!({"from": order, "join": [{"type": kind, "from": item, "on": same()}]}));
        all.push(json!({"from": item, "join": [{"type": kind, "from": order, "on": same()}]}));
    }
    all.push(json!({"from": item, "join": [{"type": "cross", "from": order}]}));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_token_registers_shows_its_rows_alone() {
    let (server, [_, acme, evil]) = site().await;
    let (mut shown, mut count) = (0, 0);
    for (i, query) in attempts().into_iter().enumerate() {
        let name = format!("acme-{i}");
        let answer = acme.register(&name, query.clone()).await;
        if answer.status == 400 {
            // What the planner does not take shows nothing.
            continue;
        }
        assert_eq!(answer.status, 201, "{query}: {answer:?}");
        count += 1;
        let all = everything(&acme, &name).await;
        assert!(!all.contains("evil"), "{query}: {all}");
        shown += usize::from(all.contains("acme-order"));
        // The other tenant may read none of it.
        assert_eq!(
            evil.get(&format!("/v1/query/{name}/rows")).await.status,
            403
        );
    }
    assert!(
        count >= 35 && shown >= 25,
        "{shown} of {count} show something"
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_streams_that_are_not_filtered_are_not_read() {
    let (server, [admin, acme, _]) = site().await;
    assert_eq!(admin.values("shared").await.len(), 20);
    for path in [
        "/v1/query/shared/rows",
        "/v1/query/shared?offset=-1",
        "/v1/query/shared?offset=now&live=sse",
        "/v1/changes?query=shared&offset=-1",
    ] {
        let answer = acme.get(path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "other-rows"),
            "{path}"
        );
    }
    assert_eq!(
        acme.send("HEAD", "/v1/query/shared", &[], None)
            .await
            .status,
        403
    );
    for path in [
        "/v1/stream/shop/orders?offset=-1",
        "/v1/dead-letters",
        "/metrics",
    ] {
        assert_eq!(acme.get(path).await.status, 403, "{path}");
    }
    // One that an administrator made of the rows of the token is read.
    let condition = func("eq", &[path("order.tenant"), val("acme")]);
    let own = json!({"from": {"type": "queryRef", "alias": "o", "query": {"from": from("order", "order"), "where": [condition]}}});
    let answer = admin
        .send("PUT", "/v1/query/shared", &[], Some(&json!({"query": own})))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(acme.values("shared").await.len(), 10);
    // A recursion under the name of a collection would stand for other rows.
    let named = json!({"withRecursive": {"order": {"from": from("item", "i")}}, "from": from("order", "o")});
    let answer = acme.register("acme-x", named).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("withRecursive.order"), "{answer:?}");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_and_go_as_their_values_change() {
    let (server, [admin, acme, _]) = site().await;
    let query = json!({"from": from("order", "o"), "select": {"id": path("o.id")}, "orderBy": [{"expression": path("o.id")}]});
    assert_eq!(acme.register("acme-live", query).await.status, 201);
    assert_eq!(acme.values("acme-live").await.len(), 10);
    let given = json!({"id": 1, "tenant": "acme"});
    let taken = json!({"id": 2, "tenant": "evil"});
    admin
        .append(json!([put("order", "1", given), put("order", "2", taken)]))
        .await;
    let right: Vec<Value> = [0, 1, 4, 6, 8, 10, 12, 14, 16, 18]
        .map(|id| json!({"id": id}))
        .into();
    super::support::in_time(async {
        while acme.values("acme-live").await != right {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_still_filtered_after_a_restart() {
    let data = std::env::temp_dir().join(format!("tailwater-rows-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&data);
    let start = async || {
        let tokens = [Token::new("admin").read().write(), tenant("acme")];
        let queries = Queries::new().stream("shop/orders");
        let server = builder()
            .data(&data)
            .tokens(tokens)
            .queries(queries)
            .start()
            .await
            .unwrap();
        let nobody = Site::at(&server);
        (
            server,
            ["admin", "acme"].map(|name| nobody.with_token(name)),
        )
    };
    let (server, [admin, acme]) = start().await;
    assert_eq!(
        acme.register("acme-all", json!({"from": from("order", "o")}))
            .await
            .status,
        201
    );
    admin
        .append(json!([
            put("order", "1", json!({"tenant": "acme"})),
            put("order", "2", json!({"tenant": "evil"}))
        ]))
        .await;
    acme.await_rows("acme-all", 1).await;
    server.shutdown().await;
    let (server, [_, acme]) = start().await;
    acme.await_rows("acme-all", 1).await;
    assert_eq!(acme.values("acme-all").await, [json!({"tenant": "acme"})]);
    server.shutdown().await;
    std::fs::remove_dir_all(data).unwrap();
}

#[tokio::test]
async fn conditions_are_on_collections_that_the_schema_has() {
    let schema = r#"{"collections":{"orders":{"type":"order","primaryKey":"id"}}}"#;
    let start = async |collection: &str| {
        let catalog = tailwater::schema::Catalog::from_json(schema).unwrap();
        let token = Token::new("t").read_queries(["*"]);
        let token = token.rows(collection, [col(&*format!("{collection}.a")).eq(1)]);
        builder()
            .tokens([token])
            .queries(Queries::new().catalog(catalog))
            .start()
            .await
    };
    let error = start("order").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "token 1: `rows.order`: the schema has no such collection"
    );
    start("orders").await.unwrap().shutdown().await;
    start("*").await.unwrap().shutdown().await;
}
