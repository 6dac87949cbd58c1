//! Names that try to lead out of where things are.

use serde_json::json;

use super::support::{from, raw, start};

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_to_a_file() {
    let secret = format!("tailwater-{}-is-not-to-be-read", std::process::id());
    let beside = std::env::temp_dir().join(&secret);
    std::fs::write(&beside, &secret).unwrap();
    let (server, site) = start(Vec::new()).await;
    assert_eq!(
        site.register("q", json!({"from": from("t", "t")}))
            .await
            .status,
        201
    );
    let ups = [
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "..\\",
        "..%5c",
        "%252e%252e%252f",
        "..;/",
        "/",
        "%2f",
        "....//",
        "%00/",
    ];
    for up in ups {
        for base in [
            "/",
            "/assets/",
            "/assets/panels/",
            "/v1/query/",
            "/v1/query/q/",
            "/v1/stream/",
            "/v1/stream/s/",
            "/v1/",
        ] {
            for file in [&format!("tmp/{secret}"), "etc/passwd", "Cargo.toml"] {
                // The client would tidy the path up; the bytes are sent as they are.
                let path = format!("{base}{}{file}", up.repeat(8));
                let request =
                    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
                let answer = raw(&server, request.as_bytes()).await;
                assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
                for content in [&secret, "root:", "[package]"] {
                    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                    assert!(
                        !body.contains(content) || body.contains("detail"),
                        "{path}: {answer}"
                    );
                }
            }
        }
    }
    server.shutdown().await;
    std::fs::remove_file(beside).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_query_or_stream_is_a_path_of_a_file() {
    let data = std::env::temp_dir().join(format!("tailwater-paths-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).unwrap();
    let inner = data.join("inner");
    let server = super::support::builder()
        .data(&inner)
        .queries(tailwater::server::Queries::new())
        .start()
        .await
        .unwrap();
    let site = super::support::Site::at(&server);
    for name in [
        "../q",
        "..",
        ".",
        ".q",
        "a/b",
        "a\\b",
        "a\0b",
        "",
        "a%2fb",
        "C:q",
        "~q",
        "q\n",
        &"q".repeat(129),
    ] {
        let answer = site.register(name, json!({"from": from("t", "t")})).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad-name"),
            "{name:?}"
        );
    }
    for name in ["..%2fq", "%2e%2e", "a%00b"] {
        let body = json!({"query": {"from": from("t", "t")}});
        let answer = site
            .send("PUT", &format!("/v1/query/{name}"), &[], Some(&body))
            .await;
        assert!(
            matches!(answer.status, 400 | 404 | 405),
            "{name}: {answer:?}"
        );
    }
    for path in [
        "a/%2e%2e/%2e%2e/x",
        "%2e%2e/x",
        "a%2fb",
        "a//b",
        "a/",
        "%00",
    ] {
        let request = format!(
            "PUT /v1/stream/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = raw(&server, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    let source =
        json!({"name": "q", "query": {"from": from("t", "t")}, "source": "file:///etc/passwd"});
    let answer = site.send("POST", "/v1/query", &[], Some(&source)).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad-source"));
    server.shutdown().await;
    let beside: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(beside, ["inner"]);
    std::fs::remove_dir_all(data).unwrap();
}
