//! A folder of query files, in JSON and SQL, which are served as they are at any time.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::entry::Origin;
use super::registry::{RegisterError, Registry};
use crate::query::QueryFile;

/// The layout of the page, which is no query.
pub(super) const DASHBOARD: &str = "dashboard";
/// So often the folder is looked at: one that is on another machine tells of no changes.
const EVERY: Duration = Duration::from_millis(500);

/// By what a changed file is known.
type Stamp = (Option<SystemTime>, u64);

/// The files as they were last seen, by name.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, Stamp>);

/// Loads the files of a folder.
pub(super) async fn load(registry: &Arc<Registry>, folder: &Path) -> io::Result<()> {
    let files = list(folder)?;
    let mut seen = Seen::default();
    seen.update(registry, folder, files).await;
    let (registry, folder) = (Arc::downgrade(registry), folder.to_owned());
    tokio::spawn(follow(registry, folder, seen));
    Ok(())
}

async fn follow(registry: Weak<Registry>, folder: PathBuf, mut seen: Seen) {
    loop {
        sleep(EVERY).await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        match list(&folder) {
            Ok(files) => seen.update(&registry, &folder, files).await,
            // What is served goes on: the folder may come back.
            Err(error) => tracing::warn!(%error, "the folder of queries cannot be read"),
        }
    }
}

fn list(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !(name.ends_with(".json") || name.ends_with(".sql")) || name.starts_with('.') {
            continue;
        }
        // A file may be gone by now.
        if let Ok(meta) = fs::metadata(entry.path())
            && meta.is_file()
        {
            files.insert(name, (meta.modified().ok(), meta.len()));
        }
    }
    Ok(files)
}

impl Seen {
    async fn update(
        &mut self,
        registry: &Arc<Registry>,
        folder: &Path,
        files: BTreeMap<String, Stamp>,
    ) {
        for gone in self.0.keys().filter(|name| !files.contains_key(*name)) {
            registry.mend(gone);
            if files.contains_key(&sibling(gone)) {
                continue;
            }
            if stem(gone) == DASHBOARD {
                registry.set_dashboard(None);
                continue;
            }
            if let Some(entry) = registry.entry(stem(gone))
                && let Err(error) = registry.drop_query(&entry, Origin::File)
            {
                tracing::warn!(file = gone, %error, "a query cannot be dropped");
            }
        }
        for (name, stamp) in &files {
            let other = sibling(name);
            // Where the other one is gone, this one takes its place.
            let alone = self.0.contains_key(&other) == files.contains_key(&other);
            if alone && self.0.get(name) == Some(stamp) {
                continue;
            }
            if is_sql(name) && files.contains_key(&other) {
                let error = format!("`{other}` has the name already");
                registry.report(name, name, error);
                continue;
            }
            match fs::read_to_string(folder.join(name)) {
                Ok(text) => take_file(registry, name, &text).await,
                Err(error) => registry.report(name, stem(name), error.to_string()),
            }
        }
        self.0 = files;
    }
}

fn is_sql(file: &str) -> bool {
    file.ends_with(".sql")
}

/// The file of the same query in the other language.
fn sibling(file: &str) -> String {
    let extension = if is_sql(file) { "json" } else { "sql" };
    format!("{}.{extension}", stem(file))
}

/// The name of a query file without what says its language.
fn stem(file: &str) -> &str {
    let stem = file.strip_suffix(".json").or(file.strip_suffix(".sql"));
    stem.unwrap_or(file)
}

/// Serves what a file says, or reports what is wrong with it.
pub(crate) async fn take_file(registry: &Arc<Registry>, file: &str, text: &str) {
    match read(registry, file, text.trim_start_matches('\u{feff}')).await {
        Ok(()) => registry.mend(file),
        Err(error) => registry.report(file, stem(file), error),
    }
}

async fn read(registry: &Arc<Registry>, file: &str, text: &str) -> Result<(), String> {
    let name = stem(file);
    if name == DASHBOARD {
        let layout = serde_json::from_str(text).map_err(|error| error.to_string())?;
        registry.set_dashboard(Some(layout));
        return Ok(());
    }
    let file = match is_sql(file) {
        true => QueryFile::from_sql(text).map_err(|error| error.to_string())?,
        false => QueryFile::from_json(text).map_err(|error| error.to_string())?,
    };
    loop {
        let old = registry.entry(name);
        let registered = registry.register(name, file.clone(), Origin::File, old.as_ref());
        match registered.await {
            // Who watches the folder and who has just written the file may both take it.
            Err(RegisterError::Changed(_)) => {}
            registered => return registered.map(drop).map_err(|error| error.to_string()),
        }
    }
}

/// The queries that came over HTTP in earlier runs.
pub(super) async fn load_kept(registry: &Arc<Registry>, folder: &Path) {
    let Ok(files) = list(folder) else {
        // None was registered yet.
        return;
    };
    for name in files.keys() {
        let text = fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
        let file = text.and_then(|text| QueryFile::from_json(&text).map_err(|e| e.to_string()));
        let registered = match file {
            // A file of the folder took the name.
            Ok(_) if registry.entry(stem(name)).is_some() => Ok(false),
            Ok(file) => registry
                .register(stem(name), file, Origin::Http, None)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        if let Err(error) = registered {
            registry.report(name, stem(name), error);
        }
    }
}
