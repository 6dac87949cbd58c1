//! A snapshot as a file: written beside the last one and put in its place as a whole.
//!
//! After a first line come blocks, each with its length and its checksum: a description in JSON, then
//! the rows, collection by collection, as they are in memory. A block without content is the end.

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::super::dead_letters::DeadLetters;
use crate::schema::{Catalog, CollectionDef, Columns};
use crate::store::{Action, Store};
use crate::system::files;
use crate::value::{Row, SeqBuilder, is_row};

/// The first line names the format, that of packed rows included.
const FIRST_LINE: &[u8] = b"tailwater snapshot 1\n";
const NAME: &str = "snapshot";
const PART: &str = "snapshot.part";
/// A block is full when it has so many bytes.
const BLOCK: usize = 256 << 10;

/// What a snapshot says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) schema_version: u64,
    /// Whether rows of all event types are in it, and not only those of a schema.
    pub(super) open: bool,
    /// The stream's name, and its id if the server told one.
    pub(super) stream: String,
    pub(super) id: Option<String>,
    /// Where to go on reading.
    pub(super) offset: String,
    /// The number of messages up to there.
    pub(super) position: u64,
    /// Of the messages up to there.
    #[serde(default)]
    pub(super) messages: u32,
    /// Which steps are counted, and the last one that was made.
    pub(super) incarnation: u64,
    pub(super) epoch: u64,
    /// The latest transactions that were seen, oldest first.
    pub(super) txids: Vec<SmolStr>,
    pub(super) dead_letters: DeadLetters,
    pub(super) collections: Vec<Part>,
}

/// A collection in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: SmolStr,
    #[serde(rename = "type")]
    pub(super) event_type: SmolStr,
    pub(super) primary_key: Option<SmolStr>,
    columns: Columns,
    rows: u64,
}

impl Part {
    pub(super) fn of(collection: &CollectionDef, rows: usize) -> Part {
        let columns = Columns::clone(&collection.columns());
        Part {
            name: collection.name().clone(),
            event_type: collection.event_type().clone(),
            primary_key: primary_key(collection),
            columns,
            rows: rows as u64,
        }
    }
}

pub(super) fn primary_key(collection: &CollectionDef) -> Option<SmolStr> {
    let column = collection.primary_key()?;
    collection.columns().names().get(column).cloned()
}

/// What is to be written. The rows are shared with the database.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(super) description: Description,
    /// How often the stream had been begun again.
    pub(super) begun: u64,
    /// By collection, as the description has them.
    pub(super) rows: Vec<Vec<Row>>,
}

/// Why a snapshot is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misfit {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it has another format")]
    Format,
    #[error("it does not describe itself: {0}")]
    Description(#[from] serde_json::Error),
    #[error("{0}")]
    Other(String),
}

/// Writes a snapshot beside the last one. Gives its length, when all of it is on disk.
pub(super) fn write(directory: &Path, capture: &Capture) -> io::Result<u64> {
    let part = directory.join(PART);
    let written = write_to(&part, capture);
    if written.is_err() {
        // Room for others, if that is what is missing.
        let _ = files::remove(&part);
    }
    written
}

/// Puts what was written in the place of the last snapshot. It is certain to last when the directory is
/// brought to disk.
pub(super) fn place(directory: &Path) -> io::Result<()> {
    files::rename(&directory.join(PART), &directory.join(NAME))
}

fn write_to(path: &Path, capture: &Capture) -> io::Result<u64> {
    let mut blocks = Blocks {
        out: BufWriter::new(files::create(path)?),
        length: FIRST_LINE.len() as u64,
    };
    blocks.out.write_all(FIRST_LINE)?;
    blocks.put(&serde_json::to_vec(&capture.description)?)?;
    let mut block = Vec::with_capacity(BLOCK + (4 << 10));
    for row in capture.rows.iter().flatten() {
        let length = u32::try_from(row.bytes().len()).map_err(io::Error::other)?;
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(row.bytes());
        if block.len() >= BLOCK {
            blocks.put(&block)?;
            block.clear();
        }
    }
    if !block.is_empty() {
        blocks.put(&block)?;
    }
    blocks.put(&[])?;
    let Blocks { out, length } = blocks;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    Ok(length)
}

