//! The options of a server, and its start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::auth::{Token, Tokens};
use super::http::listener::{self, Listener};
use super::http::origin::Origins;
use super::http::tls::Acceptor;
use super::http::{self, App, Options};
#[cfg(feature = "serve")]
use super::replay::{self, Replay};
#[cfg(feature = "serve")]
use super::results::{Places, Queries};
use super::streams::disk::{Disk, DiskError};
#[cfg(feature = "serve")]
use super::streams::path::StreamPath;
use super::streams::{Most, Streams};
use super::{Error, Server};

/// Streams whose time is over are removed so often.
const SWEEP: Duration = Duration::from_secs(1);

/// How much a server takes. What is beyond is refused, with a response that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a request's body, and so of an append; 16 MiB.
    pub body: usize,
    /// Bytes of a response, unless a single append is larger; 1 MiB.
    pub chunk: usize,
    /// Connections at once; 10,000.
    pub connections: usize,
    /// Connections at once from one address; 5,000. Behind a proxy all come from its address.
    pub connections_per_client: usize,
    /// Requests at once of one token, or without one of one address, without those that wait; 1,000.
    pub requests_per_client: usize,
    /// Readers that wait, by long-poll or server-sent events, of one token, or without one of one
    /// address; 5,000.
    pub readers_per_client: usize,
    /// Queries that a token has which registers them by name; 1,000.
    pub queries_per_token: usize,
    /// Bytes of a request's headers, at least 8 KiB; 32 KiB.
    pub header_bytes: usize,
    /// Headers of a request; 64.
    pub headers: usize,
    /// How long a client may take to send a request's headers; 10 seconds.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what it is sent; 30 seconds.
    pub write_timeout: Duration,
    /// Bytes of a stream's path, percent-encoded; 1024.
    pub path: usize,
    /// Streams; a million.
    pub streams: usize,
    /// Idempotent producers of a stream; 10,000.
    pub producers: usize,
    /// Bytes of memory in which the database caches what it reads; 64 MiB.
    pub disk_cache: usize,
    /// Bytes of memory in which the last appends stay, so that live readers need no disk; 64 MiB.
    pub recent: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body: 16 << 20,
            chunk: 1 << 20,
            connections: 10_000,
            connections_per_client: 5_000,
            requests_per_client: 1_000,
            readers_per_client: 5_000,
            queries_per_token: 1_000,
            header_bytes: 32 << 10,
            headers: 64,
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            path: 1024,
            streams: 1_000_000,
            producers: 10_000,
            disk_cache: 64 << 20,
            recent: 64 << 20,
        }
    }
}

/// A server that is not started yet; see [`Server::builder`].
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is started"]
pub struct ServerBuilder {
    listen: String,
    data: Option<PathBuf>,
    tokens: Vec<Token>,
    allow_public: bool,
    cors: Vec<String>,
    #[cfg(feature = "server-tls")]
    tls: Option<(PathBuf, PathBuf)>,
    long_poll: Duration,
    sse_lifetime: Duration,
    keep_alive: Duration,
    limits: Limits,
    #[cfg(feature = "serve")]
    queries: Option<Queries>,
    #[cfg(feature = "serve")]
    replay: Option<Replay>,
}

impl Default for ServerBuilder {
    fn default() -> ServerBuilder {
        ServerBuilder {
            listen: "127.0.0.1:0".to_owned(),
            data: None,
            tokens: Vec::new(),
            allow_public: false,
            cors: Vec::new(),
            #[cfg(feature = "server-tls")]
            tls: None,
            long_poll: Duration::from_secs(20),
            sse_lifetime: Duration::from_secs(60),
            keep_alive: Duration::from_secs(15),
            limits: Limits::default(),
            #[cfg(feature = "serve")]
            queries: None,
            #[cfg(feature = "serve")]
            replay: None,
        }
    }
}

impl ServerBuilder {
    /// The address and port to listen on; port 0 is any that is free. The default is
    /// `127.0.0.1:0`.
    pub fn listen(mut self, address: impl Into<String>) -> ServerBuilder {
        self.listen = address.into();
        self
    }

    /// Keeps the streams in a directory, which is made if it is missing. By default they are in
    /// memory, and gone when the server ends.
    pub fn data(mut self, directory: impl AsRef<Path>) -> ServerBuilder {
        self.data = Some(directory.as_ref().to_owned());
        self
    }

