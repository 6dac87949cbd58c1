//! The servers that the client is tested against. Each runs once for all tests of a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tailwater::server::Server;
use tailwater::stream::DurableStream;
use tokio::runtime::Runtime;

use super::support::quick;
use crate::peers::process::Peer;
use crate::support::free_address;

/// The path of the binary of the crate `durable-streams`, to test against it too.
const BINARY: &str = "TAILWATER_DURABLE_STREAMS_BIN";

#[derive(Debug)]
pub(super) struct ServerUnderTest {
    url: String,
    /// Whether JSON messages keep the text they came in. The reference server writes numbers anew,
    /// as JavaScript's.
    pub(super) keeps_text: bool,
}

impl ServerUnderTest {
    /// The reference server, from npm.
    pub(super) fn reference() -> Option<&'static ServerUnderTest> {
        static SERVER: LazyLock<(ServerUnderTest, Peer)> = LazyLock::new(|| {
            let mut peer = Peer::start("streams/reference-server.mjs");
            let server = ServerUnderTest {
                url: peer.hear()["url"].as_str().expect("a URL").to_owned(),
                keeps_text: false,
            };
            (server, peer)
        });
        Some(&SERVER.0)
    }

    /// The embedded server, in memory.
    pub(super) fn embedded() -> Option<&'static ServerUnderTest> {
        // It runs on a runtime of its own, as each test's ends with the test.
        static SERVER: LazyLock<(ServerUnderTest, Server, Runtime)> = LazyLock::new(|| {
            let runtime = Runtime::new().expect("a runtime");
            let builder = Server::builder().long_poll_timeout(Duration::from_millis(500));
            // On a thread of its own, as a runtime cannot wait within another.
            let started = std::thread::scope(|scope| {
                let start = scope.spawn(|| runtime.block_on(builder.start()));
                start.join().expect("no panic")
            });
            let server = started.expect("a free port");
            let under_test = ServerUnderTest {
                url: server.url(),
                keeps_text: true,
            };
            (under_test, server, runtime)
        });
        Some(&SERVER.0)
    }

    /// The protocol's authors' server in Rust, if the environment says where it is.
    pub(super) fn binary() -> Option<&'static ServerUnderTest> {
        static SERVER: LazyLock<Option<(ServerUnderTest, Child)>> =
            LazyLock::new(|| std::env::var(BINARY).ok().map(|path| start_binary(&path)));
        SERVER.as_ref().map(|(server, _)| server)
    }

    /// The URL of a stream that nobody has used.
    pub(super) fn url(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{}/v1/stream/test-{number}", self.url)
    }

    /// A handle of a stream that nobody has used.
    pub(super) fn stream(&self) -> DurableStream {
        quick(&self.url())
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        let authority = self.url.trim_start_matches("http://");
        authority.parse().expect("an address")
    }

    /// Has the reference server do something wrong with the next requests to a stream.
    pub(super) async fn inject(&self, stream: &str, mut fault: Value) {
        let path = reqwest::Url::parse(stream).unwrap().path().to_owned();
        fault["path"] = path.into();
        let request = reqwest::Client::new()
            .post(format!("{}/_test/inject-error", self.url))
            .body(fault.to_string());
        let answer = request.send().await.expect("the server is there");
        assert!(answer.status().is_success(), "{fault}: {answer:?}");
    }
}

/// The shell that runs the server ends it when its own input ends, which is when this process does.
/// It has to be killed: it ignores other signals while connections are open.
const SHELL: &str = r#"
    folder=$(mktemp -d)
    "$0" --port "$1" --data-dir "$folder" --long-poll-timeout-ms 500 \
        --wal-shards 1 --wal-segment-bytes 4194304 </dev/null &
    cat >/dev/null
    kill -9 $!
    rm -rf "$folder"
"#;

fn start_binary(path: &str) -> (ServerUnderTest, Child) {
    // It does not tell which port it got, so it has to be told one.
    let address = free_address();
    let port = address.rsplit(':').next().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", SHELL, path, port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("text");
    assert!(line.contains("listening on"), "{path} does not run: {line}");
    let server = ServerUnderTest {
        url: format!("http://127.0.0.1:{port}"),
        keeps_text: true,
    };
    (server, child)
}
