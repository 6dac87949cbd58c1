//! What is asked of the system: what time it is, to wait, which run of it this is. A simulation answers
//! in its place.

#[cfg(all(test, feature = "serve"))]
pub(crate) mod disk;
pub(crate) mod files;
#[cfg(all(test, feature = "serve"))]
pub(crate) mod simulated;

use std::hash::BuildHasher;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinError;

/// The time on a clock that never jumps.
pub(crate) fn now() -> Instant {
    #[cfg(all(test, feature = "serve"))]
    if let Some(now) = simulated::now() {
        return now;
    }
    Instant::now()
}

/// The time of day.
pub(crate) fn time() -> SystemTime {
    #[cfg(all(test, feature = "serve"))]
    if let Some(time) = simulated::time() {
        return time;
    }
    SystemTime::now()
}

/// Waits for some time.
pub(crate) async fn sleep(duration: Duration) {
    #[cfg(all(test, feature = "serve"))]
    if let Some(asleep) = simulated::sleep(duration) {
        return asleep.await;
    }
    tokio::time::sleep(duration).await;
}

/// What some work comes to, if it is done in time.
pub(crate) async fn timeout<F: Future>(after: Duration, work: F) -> Option<F::Output> {
    #[cfg(all(test, feature = "serve"))]
    if let Some(asleep) = simulated::sleep(after) {
        return tokio::select! {
            biased;
            done = work => Some(done),
            () = asleep => None,
        };
    }
    tokio::time::timeout(after, work).await.ok()
}

/// Does something that takes long or waits, where it holds up nobody.
pub(crate) async fn blocking<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> Result<R, JoinError> {
    #[cfg(all(test, feature = "serve"))]
    if simulated::is_on() {
        return Ok(f());
    }
    tokio::task::spawn_blocking(f).await
}

/// A number that nobody foresees.
pub(crate) fn random() -> u64 {
    #[cfg(all(test, feature = "serve"))]
    if simulated::is_on() {
        return fastrand::u64(..);
    }
    std::hash::RandomState::new().hash_one(0u8)
}

/// Names the run of the operating system; empty where that is not known.
pub(crate) fn boot() -> String {
    #[cfg(all(test, feature = "serve"))]
    if let Some(boot) = simulated::boot() {
        return boot;
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map_or(String::new(), |id| id.trim().to_owned())
}
