//! Bytes as they come over a connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tailwater::server::{Limits, Queries, Server, Token};
use tokio::runtime::Runtime;

/// What a server holds is forgotten after so many inputs.
const ROUNDS: usize = 500;

struct Site {
    runtime: Runtime,
    server: Server,
    rounds: usize,
}

impl Site {
    fn new() -> Site {
        let runtime = Runtime::new().expect("a runtime");
        let mut limits = Limits::default();
        limits.body = 1 << 20;
        limits.header_timeout = Duration::from_millis(200);
        // Paths and queries that are there, so that more than errors is tried.
        let queries = Queries::new().stream("s").file(
            "q.json",
            r#"{"from":{"type":"collectionRef","collection":"t","alias":"t"}}"#,
        );
        let starting = Server::builder()
            .long_poll_timeout(Duration::from_millis(1))
            .sse_lifetime(Duration::from_millis(1))
            .limits(limits)
            // Sources that are elsewhere need a token for all streams; nobody has one.
            .tokens([Token::new("x").prefix("s").read().write()])
            .queries(queries)
            .start();
        let server = runtime.block_on(starting).expect("a server");
        Site {
            runtime,
            server,
            rounds: 0,
        }
    }
}

/// A request, or what looks like one: every answer is one of HTTP, and none says that it is the
/// server's fault.
pub fn http(data: &[u8]) {
    // A server that is a static is not there to be ended with the thread.
    static SITE: Mutex<Option<Site>> = Mutex::new(None);
    let mut site = SITE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(old) = site.take_if(|site| site.rounds >= ROUNDS) {
        old.runtime.block_on(old.server.shutdown());
    }
    let site = site.get_or_insert_with(Site::new);
    site.rounds += 1;
    let server = &site.server;
    let answer = ask(server, data, Duration::from_millis(50));
    if !answer.is_empty() && !data.starts_with(b"PRI * HTTP/2") {
        assert!(
            answer.starts_with(b"HTTP/1."),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        let status = answer.get(9..12).unwrap_or_default();
        assert_ne!(status, b"500", "{}", String::from_utf8_lossy(&answer));
    }
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let health = ask(server, request, Duration::from_secs(30));
    assert!(health.starts_with(b"HTTP/1.1 200 "), "the server is gone");
}

/// What comes back until nothing does for so long.
fn ask(server: &Server, data: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(patience)).expect("a timeout");
    // It may have had enough before all is sent.
    let _ = stream.write_all(data);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
