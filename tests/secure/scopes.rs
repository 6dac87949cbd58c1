//! Tokens that are for some queries: what they read, register and see of the rest.

use serde_json::{Value, json};
use tailwater::server::Token;

use super::support::{Site, from, put, start};

fn tokens() -> Vec<Token> {
    vec![
        Token::new("admin-s3cret").read().write(),
        Token::new("page-s3cret")
            .name("page")
            .read_queries(["top", "public-*"]),
        Token::new("team-s3cret")
            .prefix("shop")
            .read_queries(["team-*"])
            .register_queries(["team-*"]),
        Token::new("bank-s3cret")
            .prefix("bank")
            .read_queries(["*"])
            .register_queries(["*"]),
    ]
}

fn all() -> Value {
    json!({"from": from("order", "o")})
}

async fn names(site: &Site) -> Vec<String> {
    let answer = site.get("/v1/query").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let list = answer.json();
    let queries = list["queries"].as_array().unwrap().iter();
    queries
        .map(|query| query["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reads_and_registers_the_names_it_is_for() {
    let (server, nobody) = start(tokens()).await;
    let [admin, page, team, bank] =
        ["admin", "page", "team", "bank"].map(|name| nobody.with_token(&format!("{name}-s3cret")));
    for name in ["top", "public-a", "secret"] {
        assert_eq!(admin.register(name, all()).await.status, 201);
    }
    admin
        .append(json!([put("order", "1", json!({"n": 1}))]))
        .await;
    // What each may read.
    for (site, name, status) in [
        (&nobody, "top", 401),
        (&page, "top", 200),
        (&page, "public-a", 200),
        (&page, "secret", 403),
        (&page, "topic", 403),
        (&page, "public-none", 404),
        (&team, "top", 403),
        (&bank, "top", 403),
    ] {
        for path in [
            format!("/v1/query/{name}/rows"),
            format!("/v1/query/{name}?offset=-1"),
            format!("/v1/changes?query={name}&offset=-1"),
        ] {
            assert_eq!(site.get(&path).await.status, status, "{path}");
        }
    }
    assert_eq!(
        page.get("/v1/changes?query=top&query=secret&offset=-1")
            .await
            .status,
        403
    );
    assert_eq!(names(&page).await, ["public-a", "top"]);
    assert_eq!(names(&team).await, [""; 0]);
    assert_eq!(names(&admin).await, ["public-a", "secret", "top"]);
    // Not the stream behind them, nor what is known of all.
    for path in [
        "/v1/stream/shop/orders?offset=-1",
        "/metrics",
        "/v1/dead-letters",
    ] {
        assert_eq!(page.get(path).await.status, 403, "{path}");
        assert_eq!(team.get(path).await.status, 403, "{path}");
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    assert_eq!(page.get("/v1/dashboard").await.status, 200);
    assert_eq!(nobody.get("/v1/dashboard").await.status, 401);
    let append = team
        .send("POST", "/v1/stream/shop/orders", &[], Some(&json!([])))
        .await;
    assert_eq!(append.status, 403);
    let fork = [("stream-forked-from", "/v1/stream/shop/orders")];
    assert_eq!(
        team.send("PUT", "/v1/stream/shop/copy", &fork, None)
            .await
            .status,
        403
    );

    // What each may register, replace and drop.
    assert_eq!(page.register("public-b", all()).await.status, 403);
    assert_eq!(team.register("top", all()).await.status, 403);
    assert_eq!(team.register("team-a", all()).await.status, 201);
    assert_eq!(team.get("/v1/query/team-a/rows").await.status, 200);
    assert_eq!(names(&team).await, ["team-a"]);
    let replace = json!({"query": {"from": from("order", "o"), "limit": 1}});
    assert_eq!(
        team.send("PUT", "/v1/query/team-a", &[], Some(&replace))
            .await
            .status,
        200
    );
    assert_eq!(
        team.send("PUT", "/v1/query/secret", &[], Some(&replace))
            .await
            .status,
        403
    );
    assert_eq!(
        team.send("DELETE", "/v1/query/secret", &[], None)
            .await
            .status,
        403
    );
    assert_eq!(
        team.send("DELETE", "/v1/query/team-a", &[], None)
            .await
            .status,
        204
    );
    // What was dropped is told to those who could read it alone.
    assert_eq!(team.get("/v1/query/team-a?offset=now").await.status, 200);
    assert_eq!(page.get("/v1/query/team-a?offset=now").await.status, 403);
    // Only over the streams that it is for, and nothing that is elsewhere.
    for (source, status) in [
        ("shop/orders", 201),
        ("bank/accounts", 403),
        ("shopping", 403),
        ("http://127.0.0.1:1/x", 403),
        ("shop/../bank/accounts", 400),
    ] {
        let body = json!({"name": "team-b", "query": all(), "source": source});
        let answer = team.send("POST", "/v1/query", &[], Some(&body)).await;
        assert_eq!(answer.status, status, "{source}: {answer:?}");
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_answer() {
    let (server, nobody) = start(tokens()).await;
    let admin = nobody.with_token("admin-s3cret");
    admin.register("top", all()).await;
    for site in [&nobody, &admin, &nobody.with_token("wrong-s3cret")] {
        for path in [
            "/",
            "/health",
            "/metrics",
            "/v1/query",
            "/v1/query/none",
            "/v1/dead-letters",
            "/v1/dashboard",
        ] {
            let answer = site.get(path).await;
            assert!(
                !format!("{answer:?}").contains("s3cret"),
                "{path}: {answer:?}"
            );
        }
    }
    let shown = format!("{:?}", tokens());
    assert!(
        !shown.contains("s3cret") && shown.contains("page"),
        "{shown}"
    );
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_names_what_a_token_may_read() {
    let folder = std::env::temp_dir().join(format!("tailwater-layout-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let layout = json!({"title": "T", "panels": [{"query": "top"}, {"query": "secret"}, {"query": "public-x"}]});
    std::fs::write(folder.join("dashboard.json"), layout.to_string()).unwrap();
    for name in ["top", "secret", "public-x"] {
        std::fs::write(folder.join(format!("{name}.json")), all().to_string()).unwrap();
    }
    let queries = tailwater::server::Queries::new()
        .stream("shop/orders")
        .folder(&folder);
    let server = super::support::builder()
        .tokens(tokens())
        .queries(queries)
        .start()
        .await
        .unwrap();
    let nobody = Site::at(&server);
    let panels = async |token: &str| {
        let answer = nobody.with_token(token).get("/v1/dashboard").await.json();
        let panels = answer["panels"].as_array().unwrap().iter();
        panels
            .map(|panel| panel["query"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(panels("page-s3cret").await, ["top", "public-x"]);
    assert_eq!(panels("admin-s3cret").await, ["top", "secret", "public-x"]);
    server.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_inside_asks_for_the_same_rights() {
    let (server, nobody) = start(tokens()).await;
    let [admin, page, team] =
        ["admin", "page", "team"].map(|name| nobody.with_token(&format!("{name}-s3cret")));
    assert_eq!(admin.register("top", all()).await.status, 201);
    assert_eq!(admin.register("secret", all()).await.status, 201);
    let text = json!({"text": "SELECT * FROM \"order\""});
    let tried = admin.send("POST", "/v1/trial", &[], Some(&text)).await;
    assert_eq!(tried.status, 201, "{tried:?}");
    let trial = tried.json()["name"].as_str().unwrap().to_owned();
    for (site, path, status) in [
        (&page, "/v1/query/top/explain?analyze=true&seconds=0.1", 200),
        (&page, "/v1/query/secret/explain", 403),
        (&page, "/v1/query/secret/explain?analyze=true", 403),
        (&page, &format!("/v1/query/{trial}/rows"), 403),
        (&page, &format!("/v1/query/{trial}/explain"), 403),
        (&page, "/v1/collections", 403),
        (&page, "/v1/file?name=secret", 403),
        (&admin, "/v1/collections", 200),
    ] {
        assert_eq!(site.get(path).await.status, status, "{path}");
    }
    // Who may register some names may not see a whole source by trying out.
    for path in ["/v1/check", "/v1/trial"] {
        for site in [&page, &team] {
            let answer = site.send("POST", path, &[], Some(&text)).await;
            assert_eq!(answer.status, 403, "{path}: {answer:?}");
        }
    }
    server.shutdown().await;
}
