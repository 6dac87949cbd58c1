//! A server that answers as a test tells it, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::http1::Request;
use super::support::in_time;

/// What is sent back.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    head: String,
    body: Vec<u8>,
    /// Without a length the body ends with the connection.
    sized: bool,
    /// Only so many bytes of the whole are sent, and the connection is closed.
    cut: Option<usize>,
    byte_by_byte: bool,
    hold: Option<Duration>,
}

impl Reply {
    /// An answer without content.
    pub(super) fn status(status: u16) -> Reply {
        Reply {
            head: format!("HTTP/1.1 {status} Made By Hand\r\n"),
            sized: true,
            ..Reply::default()
        }
    }

    /// An answer that ends at an offset.
    pub(super) fn at(status: u16, offset: impl ToString) -> Reply {
        Reply::status(status).header("stream-next-offset", &offset.to_string())
    }

    /// All there is of a stream, up to an offset.
    pub(super) fn up_to_date(content_type: &str, offset: impl ToString) -> Reply {
        Reply::at(200, offset)
            .header("content-type", content_type)
            .header("stream-up-to-date", "true")
    }

    /// All there is of a JSON stream, up to an offset.
    pub(super) fn json(offset: impl ToString, array: &str) -> Reply {
        Reply::up_to_date("application/json", offset).body(array)
    }

    /// The beginning of an event stream, which is closed behind it.
    pub(super) fn events(text: &str) -> Reply {
        Reply {
            sized: false,
            ..Reply::status(200)
                .header("content-type", "text/event-stream")
                .close()
                .body(text)
        }
    }

    /// The connection is closed without an answer.
    pub(super) fn nothing() -> Reply {
        Reply::status(200).cut(0)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Reply {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(super) fn body(mut self, body: impl AsRef<[u8]>) -> Reply {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(super) fn cut(mut self, bytes: usize) -> Reply {
        self.cut = Some(bytes);
        self
    }

    pub(super) fn byte_by_byte(mut self) -> Reply {
        self.byte_by_byte = true;
        self
    }

    /// Stays silent behind the content, until the client closes the connection.
    pub(super) fn hold(self) -> Reply {
        self.hold_for(Duration::MAX)
    }

    /// Stays silent for so long, and closes the connection then.
    pub(super) fn hold_for(mut self, time: Duration) -> Reply {
        self.hold = Some(time);
        self
    }

    /// The bytes on the wire, before they are cut.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let length = match self.sized && !self.head.starts_with("HTTP/1.1 204") {
            true => format!("content-length: {}\r\n", self.body.len()),
            false => String::new(),
        };
        [self.head.as_bytes(), length.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// Closes the connection behind it.
    pub(super) fn close(self) -> Reply {
        self.header("connection", "close")
    }

    fn closes(&self) -> bool {
        !self.sized
            || self.hold.is_some()
            || self.cut.is_some()
            || self.head.contains("connection: close")
    }

    /// Sends it. False if the connection is of no further use.
    async fn send(&self, connection: &mut BufReader<TcpStream>) -> bool {
        let mut bytes = self.to_bytes();
        bytes.truncate(self.cut.unwrap_or(usize::MAX));
        let sent = match self.byte_by_byte {
            true => drip(connection.get_mut(), &bytes).await,
            false => connection.get_mut().write_all(&bytes).await,
        };
        if let (Some(time), Ok(())) = (self.hold, &sent) {
            let _ = tokio::time::timeout(time, connection.read_u8()).await;
        }
        sent.is_ok() && !self.closes()
    }
}

/// Writes byte by byte, and lets the reader run between.
pub(super) async fn drip(connection: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        connection.write_all(&[*byte]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The server. It is there until the test's runtime ends.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Of a stream on it.
    pub(super) url: String,
    asked: watch::Sender<Vec<Request>>,
    /// How many connections have ended.
    ended: watch::Sender<usize>,
}

impl Server {
    /// Answers each request by what the function makes of it and of how many came before it.
    pub(super) async fn start(
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = watch::Sender::new(Vec::new());
        let ended = watch::Sender::new(0);
        let (all, all_ended, answer) = (asked.clone(), ended.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let serving = serve(connection, all.clone(), answer.clone());
                let ended = all_ended.clone();
                tokio::spawn(async move {
                    serving.await;
                    ended.send_modify(|ended| *ended += 1);
                });
            }
        });
        Server {
            address,
            url: format!("http://{address}/made/by/hand"),
            asked,
            ended,
        }
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Request> {
        self.asked.borrow().clone()
    }

    /// The `live` parameters of what it was asked so far.
    pub(super) fn asked_live(&self) -> Vec<String> {
        self.asked().iter().map(Request::live).collect()
    }

    /// Waits until it was asked so often.
    pub(super) async fn wait_for(&self, requests: usize) {
        let mut all = self.asked.subscribe();
        let enough = in_time(all.wait_for(|all| all.len() >= requests)).await;
        enough.expect("the server runs");
    }

    /// Waits until a connection has ended.
    pub(super) async fn wait_for_an_end(&self) {
        let mut ended = self.ended.subscribe();
        let one = in_time(ended.wait_for(|ended| *ended > 0)).await;
        one.expect("the server runs");
    }
}

async fn serve(
    connection: TcpStream,
    all: watch::Sender<Vec<Request>>,
    answer: Arc<impl Fn(usize, &Request) -> Reply>,
) {
    connection.set_nodelay(true).unwrap();
    let mut connection = BufReader::new(connection);
    while let Some(request) = Request::read(&mut connection).await {
        let mut number = 0;
        all.send_modify(|all| {
            number = all.len();
            all.push(request.clone());
        });
        let mut reply = answer(number, &request);
        if request.method == "HEAD" {
            reply.body.clear();
        }
        if request.header("connection") == Some("close") && !reply.closes() {
            reply = reply.close();
        }
        if !reply.send(&mut connection).await {
            return;
        }
    }
}
