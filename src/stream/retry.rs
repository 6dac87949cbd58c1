//! How often to try again, and how long to wait between.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::error::StreamError;

/// The longest wait that a server can ask for with `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often to repeat what failed for a passing reason, and how long to wait between.
///
/// Passing reasons are broken connections, silence, 429 and 5xx. A server's `Retry-After` is waited for
/// where it is longer, up to a minute. A reader counts anew whenever it got something.
///
/// ```
/// use std::time::Duration;
/// use tailwater::stream::RetryPolicy;
/// let patient = RetryPolicy { max_retries: None, max_delay: Duration::from_secs(30), ..RetryPolicy::default() };
/// assert!(patient.validate().is_ok());
/// assert!(RetryPolicy { multiplier: 0.5, ..patient }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts may follow the first one; `None` is no end. 10 by default.
    pub max_retries: Option<u32>,
    /// The wait before the first repetition, above zero. 100 ms by default.
    pub initial_delay: Duration,
    /// The longest wait, not below the first. 10 s by default.
    pub max_delay: Duration,
    /// By what the wait grows each time, at least 1. 2 by default.
    pub multiplier: f32,
    /// Whether to add a random part of up to the same length, so that clients do not come back all
    /// at once. True by default.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            max_retries: Some(10),
            initial_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(10),
            multiplier: 2.0,
            jitter: true,
        }
    }
}

impl RetryPolicy {
    /// One attempt only.
    pub fn never() -> Self {
        RetryPolicy {
            max_retries: Some(0),
            ..RetryPolicy::default()
        }
    }

    /// Checks the fields.
    ///
    /// # Errors
    ///
    /// [`StreamError::InvalidArgument`] that names the field.
    pub fn validate(&self) -> Result<(), StreamError> {
        if self.initial_delay.is_zero() {
            return Err(StreamError::invalid("initial_delay", "must be above zero"));
        }
        if self.max_delay < self.initial_delay {
            let detail = "must not be below `initial_delay`";
            return Err(StreamError::invalid("max_delay", detail));
        }
        if !(self.multiplier >= 1.0 && self.multiplier.is_finite()) {
            return Err(StreamError::invalid("multiplier", "must be 1 or more"));
        }
        Ok(())
    }

    pub(super) fn backoff(&self) -> Backoff {
        let mut builder = ExponentialBuilder::new()
            .with_min_delay(self.initial_delay)
            .with_max_delay(self.max_delay)
            .with_factor(self.multiplier);
        builder = match self.max_retries {
            Some(n) => builder.with_max_times(n as usize),
            None => builder.without_max_times(),
        };
        if self.jitter {
            builder = builder.with_jitter();
        }
        Backoff {
            delays: builder.build(),
            attempts: 0,
        }
    }
}

/// The attempts of one thing.
#[derive(Debug)]
pub(super) struct Backoff {
    delays: ExponentialBackoff,
    attempts: u32,
}

impl Backoff {
    /// How long to wait after this error.
    ///
    /// # Errors
    ///
    /// The error to give to the caller, if the attempts are used up or it is not a passing one.
    pub(super) fn delay_after(&mut self, error: StreamError) -> Result<Duration, StreamError> {
        if !error.is_transient() {
            return Err(error);
        }
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        match self.next_delay() {
            Some(delay) => Ok(delay.max(asked)),
            // Where one attempt is all there was to be, nothing was given up.
            None if self.attempts == 1 => Err(error),
            None => Err(StreamError::Exhausted {
                attempts: self.attempts,
                last: Box::new(error),
            }),
        }
    }

    /// Counts a failed attempt; `None` if it was the last one.
    pub(super) fn next_delay(&mut self) -> Option<Duration> {
        self.attempts = self.attempts.saturating_add(1);
        self.delays.next()
    }
}

/// The wait that a `Retry-After` header asks for: seconds, or a date.
pub(super) fn parse_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text)
        .ok()?;
    let wait = date.as_millisecond() - jiff::Timestamp::now().as_millisecond();
    Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transient() -> StreamError {
        StreamError::Status {
            url: "u".into(),
            status: 503,
            detail: String::new(),
            retry_after: Some(Duration::from_secs(7)),
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_end() {
        let policy = RetryPolicy {
            max_retries: Some(4),
            initial_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(30),
            multiplier: 2.0,
            jitter: false,
        };
        let mut backoff = policy.backoff();
        let waits: Vec<u128> = std::iter::from_fn(|| backoff.next_delay())
            .map(|d| d.as_millis())
            .collect();
        assert_eq!(waits, [10, 20, 30, 30]);
    }

    #[test]
    fn the_servers_wish_is_waited_for() {
        let mut backoff = RetryPolicy::default().backoff();
        let wait = backoff.delay_after(transient()).unwrap();
        assert_eq!(wait, Duration::from_secs(7));
    }

    #[test]
    fn used_up_attempts_are_told_from_a_single_one() {
        let policy = RetryPolicy {
            max_retries: Some(1),
            ..RetryPolicy::default()
        };
        let mut backoff = policy.backoff();
        backoff.delay_after(transient()).unwrap();
        let error = backoff.delay_after(transient()).unwrap_err();
        assert!(matches!(error, StreamError::Exhausted { attempts: 2, .. }));
        assert_eq!(error.status(), Some(503));
        let error = RetryPolicy::never().backoff().delay_after(transient());
        assert!(matches!(error, Err(StreamError::Status { .. })));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parse_retry_after(" 3 "), Some(Duration::from_secs(3)));
        assert_eq!(parse_retry_after("soon"), None);
        let past = parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(30);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&later)
            .unwrap();
        let wait = parse_retry_after(&text).unwrap();
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30));
    }
}
