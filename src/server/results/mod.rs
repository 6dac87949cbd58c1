//! Results of queries as durable streams.
//!
//! | file | what it is for |
//! |---|---|
//! | `offset` | offsets of results |
//! | `render` | results as messages |
//! | `log`, `lag` | one result with its latest past, and how late it is |
//! | `feed` | results that are read together, and what their readers share |
//! | `source`, `sources` | a stream that queries read, and all of them |
//! | `registry` | the queries that are served |
//! | `trial` | queries that are tried out |
//! | `folder`, `store`, `save` | queries as files |
//! | `check` | what a query's text is, before it runs |

pub(crate) mod check;
mod entry;
mod feed;
mod folder;
mod lag;
mod log;
mod offset;
mod registry;
mod render;
pub(crate) mod save;
#[cfg(test)]
mod simulation;
mod source;
mod sources;
mod store;
mod trial;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use entry::{Description, Entry, Memory, Origin};
pub(crate) use feed::{Feed, Follow, Snapshot};
pub(crate) use folder::take_file;
pub(crate) use log::{Forgotten, Phase};
pub(crate) use offset::Offset;
pub(crate) use registry::{Broken, FindError, RegisterError, Registry, check_name};
pub(crate) use save::SaveError;
pub(crate) use source::Source;

use super::Error;
use crate::engine::Workers;
use crate::schema::Catalog;
use log::Keep;
pub(crate) use sources::Places;
use sources::{Resources, Snapshots};

/// The queries that a server answers: which there are, and what they read.
///
/// ```no_run
/// # async fn run() -> Result<(), tailwater::server::Error> {
/// use tailwater::server::{Queries, Server};
///
/// let server = Server::builder()
///     .queries(Queries::new().folder("queries/flights").upstream("http://127.0.0.1:4437/v1/stream/flights"))
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is given to a server"]
pub struct Queries {
    folder: Option<PathBuf>,
    files: Vec<(String, String)>,
    /// A path of a stream of the server, or a URL.
    source: String,
    upstream_token: Option<String>,
    catalog: Arc<Catalog>,
    schema_version: u64,
    keep: Keep,
    limits: Resources,
    /// How long after a snapshot the next one is written at the soonest; none are without.
    snapshot_interval: Option<Duration>,
    snapshot_bytes: u64,
    /// How long after its last reader a query is dropped that is tried out.
    trial_idle: Duration,
}

impl Default for Queries {
    fn default() -> Queries {
        Queries {
            folder: None,
            files: Vec::new(),
            source: "events".to_owned(),
            upstream_token: None,
            catalog: Arc::new(Catalog::open()),
            keep: Keep {
                bytes: 8 << 20,
                age: Duration::from_secs(3600),
            },
            schema_version: 0,
            limits: Resources::default(),
            snapshot_interval: Some(Duration::from_secs(60)),
            snapshot_bytes: 1 << 20,
            trial_idle: Duration::from_secs(20),
        }
    }
}

impl Queries {
    /// No queries at first; they can be registered over HTTP.
    pub fn new() -> Queries {
        Queries::default()
    }

    /// The folder of query files. It is watched: files that come, change and go are queries that do.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Queries {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// A query file by its name without `.json`, and its text, as if it were in a folder.
    pub fn file(mut self, name: impl Into<String>, text: impl Into<String>) -> Queries {
        self.files.push((name.into(), text.into()));
        self
    }

    /// The stream of the server itself that queries read unless they say otherwise; `events` by
    /// default. It is made if it is missing.
    pub fn stream(mut self, path: impl Into<String>) -> Queries {
        self.source = path.into();
        self
    }

    /// The URL of a stream that queries read unless they say otherwise.
    pub fn upstream(mut self, url: impl Into<String>) -> Queries {
        self.source = url.into();
        self
    }

    /// The bearer token that the server of [`Queries::upstream`] asks for.
    pub fn upstream_token(mut self, token: impl Into<String>) -> Queries {
        self.upstream_token = Some(token.into());
        self
    }

    /// The collections; by default every event type is one.
    pub fn catalog(mut self, catalog: impl Into<Arc<Catalog>>) -> Queries {
        self.catalog = catalog.into();
        self
    }