    /// Asks clients for tokens. Without any, everybody may do everything, and only this machine
    /// can connect; that includes the pages that a browser on it shows.
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = Token>) -> ServerBuilder {
        self.tokens = tokens.into_iter().collect();
        self
    }

    /// Listens on addresses that other machines can reach although there are no tokens.
    pub fn allow_public(mut self, allow: bool) -> ServerBuilder {
        self.allow_public = allow;
        self
    }

    /// Encrypts connections, with a certificate, which may be a chain, and its key, both in PEM files.
    #[cfg(feature = "server-tls")]
    pub fn tls(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> ServerBuilder {
        self.tls = Some((certificate.as_ref().to_owned(), key.as_ref().to_owned()));
        self
    }

    /// The origins whose pages may read answers, such as `https://example.org`, beside pages of this
    /// machine; `*` is all.
    pub fn cors(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> ServerBuilder {
        self.cors = origins.into_iter().map(Into::into).collect();
        self
    }

    /// How long a long-poll waits for news; 20 seconds by default.
    pub fn long_poll_timeout(mut self, timeout: Duration) -> ServerBuilder {
        self.long_poll = timeout;
        self
    }

    /// How long a connection with server-sent events lives; 60 seconds by default. Clients
    /// connect again, and caches between them and us can then serve many with one connection.
    pub fn sse_lifetime(mut self, lifetime: Duration) -> ServerBuilder {
        self.sse_lifetime = lifetime;
        self
    }

    /// How often a comment is sent where there are no events to send; 15 seconds by default.
    pub fn sse_keep_alive(mut self, interval: Duration) -> ServerBuilder {
        self.keep_alive = interval;
        self
    }

    /// Answers queries, and shows a page of their results at `/`.
    #[cfg(feature = "serve")]
    pub fn queries(mut self, queries: Queries) -> ServerBuilder {
        self.queries = Some(queries);
        self
    }

    /// Plays a recording into a stream, which the page then lets people control. Needs
    /// [`ServerBuilder::queries`].
    #[cfg(feature = "serve")]
    pub fn replay(mut self, replay: Replay) -> ServerBuilder {
        self.replay = Some(replay);
        self
    }

    /// How much the server takes.
    pub fn limits(mut self, limits: Limits) -> ServerBuilder {
        self.limits = limits;
        self
    }

    /// Starts the server on the tokio runtime of the caller.
    pub async fn start(self) -> Result<Server, Error> {
        for (index, token) in self.tokens.iter().enumerate() {
            token.check(index)?;
            #[cfg(feature = "serve")]
            if let Some(queries) = &self.queries {
                token.check_collections(index, |name| queries.may_know(name))?;
            }
        }
        #[cfg(feature = "serve")]
        let (tokens, own_token) = with_own(self.tokens);
        #[cfg(not(feature = "serve"))]
        let tokens = self.tokens;
        let tokens = Tokens::new(tokens);
        let failed = |source| Error::Listen {
            address: self.listen.clone(),
            source,
        };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(&self.listen)
            .await
            .map_err(failed)?
            .collect();
        if tokens.is_empty()
            && !self.allow_public
            && let Some(address) = addresses.iter().find(|address| !address.ip().is_loopback())
        {
            return Err(Error::Public { address: *address });
        }
        #[cfg(feature = "server-tls")]
        let tls = match &self.tls {
            Some((certificate, key)) => Some(Acceptor::open(certificate, key)?),
            None => None,
        };
        #[cfg(not(feature = "server-tls"))]
        let tls: Option<Acceptor> = None;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(&*addresses).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let tokens_in_the_clear =
            !tokens.is_empty() && scheme == "http" && !address.ip().is_loopback();
        let most = Most {
            streams: self.limits.streams,
            producers: self.limits.producers,
        };
        let (cache, recent) = (self.limits.disk_cache, self.limits.recent);
        let directory = self.data.clone();
        let open = tokio::task::spawn_blocking(move || open(directory, cache, most, recent));
        let streams = match open.await {
            Ok(streams) => streams?,
            // A file that is damaged may be more than what reads it expects.
            Err(panic) => match &self.data {
                Some(path) => return Err(damaged(path, &panic)),
                None => std::panic::resume_unwind(panic.into_panic()),
            },
        };
        let options = Options {
            tokens,
            limits: self.limits,
            long_poll: self.long_poll,
            sse_lifetime: self.sse_lifetime,
            keep_alive: self.keep_alive,
            origins: Origins::new(self.cors)?,
            scheme,
        };
        let (stop, stopped) = watch::channel(false);
        let app = Arc::new(App::new(options, streams, stopped, address));
        #[cfg_attr(not(feature = "serve"), expect(unused_mut))]
        let mut listeners = vec![Listener {
            socket: listener,
            tls,
            own: false,
        }];
        #[cfg(feature = "serve")]
        if let Some(queries) = self.queries {
            // The server reads its own streams where nobody takes the connections from it.
            let own = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await;
            let own = own.map_err(failed)?;
            let url = format!("http://{}{}", own.local_addr().map_err(failed)?, http::BASE);
            listeners.push(Listener {
                socket: own,
                tls: None,
                own: true,
            });
            let registry = queries.start(url, own_token, self.data.as_deref()).await?;
            // So that they are there when it says that it listens.
            let sources = registry.sources();
            let sources = sources.iter().map(|source| &source.name);
            for name in sources.chain([&registry.places.default]) {
                if Places::is_own(name) {
                    // One that is there already may have been made with other options.
                    let path = StreamPath::trusted(name);
                    let _ = replay::create(&app.streams, &path).await;
                }
            }
            let player = match self.replay {
                Some(replay) => {
                    let started = replay::start(replay, app.clone()).await;
                    Some(started.map_err(Error::Replay)?)
                }
                None => None,
            };
            let _ = app.results.set(http::results::Served { registry, player });
        }
        if tokens_in_the_clear {
            tracing::warn!(
                "tokens are sent in clear text: encrypt connections here or in front of it"
            );
        }
        Ok(Server {
            address,
            scheme,
            stop,
            task: tokio::spawn(run(app, listeners)),
        })
    }
}

/// The tokens, with one more for the server itself if there are any, and that one.
#[cfg(feature = "serve")]
fn with_own(mut tokens: Vec<Token>) -> (Vec<Token>, Option<String>) {
    if tokens.is_empty() {
        return (tokens, None);
    }
    // Hashers are seeded by the system; four of them are more than anybody can guess.
    use std::hash::{BuildHasher, Hasher, RandomState};
    let part = |_| format!("{:016x}", RandomState::new().build_hasher().finish());
    let own: String = (0..4).map(part).collect();
    tokens.push(Token::new(&own).read().write());
    (tokens, Some(own))
}

fn open(
    directory: Option<PathBuf>,
    cache: usize,
    most: Most,
    recent: usize,
) -> Result<Streams, Error> {
    let open = || {
        let disk = directory
            .as_deref()
            .map(|path| Disk::open(path, cache))
            .transpose()?;
        Streams::open(disk.map(Arc::new), most, recent)
    };
    open().map_err(|error| match error {
        DiskError::InUse(path) => Error::InUse { path },
        other if other.is_damage() => {
            damaged(directory.as_deref().unwrap_or(Path::new("")), &other)
        }
        other => Error::Data {
            path: directory.clone().unwrap_or_default(),
            reason: other.to_string(),
        },
    })
}

/// What is said of a file of streams that cannot be read, and what to do.
fn damaged(directory: &Path, reason: &dyn std::fmt::Display) -> Error {
    let reason = format!(
        "the file streams.redb is damaged: {reason}. Put a backup in its place, or move it away to begin \
         without streams"
    );
    Error::Data {
        path: directory.to_owned(),
        reason,
    }
}

/// Serves until the server is to end.
async fn run(app: Arc<App>, listeners: Vec<Listener>) {
    let sweeper = tokio::spawn({
        let app = app.clone();
        async move {
            let mut ticks = interval(SWEEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                app.streams.sweep();
                #[cfg(feature = "serve")]
                if let Some(served) = app.results.get() {
                    served.registry.sweep();
                }
            }
        }
    });
    let router = http::router(app.clone());
    let serve = |listener| listener::serve(listener, router.clone(), &app.limits, app.stop.clone());
    join_all(listeners.into_iter().map(serve)).await;
    sweeper.abort();
    #[cfg(feature = "serve")]
    if let Some(served) = app.results.get() {
        served.registry.close();
    }
    app.streams.stop().await;
}
