//! The embedded server of Durable Streams.
//!
//! A [`Server`] keeps append-only streams and serves them over HTTP: clients create them, append
//! to them, read them from any offset, and follow them by long-poll or server-sent events. It
//! keeps them in memory, or in a directory; then an append that was acknowledged is on disk.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use tailwater::server::Server;
//!
//! let server = Server::start().await?;
//! println!("streams are below {}", server.stream_url(""));
//! server.shutdown().await;
//! # Ok::<(), tailwater::server::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With a directory, tokens and an address of its own:
//!
//! ```no_run
//! # async fn run() -> Result<(), tailwater::server::Error> {
//! use std::time::Duration;
//! use tailwater::server::{Server, Token};
//!
//! let server = Server::builder()
//!     .listen("127.0.0.1:4437")
//!     .data("streams")
//!     .tokens([Token::new("s3cret").read().write()])
//!     .long_poll_timeout(Duration::from_secs(20))
//!     .start()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | `frame` | ranges as server-sent events |
//! | `streams` | the streams: a writer's thread, published logs, the disk |
//! | `auth` | tokens |
//! | `replay` | a recording that is played into a stream, with the feature `serve` |
//! | `results` | results of queries as streams, with the feature `serve` |
//! | `http` | requests and responses, connections |
//! | `builder` | options |

mod auth;
mod builder;
mod frame;
mod http;
#[cfg(feature = "serve")]
mod replay;
#[cfg(feature = "serve")]
mod results;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use auth::Token;
pub use builder::{Limits, ServerBuilder};
#[cfg(feature = "serve")]
pub use replay::Replay;
#[cfg(feature = "serve")]
pub use results::Queries;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was given.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The address can be reached from other machines, and no tokens are asked for.
    #[error("{address} can be reached from other machines, but no tokens protect the streams")]
    Public {
        /// What it would have listened on.
        address: SocketAddr,
    },
    /// Another server uses the directory.
    #[error("{} is in use by another server", path.display())]
    InUse {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("the streams in {} cannot be opened: {reason}", path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder of queries cannot be read.
    #[cfg(feature = "serve")]
    #[error("the queries in {} cannot be read", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What queries read by default is no source.
    #[cfg(feature = "serve")]
    #[error("`{name}` is no source of queries: {reason}")]
    Source {
        /// As it was given.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A recording cannot be replayed.
    #[cfg(feature = "serve")]
    #[error("the recording cannot be replayed: {0}")]
    Replay(#[source] io::Error),
    /// The tokens are not the JSON they should be.
    #[error("the tokens cannot be read: {0}")]
    TokenFile(String),
    /// A token is not what it should be.
    #[error("token {}{}: {reason}", index + 1, name.as_ref().map_or(String::new(), |name| format!(" (`{name}`)")))]
    Token {
        /// Which one, from 0 on.
        index: usize,
        /// Its name, if it has one.
        name: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or its key cannot be used.
    #[cfg(feature = "server-tls")]
    #[error("{} cannot be used to encrypt connections: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An origin is none.
    #[error(
        "`{origin}` is no origin: it is a scheme, a host and maybe a port, such as https://example.org"
    )]
    Origin {
        /// As it was given.
        origin: String,
    },
}

/// A running server. It ends when this is dropped; [`Server::shutdown`] also waits for the end.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server in memory, on a free port of this machine. It runs on the tokio runtime
    /// of the caller.
    pub async fn start() -> Result<Server, Error> {
        Server::builder().start().await
    }

    /// A server with other options.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The URL of a stream, whose path may have slashes.
    pub fn stream_url(&self, path: &str) -> String {
        self.url() + http::BASE + &streams::path::StreamPath::encode(path)
    }

    /// Ends the server: live readers are told at once, requests that are running get their
    /// answers, and the data is closed, so that another server can use it.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // It does not panic; if the runtime ends, so does it.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