    /// A number that is to change with the schema, so that snapshots of before are not used.
    pub fn schema_version(mut self, version: u64) -> Queries {
        self.schema_version = version;
        self
    }

    /// How long after a snapshot of a source the next one is written at the soonest; `None` for no
    /// snapshots. A minute by default. They are kept where the server has a
    /// [data](super::ServerBuilder::data) directory, and it starts from them: see
    /// [`StreamDb::builder`'s `keep`](crate::db::Builder::keep). With them, results keep their offsets
    /// when the server starts again, also after it was killed.
    pub fn snapshot_interval(mut self, interval: Option<Duration>) -> Queries {
        self.snapshot_interval = interval;
        self
    }

    /// How many bytes have to be read before the next snapshot of a source is worth it, 1 MiB by
    /// default; it is also never less than the last snapshot has.
    pub fn snapshot_bytes(mut self, bytes: u64) -> Queries {
        self.snapshot_bytes = bytes;
        self
    }

    /// How much of a result's past is kept for readers that come back: about so many bytes of each,
    /// 8 MiB by default, and none that is older than an hour, or as [`Queries::keep_for`] says.
    /// Readers of what is older begin again with a snapshot.
    pub fn keep_bytes(mut self, bytes: usize) -> Queries {
        self.keep.bytes = bytes;
        self
    }

    /// How long a result's past is kept; see [`Queries::keep_bytes`].
    pub fn keep_for(mut self, age: Duration) -> Queries {
        self.keep.age = age;
        self
    }

    /// How many bytes the collections and queries of each source may take. When it is more, the query
    /// that holds most is dropped, and its state is `error`; the others go on. Without a limit by default.
    pub fn memory_limit(mut self, bytes: usize) -> Queries {
        self.limits.source = Some(bytes);
        self
    }

    /// How many bytes each query may take. One that needs more is refused, or dropped alone. Without a
    /// limit by default.
    pub fn query_memory_limit(mut self, bytes: usize) -> Queries {
        self.limits.query = Some(bytes);
        self
    }

    /// Who computes for the queries of each source; one thread by default. Limits of memory know
    /// nothing of what is kept on more. With several processes there can be one source; it is opened
    /// again, with whoever is there then, when one of them is lost.
    pub fn workers(mut self, workers: Workers) -> Queries {
        self.limits.workers = workers;
        self
    }

    /// How long after its last reader a query is dropped that was only tried out (`POST /v1/trial`); 20
    /// seconds by default.
    pub fn drop_trials_after(mut self, idle: Duration) -> Queries {
        self.trial_idle = idle;
        self
    }

    /// Whether there may be a collection of a name.
    pub(super) fn may_know(&self, collection: &str) -> bool {
        self.catalog.is_open() || self.catalog.by_name(collection).is_some()
    }

    /// Starts to serve them. Streams of the server itself are at `own`, with a slash at the end.
    pub(super) async fn start(
        self,
        own: String,
        own_token: Option<String>,
        data: Option<&Path>,
    ) -> Result<Arc<Registry>, Error> {
        let default = Places::name(&self.source).map_err(|error| match error {
            RegisterError::Source { name, reason } => Error::Source { name, reason },
            other => Error::Source {
                name: self.source.clone(),
                reason: other.to_string(),
            },
        })?;
        let places = Places {
            default,
            own,
            own_token,
            upstream_token: self.upstream_token,
            catalog: self.catalog,
            schema_version: self.schema_version,
            limits: self.limits,
            snapshots: data
                .zip(self.snapshot_interval)
                .map(|(data, every)| Snapshots {
                    directory: data.join("sources"),
                    every,
                    after_bytes: self.snapshot_bytes,
                }),
        };
        let kept = data.map(|data| data.join("http-queries"));
        let (keep, folder) = (self.keep, self.folder.clone());
        let registry = Registry::new(places, keep, kept.clone(), folder, self.trial_idle);
        for (name, text) in &self.files {
            folder::take_file(&registry, &format!("{name}.json"), text).await;
        }
        if let Some(folder) = &self.folder {
            let loaded = folder::load(&registry, folder).await;
            loaded.map_err(|source| Error::Folder {
                path: folder.clone(),
                source,
            })?;
        }
        if let Some(kept) = &kept {
            folder::load_kept(&registry, kept).await;
        }
        registry.set_loaded();
        Ok(registry)
    }
}
