//! What the server's tests share: short requests, whole answers, directories of their own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use tailwater::server::Server;

/// A directory that is removed afterwards.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tailwater-streams-{}-{number}", std::process::id());
        Dir(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A response that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The offset to go on from.
    pub(super) fn next(&self) -> &str {
        self.header("stream-next-offset")
            .unwrap_or_else(|| panic!("no offset: {self:?}"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

/// A client of the streams below a URL.
#[derive(Clone)]
pub(super) struct Streams {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Streams {
    pub(super) fn of(server: &Server) -> Streams {
        Streams::at(&server.url())
    }

    pub(super) fn at(url: &str) -> Streams {
        let base = format!("{url}/v1/stream/");
        Streams {
            client: Client::new(),
            base,
            token: None,
        }
    }

    pub(super) fn with_token(&self, token: &str) -> Streams {
        Streams {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub(super) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request with headers and a body.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request(method, path);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        send(request.body(body)).await
    }

    pub(super) async fn put(&self, path: &str, content_type: &str, body: &str) -> Answer {
        self.ask(
            "PUT",
            path,
            &[("content-type", content_type)],
            body.to_owned(),
        )
        .await
    }

    pub(super) async fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        self.ask(
            "POST",
            path,
            &[("content-type", content_type)],
            body.to_owned(),
        )
        .await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// The whole content of a stream, chunk by chunk; JSON without the brackets.
    pub(super) async fn content(&self, path: &str) -> String {
        let mut offset = "-1".to_owned();
        let mut parts = Vec::new();
        let mut json = false;
        loop {
            let answer = self.get(&format!("{path}?offset={offset}")).await;
            assert_eq!(answer.status, 200, "{path} {offset}: {answer:?}");
            json = json || answer.header("content-type") == Some("application/json");
            let part = answer.body.as_str();
            let part = if json { &part[1..part.len() - 1] } else { part };
            if !part.is_empty() {
                parts.push(part.to_owned());
            }
            if answer.has("stream-up-to-date") {
                return parts.join(if json { "," } else { "" });
            }
            assert!(
                answer.next() > offset.as_str() || offset == "-1",
                "{answer:?}"
            );
            offset = answer.next().to_owned();
        }
    }
}

pub(super) async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.unwrap()
}

pub(super) async fn try_send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        body: response.text().await?,
    })
}
