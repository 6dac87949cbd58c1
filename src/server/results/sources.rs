//! The sources that queries read: where they are, which are open, and when they are let go.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::log::lock;
use super::registry::{RegisterError, Registry};
use super::source::{Origin, Source};
use crate::db::Keep;
use crate::engine::Workers;
use crate::schema::Catalog;
use crate::server::streams::path::StreamPath;
use crate::stream::{DurableStream, RetryPolicy};

/// So many sources are read at most: each has a thread, and its rows in memory.
const MOST: usize = 100;
/// A path of a stream has so many bytes at most.
const PATH: usize = 1024;

/// Where sources are.
pub(crate) struct Places {
    /// What queries read that do not say.
    pub(crate) default: String,
    /// The URL below which the server's own streams are, with a slash at the end.
    pub(crate) own: String,
    /// The token that reads them, if they ask for one.
    pub(crate) own_token: Option<String>,
    /// The token for the source that queries read that do not say.
    pub(crate) upstream_token: Option<String>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) schema_version: u64,
    pub(crate) limits: Resources,
    /// What is kept of sources, if anything is.
    pub(crate) snapshots: Option<Snapshots>,
}

/// Where and how often snapshots of sources are kept.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    pub(crate) directory: PathBuf,
    pub(crate) every: Duration,
    pub(crate) after_bytes: u64,
}

impl Snapshots {
    /// How a source is kept, each in a directory of its own.
    fn of(&self, name: &str) -> Keep {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let safe: String = name
            .chars()
            .map(|c| if plain(c) { c } else { '_' })
            .collect();
        let checksum = crc32fast::hash(name.as_bytes());
        let directory = format!("{checksum:08x}-{}", &safe[..safe.len().min(100)]);
        Keep::in_directory(self.directory.join(directory))
            .every(self.every)
            .after_bytes(self.after_bytes)
            .name(name)
            .steps()
    }
}

/// What sources and queries may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    /// The bytes of the collections and queries of a source.
    pub(crate) source: Option<usize>,
    /// The bytes of each query.
    pub(crate) query: Option<usize>,
    /// Who computes for each source.
    pub(crate) workers: Workers,
}

impl Places {
    /// The one name of a source: the decoded path of a stream of the server, which is also what
    /// rights are about, or a URL.
    pub(crate) fn name(source: &str) -> Result<String, RegisterError> {
        let refused = |reason: String| RegisterError::Source {
            name: source.to_owned(),
            reason,
        };
        if source.contains("://") {
            DurableStream::new(source).map_err(|error| refused(error.to_string()))?;
            return Ok(source.to_owned());
        }
        if let Some(other) = source.chars().find(|c| "?#%:\\".contains(*c)) {
            return Err(refused(format!("a path has no `{other}`")));
        }
        let path = StreamPath::decode(source, PATH).map_err(|error| refused(error.to_string()))?;
        Ok(path.as_str().to_owned())
    }

    /// Whether a source is a stream of the server itself.
    pub(crate) fn is_own(name: &str) -> bool {
        !name.contains("://")
    }

    fn stream(&self, name: &str) -> Result<DurableStream, RegisterError> {
        let (url, token) = match Places::is_own(name) {
            true => (
                format!("{}{}", self.own, StreamPath::encode(name)),
                &self.own_token,
            ),
            // Nobody is given the token by naming a server of theirs.
            false if name == self.default => (name.to_owned(), &self.upstream_token),
            false => (name.to_owned(), &None),
        };
        let mut stream = DurableStream::builder(url).retry(RetryPolicy {
            max_retries: None,
            max_delay: Duration::from_secs(2),
            ..RetryPolicy::default()
        });
        if let Some(token) = token {
            stream = stream.header("authorization", format!("Bearer {token}"));
        }
        stream.build().map_err(|error| RegisterError::Source {
            name: name.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// The sources that are open.
#[derive(Default)]
pub(super) struct Sources(Mutex<BTreeMap<String, Open>>);

struct Open {
    source: Arc<Source>,
    /// The queries that read it.
    uses: usize,
}

/// The use of a source by a query. When the last one goes, the source is closed.
pub(crate) struct SourceUse {
    source: Arc<Source>,
    sources: Weak<Sources>,
}

impl Deref for SourceUse {
    type Target = Arc<Source>;

    fn deref(&self) -> &Arc<Source> {
        &self.source
    }
}

impl Drop for SourceUse {
    fn drop(&mut self) {
        let Some(sources) = self.sources.upgrade() else {
            return;
        };
        let mut open = lock(&sources.0);
        let last = open.get_mut(&self.source.name).is_some_and(|open| {
            open.uses -= 1;
            open.uses == 0
        });
        if last {
            open.remove(&self.source.name);
            self.source.close();
        }
    }
}

impl Sources {
    /// Uses a source by its one name; the first use opens it.
    pub(super) fn open(
        self: &Arc<Sources>,
        name: &str,
        places: &Places,
        registry: Weak<Registry>,
    ) -> Result<SourceUse, RegisterError> {
        let mut open = lock(&self.0);
        if !open.contains_key(name) {
            if open.len() >= MOST {
                return Err(RegisterError::TooManySources(MOST));
            }
            if places.limits.workers.is_cluster()
                && let Some(other) = open.keys().next()
            {
                return Err(RegisterError::OneSource(other.clone()));
            }
            let catalog = places.catalog.clone();
            let stream = places.stream(name)?;
            let source = Arc::new(Source::new(Origin {
                name: name.to_owned(),
                stream,
                own: Places::is_own(name),
                catalog,
                schema_version: places.schema_version,
                limits: places.limits.clone(),
                keep: places
                    .snapshots
                    .as_ref()
                    .map(|snapshots| snapshots.of(name)),
            }));
            tokio::spawn(source.clone().run(registry));
            open.insert(name.to_owned(), Open { source, uses: 0 });
        }
        let entry = open.get_mut(name).expect("it was put there");
        entry.uses += 1;
        Ok(SourceUse {
            source: entry.source.clone(),
            sources: Arc::downgrade(self),
        })
    }

    /// All that are open, by name.
    pub(super) fn all(&self) -> Vec<Arc<Source>> {
        lock(&self.0)
            .values()
            .map(|open| open.source.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_name_and_no_way_out_of_its_prefix() {
        for (source, name) in [
            ("a/b", "a/b"),
            ("http://h/v1/stream/x", "http://h/v1/stream/x"),
        ] {
            assert_eq!(Places::name(source).unwrap(), name);
        }
        for source in [
            "",
            "/a",
            "a//b",
            "a/../b",
            "..",
            ".",
            "a?x",
            "a#f",
            "a%2fb",
            "%2e%2e",
            "__ds/x",
            "h:80/x",
            "ftp://h/x",
            "http://",
            "file:///etc/passwd",
        ] {
            assert!(Places::name(source).is_err(), "{source}");
        }
    }
}