struct Blocks<W> {
    out: W,
    length: u64,
}

impl<W: Write> Blocks<W> {
    fn put(&mut self, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out
            .write_all(&crc32fast::hash(content).to_le_bytes())?;
        self.out.write_all(content)?;
        self.length += content.len() as u64 + 8;
        Ok(())
    }
}

/// The length of the snapshot there is, or 0.
pub(super) fn length(directory: &Path) -> u64 {
    files::length(&directory.join(NAME)).unwrap_or(0)
}

/// Puts the snapshot aside, so that it is not tried again, also when the machine goes down, and can be
/// looked at. False if there is none.
pub(super) fn set_aside(directory: &Path) -> io::Result<bool> {
    let aside = directory.join("snapshot.rejected");
    match files::rename(&directory.join(NAME), &aside) {
        Ok(()) => files::sync_directory(directory).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the snapshot, if there is one and it passes the check: what it says of itself, and its rows.
pub(super) fn read(
    directory: &Path,
    store: &mut Store,
    check: impl FnOnce(&Description) -> Result<(), String>,
) -> Result<Option<Description>, Misfit> {
    let path = directory.join(NAME);
    let file = match files::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = files::length(&path)?;
    read_from(BufReader::new(file), length, store, check).map(Some)
}

/// Reads a snapshot of so many bytes.
fn read_from(
    input: impl Read,
    left: u64,
    store: &mut Store,
    check: impl FnOnce(&Description) -> Result<(), String>,
) -> Result<Description, Misfit> {
    let mut input = Input {
        input,
        left,
        block: Vec::new(),
    };
    let mut first_line = [0; FIRST_LINE.len()];
    match input.take(&mut first_line) {
        Ok(()) if first_line == FIRST_LINE => {}
        Ok(()) => return Err(Misfit::Format),
        Err(misfit) => return Err(misfit),
    }
    let description: Description = serde_json::from_slice(input.next()?)?;
    check(&description).map_err(Misfit::Other)?;
    let catalog = store.catalog().clone();
    let mut parts = description.collections.iter();
    let mut part = parts
        .next()
        .map(|part| Rows::of(part, &catalog))
        .transpose()?;
    loop {
        let mut block = input.next()?;
        if block.is_empty() {
            break;
        }
        let mut actions = Vec::new();
        while let Some((length, rest)) = block.split_first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            let (row, rest) = (rest.split_at_checked(length)).ok_or(Misfit::Damaged(ROW))?;
            block = rest;
            while part.as_ref().is_some_and(|part| part.left == 0) {
                part = parts
                    .next()
                    .map(|part| Rows::of(part, &catalog))
                    .transpose()?;
            }
            actions.extend(part.as_mut().ok_or(Misfit::Damaged(COUNT))?.take(row)?);
        }
        if !block.is_empty() {
            return Err(Misfit::Damaged(ROW));
        }
        store.apply(actions);
    }
    let missing = part.is_some_and(|part| part.left > 0) || parts.any(|part| part.rows > 0);
    match missing || input.left > 0 {
        true => Err(Misfit::Damaged(COUNT)),
        false => Ok(description),
    }
}

const ROW: &str = "a row is not one";
const COUNT: &str = "it has not as much as it says";

struct Input<R> {
    input: R,
    /// So many bytes are in the file from here on: lengths that say more are wrong.
    left: u64,
    block: Vec<u8>,
}

impl<R: Read> Input<R> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<(), Misfit> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(Misfit::Damaged("it ends too soon"))?;
        Ok(self.input.read_exact(bytes)?)
    }

    fn next(&mut self) -> Result<&[u8], Misfit> {
        let (mut length, mut checksum) = ([0; 4], [0; 4]);
        self.take(&mut length)?;
        self.take(&mut checksum)?;
        let length = u32::from_le_bytes(length);
        if u64::from(length) > self.left {
            return Err(Misfit::Damaged("it ends too soon"));
        }
        let mut block = std::mem::take(&mut self.block);
        block.resize(length as usize, 0);
        self.take(&mut block)?;
        self.block = block;
        match crc32fast::hash(&self.block) == u32::from_le_bytes(checksum) {
            true => Ok(&self.block),
            false => Err(Misfit::Damaged("a checksum is wrong")),
        }
    }
}

