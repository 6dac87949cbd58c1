//! When a stream stops being there: never, at a time, or when nobody used it for a while.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a stream's creator asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expiry {
    #[default]
    Never,
    /// So many seconds after the last use.
    Ttl(u64),
    /// At a time, with the text in which it was given.
    At { millis: i64, text: String },
}

/// The text of a time does not matter, only the time does.
impl PartialEq for Expiry {
    fn eq(&self, other: &Expiry) -> bool {
        match (self, other) {
            (Expiry::Never, Expiry::Never) => true,
            (Expiry::Ttl(a), Expiry::Ttl(b)) => a == b,
            (Expiry::At { millis: a, .. }, Expiry::At { millis: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// An expiry with the time of the last use. After a restart the window starts anew.
#[derive(Debug)]
pub(crate) struct Clock {
    expiry: Expiry,
    /// In milliseconds of `uptime`.
    used: AtomicU64,
}

impl Clock {
    pub(crate) fn start(expiry: Expiry) -> Clock {
        Clock {
            expiry,
            used: AtomicU64::new(uptime()),
        }
    }

    pub(crate) fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// Notes a use, from which the window starts anew.
    pub(crate) fn touch(&self) {
        if let Expiry::Ttl(_) = self.expiry {
            self.used.store(uptime(), Ordering::Relaxed);
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// How long the stream stays if nobody uses it; without end if none.
    pub(crate) fn left(&self) -> Option<Duration> {
        match self.expiry {
            Expiry::Never => None,
            Expiry::Ttl(seconds) => {
                let used = self.used.load(Ordering::Relaxed);
                let end = used.saturating_add(seconds.saturating_mul(1000));
                Some(Duration::from_millis(end.saturating_sub(uptime())))
            }
            Expiry::At { millis, .. } => {
                let left = millis.saturating_sub(jiff::Timestamp::now().as_millisecond());
                Some(Duration::from_millis(left.max(0) as u64))
            }
        }
    }
}

/// Milliseconds since the first call, by a clock that nobody sets.
fn uptime() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}
