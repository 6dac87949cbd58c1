//! Doors to what is not public, for the fuzz targets in `fuzz/`. No part of the interface.

/// The events that pieces of bytes are as server-sent events, up to what is none.
pub fn sse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    crate::stream::sse_events(pieces)
}

/// The values in what may be a snapshot that a database keeps: of the bytes as they are, and with their
/// checksums made right; none if they are no snapshot.
pub fn kept(bytes: &[u8]) -> [Option<Vec<String>>; 2] {
    crate::db::rows_of(bytes)
}
