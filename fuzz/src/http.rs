//! Bytes as they come over a connection.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use tailwater::server::{Limits, Queries, Server, Token};
use tokio::runtime::Runtime;

/// What a server holds is forgotten after so many inputs.
const ROUNDS: usize = 500;

struct Site {
    runtime: Runtime,
    server: Option<Server>,
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
            server: Some(server),
            rounds: 0,
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

/// A request, or what looks like one: every answer is one of HTTP, and none says that it is the
/// server's fault.
pub fn http(data: &[u8]) {
    thread_local! {
        static SITE: RefCell<Option<Site>> = const { RefCell::new(None) };
    }
    SITE.with_borrow_mut(|site| {
        if site.as_ref().is_some_and(|site| site.rounds >= ROUNDS) {
            *site = None;
        }
        let site = site.get_or_insert_with(Site::new);
        site.rounds += 1;
        let server = site.server.as_ref().expect("it runs");
        let answer = ask(server, data);
        if !answer.is_empty() && !data.starts_with(b"PRI * HTTP/2") {
            assert!(
                answer.starts_with(b"HTTP/1."),
                "{}",
                String::from_utf8_lossy(&answer)
            );
            let status = answer.get(9..12).unwrap_or_default();
            assert_ne!(status, b"500", "{}", String::from_utf8_lossy(&answer));
        }
        let health = ask(
            server,
            b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        );
        assert!(health.starts_with(b"HTTP/1.1 200 "), "the server is gone");
    });
}

fn ask(server: &Server, data: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    // It may have had enough before all is sent.
    let _ = stream.write_all(data);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("no end of the answer")
        }
        _ => answer,
    }
}
