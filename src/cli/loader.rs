//! Lines into batches; what had to be skipped, and what never came, is told.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use indicatif::ProgressBar;

use tailwater::engine::{Batch, BatchReader};
use tailwater::plan::Plan;
use tailwater::schema::Catalog;
use tailwater::store::Action;

use super::note;

/// How many skipped messages are named one by one.
const NAMED: u64 = 20;

/// Makes batches of lines.
pub(super) struct Loader {
    name: String,
    catalog: Arc<Catalog>,
    reader: BatchReader,
    lines: u64,
    strict: bool,
    skipped: u64,
    notes: Notes,
    /// By collection, whether an event of it came.
    seen: Vec<bool>,
}

/// Where notes go.
pub(super) enum Notes {
    /// To stderr, above a progress bar.
    Now(ProgressBar),
    /// Kept until the end, as something else has the terminal.
    Later(Vec<String>),
}

impl Loader {
    /// A loader of lines from a named input, in batches of `size`.
    pub(super) fn new(name: &str, catalog: &Arc<Catalog>, size: usize, notes: Notes) -> Loader {
        Loader {
            name: name.to_owned(),
            catalog: catalog.clone(),
            reader: BatchReader::new(catalog.clone(), size),
            lines: 0,
            strict: false,
            skipped: 0,
            notes,
            seen: Vec::new(),
        }
    }

    /// Makes the first message that is wrong an error.
    pub(super) fn strict(mut self, strict: bool) -> Loader {
        self.strict = strict;
        self
    }

    /// Reads a line and appends the batches that it completes. After an error, the batches that
    /// were complete before it still count.
    pub(super) fn line(&mut self, line: &[u8], batches: &mut Vec<Batch>) -> Result<()> {
        let known = batches.len();
        self.lines += 1;
        match std::str::from_utf8(line) {
            Ok(text) => {
                self.reader.line(text, batches);
                for reject in self.reader.take_rejects() {
                    if self.strict && reject.message.is_some() {
                        // The array's own batch, of which a message is missing.
                        batches.pop();
                    }
                    self.skip(&reject.to_string())?;
                }
            }
            Err(error) => {
                // Keeps the reader's count of lines.
                self.reader.line("", batches);
                let place = error.valid_up_to() + 1;
                self.skip(&format!(
                    "line {}: not valid UTF-8 at byte {place}",
                    self.lines
                ))?;
            }
        }
        self.see(&batches[known..]);
        Ok(())
    }

    /// Ends the open batch.
    pub(super) fn flush(&mut self, batches: &mut Vec<Batch>) {
        let known = batches.len();
        self.reader.flush(batches);
        self.see(&batches[known..]);
    }

    /// How many messages were skipped.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    fn see(&mut self, batches: &[Batch]) {
        for action in batches.iter().flatten() {
            let collection = match action {
                Action::Put { collection, .. } | Action::Delete { collection, .. } => *collection,
                Action::SnapshotStart(Some(c)) | Action::SnapshotEnd(Some(c)) => *c,
                _ => continue,
            };
            if self.seen.len() <= collection {
                self.seen.resize(collection + 1, false);
            }
            self.seen[collection] = true;
        }
    }

    fn skip(&mut self, reason: &str) -> Result<()> {
        if self.strict {
            return Err(anyhow!("{}: {reason}", self.name));
        }
        self.skipped += 1;
        if self.skipped <= NAMED {
            self.notes.add(format!("{}: {reason} (skipped)", self.name));
        }
        Ok(())
    }

    /// Tells what is left to tell when all lines are read, and whether no message was skipped.
    pub(super) fn finish<'p>(mut self, plans: impl Iterator<Item = &'p Plan> + Clone) -> bool {
        self.tell_missing(plans.clone());
        self.tell_missing_fields(plans);
        if self.skipped > NAMED {
            self.notes
                .add(format!("… and {} more", self.skipped - NAMED));
        }
        match self.skipped {
            0 => {}
            1 => self.notes.add("1 message was skipped".into()),
            n => self.notes.add(format!("{n} messages were skipped")),
        }
        if let Notes::Later(notes) = self.notes {
            notes.iter().for_each(|text| note(format_args!("{text}")));
        }
        self.skipped == 0
    }

    /// Warns of event types that a query reads and that never came: most often a misspelling.
    fn tell_missing<'p>(&mut self, plans: impl Iterator<Item = &'p Plan>) {
        let seen = |id: usize| self.seen.get(id).copied().unwrap_or(false);
        let collections = self.catalog.collections();
        let came = collections.iter().filter(|c| seen(c.id()));
        let mut came: Vec<&str> = came.map(|c| c.event_type().as_str()).collect();
        came.sort_unstable();
        let came = match came.is_empty() {
            true => "no events came".to_owned(),
            false => format!("types seen: {}", listed(&came)),
        };
        let mut missing: Vec<String> = Vec::new();
        for scan in plans
            .flat_map(Plan::scans)
            .filter(|scan| !seen(scan.collection.id()))
        {
            let warning = format!(
                "warning: no event of type `{}` arrived; {came}",
                scan.collection.event_type()
            );
            if !missing.contains(&warning) {
                missing.push(warning);
            }
        }
        missing
            .into_iter()
            .for_each(|warning| self.notes.add(warning));
    }

    /// Warns of fields that a query reads and that no row has: most often a misspelling, too. Of a
    /// collection with a schema, fields may well be left out.
    fn tell_missing_fields<'p>(&mut self, plans: impl Iterator<Item = &'p Plan>) {
        if !self.catalog.is_open() {
            return;
        }
        let mut collections: Vec<_> = plans
            .flat_map(Plan::scans)
            .map(|scan| scan.collection.clone())
            .collect();
        collections.sort_unstable_by_key(|collection| collection.id());
        collections.dedup_by_key(|collection| collection.id());
        for collection in collections {
            let columns = collection.columns();
            let seen: Vec<&str> = columns.seen().collect();
            if seen.is_empty() {
                continue;
            }
            for field in columns.unseen() {
                let hint = match closest(field, &seen) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("fields seen: {}", listed(&seen)),
                };
                self.notes.add(format!(
                    "warning: no row of `{}` has a field `{field}`; {hint}",
                    collection.name()
                ));
            }
        }
    }
}

/// What a misspelt name was most likely meant to be.
fn closest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase();
    let near = known.iter().map(|known| {
        let distance = strsim::damerau_levenshtein(&known.to_lowercase(), &name);
        (distance, *known)
    });
    let close = near.filter(|(distance, known)| *distance <= 2 && *distance < known.len());
    close.min().map(|(_, known)| known)
}

/// Names in quotes, of many only the first ones.
fn listed(names: &[&str]) -> String {
    let mut quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let rest = quoted.len().saturating_sub(NAMED_TYPES);
    quoted.truncate(NAMED_TYPES);
    match rest {
        0 => quoted.join(", "),
        rest => format!("{} and {rest} more", quoted.join(", ")),
    }
}

/// How many event types or fields a warning lists.
const NAMED_TYPES: usize = 12;

impl Notes {
    fn add(&mut self, text: String) {
        match self {
            Notes::Now(bar) => bar.suspend(|| note(format_args!("{text}"))),
            Notes::Later(notes) => notes.push(text),
        }
    }
}
