//! Streams on disk: one redb file, one transaction for all that a round of the writer changed.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use super::chunk::Chunk;
use super::log::Batch;
use super::record::{Producer, Record};
use crate::value::hash_bytes;

/// The chunks of streams, by stream and first position: how many positions, then the data.
const CHUNKS: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("chunks");
/// The streams' records, as JSON.
const STREAMS: TableDefinition<u64, &[u8]> = TableDefinition::new("streams");
/// Epoch, sequence number and last use of producers, by stream and name.
const PRODUCERS: TableDefinition<(u64, &str), (u64, u64, u64)> = TableDefinition::new("producers");
/// Streams that are gone and whose chunks and producers are still to be removed.
const REMOVED: TableDefinition<u64, ()> = TableDefinition::new("removed");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Written only to see whether there is room.
const ROOM: TableDefinition<(), &[u8]> = TableDefinition::new("room");

/// The version of these tables.
const FORMAT: u64 = 1;
const COUNT_BYTES: usize = 8;

/// What went wrong with the disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("{0} is in use by another server")]
    InUse(PathBuf),
    #[error("{path} has format {found}; this version knows format {FORMAT}")]
    Format { path: PathBuf, found: u64 },
    #[error("the record of stream {stream} cannot be read: {reason}")]
    Record {
        stream: u64,
        reason: serde_json::Error,
    },
    #[error("chunk {start} of stream {stream} is damaged")]
    Chunk { stream: u64, start: u64 },
    #[error("the disk is not available")]
    Closed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Redb(#[from] redb::Error),
}

impl DiskError {
    /// Whether the file is not as it was written.
    pub(crate) fn is_damage(&self) -> bool {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match self {
            DiskError::Record { .. } | DiskError::Chunk { .. } => true,
            DiskError::Redb(redb::Error::Corrupted(_)) => true,
            DiskError::Redb(redb::Error::Io(error)) => {
                matches!(error.kind(), InvalidData | UnexpectedEof)
            }
            _ => false,
        }
    }
}

/// Lets `?` take all of redb's error types.
macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for DiskError {
            fn from(error: redb::$error) -> DiskError {
                DiskError::Redb(error.into())
            }
        })*
    };
}
from_redb!(
    StorageError,
    TableError,
    TransactionError,
    CommitError,
    SetDurabilityError
);

/// A row that a round adds or changes.
#[derive(Debug)]
pub(crate) enum Row {
    Chunk(u64, Chunk),
    Record(u64, Box<Record>),
    Producer(u64, Arc<str>, Producer),
    /// The stream with all that belongs to it.
    Remove(u64),
    /// The id of the next stream.
    NextId(u64),
}

/// A stream without its content.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) id: u64,
    pub(crate) record: Record,
    /// The position behind the last chunk, if there is one.
    pub(crate) end: Option<u64>,
    pub(crate) producers: HashMap<Arc<str>, Producer>,
}

/// The file. It is opened anew after an error, as redb asks for.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    cache: usize,
    database: RwLock<Option<Database>>,
}

impl Disk {
    /// Opens the file in a directory; makes both if they are missing.
    pub(crate) fn open(directory: &Path, cache: usize) -> Result<Disk, DiskError> {
        std::fs::create_dir_all(directory)?;
        let disk = Disk {
            path: directory.join("streams.redb"),
            cache,
            database: RwLock::default(),
        };
        disk.reopen()?;
        Ok(disk)
    }