/// The rows of a collection that are still to come.
struct Rows {
    /// None if the database does not have the collection.
    collection: Option<usize>,
    /// Where the columns are now; none if they are where they were.
    places: Vec<usize>,
    /// As many columns as rows may have.
    columns: usize,
    left: u64,
    builder: SeqBuilder,
    scratch: Vec<u8>,
}

impl Rows {
    fn of(part: &Part, catalog: &Catalog) -> Result<Rows, Misfit> {
        let collection = catalog.by_type(&part.event_type);
        let mut places = Vec::new();
        let mut columns = 0;
        if let Some(collection) = &collection {
            let known = collection.take_over(&part.columns);
            places = known.ok_or(Misfit::Damaged("its columns do not fit"))?;
            columns = places.len();
            if places.iter().copied().eq(0..columns) {
                places = Vec::new();
            }
        }
        Ok(Rows {
            collection: collection.map(|collection| collection.id()),
            places,
            columns,
            left: part.rows,
            builder: SeqBuilder::default(),
            scratch: Vec::new(),
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<Action>, Misfit> {
        self.left -= 1;
        let Some(collection) = self.collection else {
            return Ok(None);
        };
        if !is_row(bytes) {
            return Err(Misfit::Damaged(ROW));
        }
        let mut row = Row::from_bytes(bytes);
        if row.columns().len() > self.columns {
            return Err(Misfit::Damaged(ROW));
        }
        if !self.places.is_empty() {
            row = self.moved(&row);
        }
        Ok(Some(Action::Put { collection, row }))
    }

    /// The row with its columns where they are now.
    fn moved(&mut self, row: &Row) -> Row {
        let last = self.places.iter().max().copied().unwrap_or(0);
        let mut values: Vec<&[u8]> = vec![&[]; last + 1];
        for (column, place) in self.places.iter().enumerate() {
            values[*place] = row.encoded(column);
        }
        values
            .iter()
            .for_each(|value| self.builder.push_encoded(value));
        Row::new(&mut self.builder, &mut self.scratch)
    }
}

/// The rows of what may be a snapshot, as texts, once as it is and once with its checksums made right,
/// so that what lies behind them is reached, too.
#[cfg(feature = "fuzzing")]
pub(crate) fn rows_of(bytes: &[u8]) -> [Option<Vec<String>>; 2] {
    let rows = |bytes: &[u8]| {
        let mut store = Store::new(std::sync::Arc::new(Catalog::open()));
        read_from(bytes, bytes.len() as u64, &mut store, |_| Ok(())).ok()?;
        let mut texts = Vec::new();
        for collection in store.catalog().collections() {
            for row in store.rows(&collection) {
                texts.extend((0..row.columns().len()).map(|at| row.get(at).to_string()));
            }
        }
        // Rows stand in no order.
        texts.sort();
        Some(texts)
    };
    let mut sealed = bytes.to_vec();
    let mut at = FIRST_LINE.len();
    while let Some(head) = sealed.get(at..at + 8) {
        let length = u32::from_le_bytes(head[..4].try_into().unwrap_or_default()) as usize;
        let Some(content) = sealed.get(at + 8..at + 8 + length) else {
            break;
        };
        let checksum = crc32fast::hash(content).to_le_bytes();
        sealed[at + 4..at + 8].copy_from_slice(&checksum);
        at += 8 + length;
    }
    [rows(bytes), rows(&sealed)]
}
