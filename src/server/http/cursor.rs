//! Cursors: numbers of intervals, which keep caches from serving the same live response forever.

use std::hash::{BuildHasher, Hasher, RandomState};

use jiff::Timestamp;

/// 2024-10-09T00:00:00Z.
const EPOCH_SECONDS: i64 = 1_728_432_000;
const INTERVAL_SECONDS: i64 = 20;
/// An hour.
const MOST_JITTER_SECONDS: u64 = 3600;

/// The cursor of now.
pub(crate) fn current() -> u64 {
    let seconds = Timestamp::now().as_second() - EPOCH_SECONDS;
    (seconds / INTERVAL_SECONDS).max(0) as u64
}

/// The cursor to answer with: never behind the client's, and never the same.
pub(crate) fn after(client: Option<u64>) -> u64 {
    match client {
        Some(client) if client >= current() => {
            let random = RandomState::new().build_hasher().finish();
            let seconds = random % MOST_JITTER_SECONDS + 1;
            client.saturating_add(seconds.div_ceil(INTERVAL_SECONDS as u64))
        }
        _ => current(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_only_grow() {
        let now = current();
        assert!(now > 0);
        assert!(after(None) >= now);
        assert!(after(Some(3)) >= now);
        for client in [now + 1, now + 1000] {
            let next = after(Some(client));
            assert!(next > client && next <= client + 180, "{client} {next}");
        }
        assert_eq!(after(Some(u64::MAX)), u64::MAX);
    }
}
