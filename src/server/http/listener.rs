//! Connections: taken up to a bound, served, and ended when the server is to end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::clients::{Client, Clients, Peer, What};
use super::idle::WriteTimeout;
use super::tls::Acceptor;
use crate::server::Limits;

/// What is still running may take so long when the server is to end.
const GRACE: Duration = Duration::from_secs(10);
/// So many requests run at once on a connection of HTTP/2.
const STREAMS: u32 = 200;
/// So many connections at once are told that there are too many.
const REFUSALS: usize = 64;
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-type: application/problem+json\r\ncontent-length: 139\r\n\r\n\
    {\"status\":429,\"code\":\"too-many-connections\",\
    \"detail\":\"the address has as many connections as it may\",\
    \"hint\":\"use one for several requests\"}";

/// Where connections come from, and what is made of them.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    /// How they are encrypted, if they are.
    pub(crate) tls: Option<Acceptor>,
    /// Whether only the server itself connects, which no limit of clients is for.
    pub(crate) own: bool,
}

/// Serves connections until `stop` turns true, and then those that are there to their end.
pub(crate) async fn serve(
    listener: Listener,
    router: Router,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    let Listener { socket, tls, own } = listener;
    let clients = Clients::default();
    let builder = Arc::new(builder(limits));
    let room = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Such as too many open files: it passes, but not at once.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let counted = match own {
            true => None,
            false => {
                let most = limits.connections_per_client;
                Some(clients.take(Client::Address(peer), What::Connections, most))
            }
        };
        let refusal = match (&counted, room.clone().try_acquire_owned()) {
            (Some(None), _) => Err(TOO_MANY),
            (_, Err(_)) => Err(REFUSAL),
            (_, Ok(permit)) => Ok(permit),
        };
        let permit = match refusal {
            Ok(permit) => permit,
            // Who expects an encrypted answer understands no other.
            Err(_) if tls.is_some() => continue,
            Err(answer) => {
                if let Ok(permit) = refusals.clone().try_acquire_owned() {
                    tokio::spawn(async move {
                        refuse(stream, answer).await;
                        drop(permit);
                    });
                }
                continue;
            }
        };
        // Events are small and late enough.
        let _ = stream.set_nodelay(true);
        let service = Named {
            router: TowerToHyperService::new(router.clone()),
            peer: (!own).then_some(Peer(peer)),
        };
        let serving = Serving {
            builder: builder.clone(),
            watcher: graceful.watcher(),
            service,
            write_timeout: limits.write_timeout,
        };
        let (tls, hello) = (tls.clone(), limits.header_timeout);
        tokio::spawn(async move {
            match tls {
                None => serving.run(stream).await,
                Some(tls) => match timeout(hello, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serving.run(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a connection was not encrypted"),
                    Err(_) => tracing::debug!("a connection was not encrypted in time"),
                },
            }
            drop((permit, counted));
        });
    }
    drop(socket);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still busy when the server ended");
    }
}

/// What is done with a connection once bytes come.
struct Serving {
    builder: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
    service: Named,
    write_timeout: Duration,
}

impl Serving {
    async fn run(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let io = TokioIo::new(WriteTimeout::new(stream, self.write_timeout));
        let connection = self.builder.serve_connection(io, self.service).into_owned();
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// The routes, for requests that come from an address.
struct Named {
    router: TowerToHyperService<Router>,
    peer: Option<Peer>,
}

impl Service<Request<Incoming>> for Named {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        self.router.call(request)
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        // hyper takes no less.
        .max_buf_size(limits.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}

/// Tells a client that there are too many. What it sends is read first, as otherwise it may
/// not see the answer.
async fn refuse(mut stream: TcpStream, answer: &'static [u8]) {
    let _ = timeout(Duration::from_secs(1), async {
        stream.readable().await?;
        let _ = stream.try_read(&mut [0; 8192]);
        stream.write_all(answer).await?;
        stream.shutdown().await
    })
    .await;
}
