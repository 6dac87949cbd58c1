//! The task that writes snapshots, when enough was read since the last one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;

use super::super::core::{Command, Core};
use super::super::lock;
use super::super::shared::Shared;
use super::super::status::Status;
use super::super::sync::ask;
use super::{Keep, file};
use crate::stream::DurableStream;
use crate::system::{self, files};

/// So long the server may take to say which stream it is. Until then the rows are held.
const PATIENCE: Duration = Duration::from_secs(10);

pub(in crate::db) struct KeepTask {
    pub(in crate::db) shared: Arc<Shared>,
    pub(in crate::db) commands: Sender<Command>,
    pub(in crate::db) stream: DurableStream,
    pub(in crate::db) keep: Keep,
    pub(in crate::db) schema_version: u64,
}

impl KeepTask {
    /// Works until the database reads no further; what it read then is kept, too.
    pub(in crate::db) async fn run(self) {
        let directory = self.keep.directory.clone();
        let mut status = self.shared.watch_status();
        let mut written_at = 0;
        loop {
            let over = tokio::select! {
                biased;
                () = system::sleep(self.keep.every) => false,
                _ = status.wait_for(Status::is_over) => true,
            };
            if matches!(*status.borrow(), Status::Error(_) | Status::Closed) {
                return;
            }
            let read = self.shared.read_bytes.load(Ordering::Relaxed);
            let worth = self.keep.after_bytes.max(file::length(&directory));
            if read - written_at >= worth && self.write(&directory).await {
                written_at = read;
            }
            if over {
                return;
            }
        }
    }

    /// Writes a snapshot; whether that was possible.
    async fn write(&self, directory: &Path) -> bool {
        let version = self.schema_version;
        let captured = ask(&self.commands, move |core| {
            let began = system::now();
            Some((core.capture(version)?, system::now() - began))
        });
        let Some((capture, paused)) = captured.await.flatten() else {
            return false;
        };
        // The rows are of the stream that it was up to now.
        let (quiet, _) = watch::channel(None);
        match system::timeout(PATIENCE, self.stream.identify(&quiet)).await {
            Some(Ok(now)) if now.id == capture.description.id => {}
            _ => return false,
        }
        let (begun, id, incarnation, epoch) = (
            capture.begun,
            capture.description.id.clone(),
            capture.description.incarnation,
            capture.description.epoch,
        );
        let to = directory.to_path_buf();
        let written = system::blocking(move || file::write(&to, &capture)).await;
        let mut written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        if written.is_ok() {
            match ask(&self.commands, move |core| core.place_snapshot(begun)).await {
                Some(Ok(true)) => {
                    let to = directory.to_path_buf();
                    let synced = system::blocking(move || files::sync_directory(&to)).await;
                    let synced = synced.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                    written = synced.and(written);
                }
                Some(Err(error)) => written = Err(error),
                _ => return false,
            }
        }
        {
            let mut kept = lock(&self.shared.kept);
            match &written {
                Ok(bytes) => {
                    kept.bytes = *bytes;
                    kept.written = Some(system::time());
                    kept.paused = paused;
                    kept.error = None;
                }
                Err(error) => kept.error = Some(error.to_string()),
            }
        }
        if written.is_err() {
            return false;
        }
        let captured = move |core: &mut Core| core.captured(id, incarnation, epoch);
        ask(&self.commands, captured).await.is_some()
    }
}
