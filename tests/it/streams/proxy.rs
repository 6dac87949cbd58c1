//! A proxy that does to each connection what a test has planned: between the client and a server,
//! so that their conversation breaks at exactly known places.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::hand_made::{Reply, drip};
use super::http1::Request;

/// What happens on a connection. There is one request on each.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Forward,
    /// Closes after so many bytes of the answer.
    Cut(usize),
    /// Waits after so many bytes of the answer.
    Pause(usize, Duration),
    /// Every byte comes by itself.
    ByteByByte,
    /// Sends the request twice and gives back the second answer, as a middlebox that repeats does.
    Twice,
    /// Lets the server take the request, and loses the answer.
    LoseAnswer,
    /// Answers in the server's place.
    Answer(Reply),
    /// Closes before the request can be sent.
    Refuse,
}

impl Action {
    /// 429 or 5xx, with the wish to be asked again at once.
    pub(super) fn failure(status: u16) -> Action {
        Action::Answer(Reply::status(status).header("retry-after", "0"))
    }
}

/// It takes connections until it is dropped.
pub(super) struct Proxy {
    address: SocketAddr,
    plan: Arc<Mutex<VecDeque<Action>>>,
    seen: watch::Sender<Vec<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came through a connection.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) request: Request,
    /// How long the answer was, as far as it went to the client.
    pub(super) answer: usize,
}

impl Proxy {
    /// Starts one in front of a server. Connections behind the end of the plan are forwarded.
    pub(super) async fn start(server: SocketAddr, plan: impl IntoIterator<Item = Action>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = watch::Sender::new(Vec::new());
        let plan: VecDeque<Action> = plan.into_iter().collect();
        let plan = Arc::new(Mutex::new(plan));
        let (all, actions) = (seen.clone(), plan.clone());
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let action = actions.lock().unwrap().pop_front();
                let action = action.unwrap_or(Action::Forward);
                tokio::spawn(serve(client, server, action, all.clone()));
            }
        });
        Proxy {
            address,
            plan,
            seen,
            task,
        }
    }

    /// Begins again with another plan.
    pub(super) fn restart(&self, plan: impl IntoIterator<Item = Action>) {
        *self.plan.lock().unwrap() = plan.into_iter().collect();
        self.seen.send_replace(Vec::new());
    }

    /// The address of a stream by way of the proxy.
    pub(super) fn url(&self, stream: &str) -> String {
        let mut url = reqwest::Url::parse(stream).unwrap();
        url.set_ip_host(self.address.ip()).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// The connections so far, in the order of their requests.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }
}

async fn serve(
    client: TcpStream,
    server: SocketAddr,
    action: Action,
    seen: watch::Sender<Vec<Seen>>,
) {
    if matches!(action, Action::Refuse) {
        return;
    }
    client.set_nodelay(true).unwrap();
    let mut client = BufReader::new(client);
    let Some(request) = Request::read(&mut client).await else {
        return;
    };
    let mut place = 0;
    seen.send_modify(|all| {
        place = all.len();
        all.push(Seen {
            request: request.clone(),
            answer: 0,
        });
    });
    let client = client.get_mut();
    if let Action::Answer(reply) = action {
        let _ = client.write_all(&reply.close().to_bytes()).await;
        return;
    }
    let Ok(mut upstream) = ask(server, &request).await else {
        return;
    };
    if matches!(action, Action::Twice | Action::LoseAnswer) {
        let _ = upstream.read_to_end(&mut Vec::new()).await;
        if matches!(action, Action::LoseAnswer) {
            return;
        }
        upstream = ask(server, &request).await.expect("the server is there");
    }
    let mut buffer = [0; 16 * 1024];
    let mut sent = 0;
    while let Ok(length @ 1..) = upstream.read(&mut buffer).await {
        let mut piece = &buffer[..length];
        if let Action::Cut(at) = action {
            piece = &piece[..length.min(at - sent)];
        }
        sent += piece.len();
        seen.send_modify(|all| {
            // Nothing is left of it after a restart.
            if let Some(seen) = all.get_mut(place) {
                seen.answer = sent;
            }
        });
        let done = match action {
            Action::ByteByByte => drip(client, piece).await,
            Action::Pause(at, wait) if (sent - piece.len()..sent).contains(&at) => {
                let (before, behind) = piece.split_at(at + piece.len() - sent);
                let first = client.write_all(before).await;
                tokio::time::sleep(wait).await;
                match first {
                    Ok(()) => client.write_all(behind).await,
                    error => error,
                }
            }
            _ => client.write_all(piece).await,
        };
        if done.is_err() || matches!(action, Action::Cut(at) if sent == at) {
            return;
        }
    }
}

async fn ask(server: SocketAddr, request: &Request) -> std::io::Result<TcpStream> {
    let mut upstream = TcpStream::connect(server).await?;
    upstream.set_nodelay(true)?;
    upstream.write_all(&request.to_bytes_with_close()).await?;
    Ok(upstream)
}
