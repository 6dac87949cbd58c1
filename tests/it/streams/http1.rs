//! As much of HTTP/1.1 as servers and proxies that are made by hand need.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// The names are in small letters.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; `None` if there is no whole one.
    pub(super) async fn read(connection: &mut BufReader<TcpStream>) -> Option<Request> {
        let first = line(connection).await?;
        let mut words = first.split(' ');
        let mut request = Request {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = line(connection).await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            let header = (name.to_ascii_lowercase(), value.trim().to_owned());
            request.headers.push(header);
        }
        let length = request.header("content-length").unwrap_or("0");
        request.body = vec![0; length.parse().ok()?];
        connection.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter of the query.
    pub(super) fn param(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://server{}", self.target)).ok()?;
        let found = url.query_pairs().find(|(n, _)| n == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// The `live` parameter, or "" where there is none.
    pub(super) fn live(&self) -> String {
        self.param("live").unwrap_or_default()
    }

    /// The request as it came, but asking the server to close the connection after the answer.
    pub(super) fn to_bytes_with_close(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            if name != "connection" {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str("connection: close\r\n\r\n");
        [text.as_bytes(), &self.body].concat()
    }
}

/// A line without its end.
async fn line(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    Some(line.strip_suffix("\r\n")?.to_owned())
}