    /// Opens the file again.
    pub(crate) fn reopen(&self) -> Result<(), DiskError> {
        let mut slot = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // It may be left of a probe that was killed.
        let _ = std::fs::remove_file(self.room());
        // The old one holds the lock of the file.
        *slot = None;
        let database = Database::builder()
            .set_cache_size(self.cache)
            .create(&self.path);
        let database = match database {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(DiskError::InUse(self.path.clone()));
            }
            Err(error) => return Err(DiskError::Redb(error.into())),
        };
        self.prepare(&database)?;
        *slot = Some(database);
        Ok(())
    }

    /// Makes the tables, so that readers find them.
    fn prepare(&self, database: &Database) -> Result<(), DiskError> {
        let write = database.begin_write()?;
        {
            write.open_table(CHUNKS)?;
            write.open_table(STREAMS)?;
            write.open_table(PRODUCERS)?;
            write.open_table(REMOVED)?;
            let mut meta = write.open_table(META)?;
            let found = meta.get("format")?.map(|format| format.value());
            match found {
                None => drop(meta.insert("format", FORMAT)?),
                Some(FORMAT) => {}
                Some(found) => {
                    return Err(DiskError::Format {
                        path: self.path.clone(),
                        found,
                    });
                }
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Whether so many bytes can be written to a file beside the database, which need not be open.
    pub(crate) fn takes(&self, bytes: usize) -> Result<(), DiskError> {
        // File systems that compress take any amount of zeros.
        let noise = |n: usize| hash_bytes(&n.to_le_bytes()).to_le_bytes();
        let content: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(noise).collect();
        let written = File::create(self.room()).and_then(|mut file| {
            file.write_all(&content)?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(self.room());
        Ok(written.and(removed)?)
    }

    fn room(&self) -> PathBuf {
        self.path.with_extension("room")
    }

    /// Closes the file, so that another server can open it.
    pub(crate) fn close(&self) {
        *self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let slot = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(slot.as_ref().ok_or(DiskError::Closed)?)
    }

    /// Writes the rows in one transaction, which is on disk when this returns.
    pub(crate) fn commit(&self, rows: &[Row]) -> Result<(), DiskError> {
        self.with(|database| {
            let mut write = database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            put(&write, rows)?;
            write.commit()?;
            Ok(())
        })
    }

    /// Whether so many bytes can be written.
    pub(crate) fn has_room(&self, bytes: usize) -> Result<(), DiskError> {
        self.with(|database| {
            for content in [Some(bytes), None] {
                let mut write = database.begin_write()?;
                write.set_durability(Durability::Immediate)?;
                {
                    let mut room = write.open_table(ROOM)?;
                    match content {
                        Some(bytes) => drop(room.insert_reserve((), bytes)?),
                        None => drop(room.remove(())?),
                    }
                }
                write.commit()?;
            }
            Ok(())
        })
    }

    /// All streams without their content, in the order of their ids, and the next id.
    pub(crate) fn load(&self) -> Result<(Vec<Loaded>, u64), DiskError> {
        self.with(|database| {
            let read = database.begin_read()?;
            let chunks = read.open_table(CHUNKS)?;
            let mut loaded = Vec::new();
            let mut places = HashMap::new();
            for row in read.open_table(STREAMS)?.iter()? {
                let (key, value) = row?;
                let id = key.value();
                let record = serde_json::from_slice(value.value())
                    .map_err(|reason| DiskError::Record { stream: id, reason })?;
                let last = chunks
                    .range((id, 0)..=(id, u64::MAX))?
                    .next_back()
                    .transpose()?;
                let end = match last {
                    None => None,
                    Some((key, value)) => Some(split(key.value(), value.value())?.0),
                };
                places.insert(id, loaded.len());
                loaded.push(Loaded {
                    id,
                    record,
                    end,
                    producers: HashMap::new(),
                });
            }
            for row in read.open_table(PRODUCERS)?.iter()? {
                let (key, value) = row?;
                let ((id, name), (epoch, seq, used)) = (key.value(), value.value());
                if let Some(&place) = places.get(&id) {
                    let producer = Producer { epoch, seq, used };
                    loaded[place].producers.insert(name.into(), producer);
                }
            }
            let next = read
                .open_table(META)?
                .get("next")?
                .map_or(1, |next| next.value());
            Ok((loaded, next))
        })
    }

    /// Adds what follows the batch's end to it, from the stream's own chunks before a position.
    pub(crate) fn read(&self, id: u64, until: u64, batch: &mut Batch) -> Result<(), DiskError> {
        self.with(|database| {
            let chunks = database.begin_read()?.open_table(CHUNKS)?;
            // The chunk at the batch's end may have started before it.
            let first = chunks
                .range((id, 0)..=(id, batch.end))?
                .next_back()
                .transpose()?;
            let start = first.map_or(batch.end, |(key, _)| key.value().1);
            for row in chunks.range((id, start)..(id, until))? {
                let (key, value) = row?;
                if !batch.push(&chunk(key.value(), value.value())?, until) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// How many chunks there are.
    #[cfg(test)]
    pub(crate) fn chunks(&self) -> Result<u64, DiskError> {
        use redb::ReadableTableMetadata as _;
        self.with(|database| Ok(database.begin_read()?.open_table(CHUNKS)?.len()?))
    }

    /// Removes some of what is left of removed streams. Returns whether there may be more.
    pub(crate) fn clean(&self) -> Result<bool, DiskError> {
        const CHUNKS_AT_ONCE: usize = 1000;
        self.with(|database| {
            let write = database.begin_write()?;
            {
                let mut removed = write.open_table(REMOVED)?;
                let Some(id) = removed.first()?.map(|(key, _)| key.value()) else {
                    return Ok(false);
                };
                let mut chunks = write.open_table(CHUNKS)?;
                let mut count = 0;
                let range = (id, 0)..=(id, u64::MAX);
                for row in chunks
                    .extract_from_if(range, |_, _| true)?
                    .take(CHUNKS_AT_ONCE)
                {
                    row?;
                    count += 1;
                }
                if count < CHUNKS_AT_ONCE {
                    let range = (id, "")..(id + 1, "");
                    write
                        .open_table(PRODUCERS)?
                        .retain_in(range, |_, _| false)?;
                    removed.remove(id)?;
                }
            }
            write.commit()?;
            Ok(true)
        })
    }
}

fn put(write: &WriteTransaction, rows: &[Row]) -> Result<(), DiskError> {
    let mut chunks = write.open_table(CHUNKS)?;
    let mut streams = write.open_table(STREAMS)?;
    let mut producers = write.open_table(PRODUCERS)?;
    for row in rows {
        match row {
            Row::Chunk(id, chunk) => {
                let length = COUNT_BYTES + chunk.data.len();
                let mut place = chunks.insert_reserve((*id, chunk.start), length)?;
                let (count, data) = place.as_mut().split_at_mut(COUNT_BYTES);
                count.copy_from_slice(&(chunk.end - chunk.start).to_le_bytes());
                data.copy_from_slice(&chunk.data);
            }
            Row::Record(id, record) => {
                let json = serde_json::to_vec(record).map_err(|reason| DiskError::Record {
                    stream: *id,
                    reason,
                })?;
                streams.insert(id, json.as_slice())?;
            }
            Row::Producer(id, name, Producer { epoch, seq, used }) => {
                producers.insert((*id, &**name), (*epoch, *seq, *used))?;
            }
            Row::Remove(id) => {
                streams.remove(id)?;
                write.open_table(REMOVED)?.insert(id, ())?;
            }
            Row::NextId(next) => {
                write.open_table(META)?.insert("next", next)?;
            }
        }
    }
    Ok(())
}

/// The end of a chunk's positions, and its data.
fn split((stream, start): (u64, u64), row: &[u8]) -> Result<(u64, &[u8]), DiskError> {
    let split = row
        .split_first_chunk::<COUNT_BYTES>()
        .and_then(|(count, data)| {
            let end = start.checked_add(u64::from_le_bytes(*count))?;
            (end > start).then_some((end, data))
        });
    split.ok_or(DiskError::Chunk { stream, start })
}

fn chunk(key: (u64, u64), row: &[u8]) -> Result<Chunk, DiskError> {
    let (end, data) = split(key, row)?;
    Ok(Chunk {
        start: key.1,
        end,
        data: Bytes::copy_from_slice(data),
    })
}
