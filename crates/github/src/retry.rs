//! Trying again what GitHub may do the next time.

use std::time::Duration;

use octocrab::Error;

/// How often something is tried.
pub(crate) const ATTEMPTS: u32 = 5;
/// The wait after the first failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// What GitHub asks for where it limits without saying how long.
const LIMITED_WAIT: Duration = Duration::from_mins(1);
/// Nobody waits longer than this for a comment.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// What an answer says of limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// `X-RateLimit-Remaining`.
    pub(crate) remaining: Option<u64>,
    /// `X-RateLimit-Reset`, in seconds since 1970.
    pub(crate) reset: Option<u64>,
}

impl Answer {
    /// Takes what matters out of an error; nothing when it was no answer.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let Error::GitHub { source, .. } = error else {
            return None;
        };
        let number = |name: &str| {
            let value = source.headers.as_ref()?.get(name)?;
            value.to_str().ok()?.trim().parse().ok()
        };
        Some(Self {
            status: source.status_code.as_u16(),
            message: source.message.clone(),
            retry_after: number("retry-after"),
            remaining: number("x-ratelimit-remaining"),
            reset: number("x-ratelimit-reset"),
        })
    }

    /// Says whether it refuses only because there were too many requests.
    fn is_limited(&self) -> bool {
        self.status == 429
            || (self.status == 403
                && (self.retry_after.is_some()
                    || self.remaining == Some(0)
                    || self.message.to_lowercase().contains("rate limit")))
    }
}

/// Says how long to wait before the next attempt; nothing when it would not help, or too late.
pub(crate) fn wait(answer: Option<&Answer>, attempt: u32, now: i64) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let backoff = FIRST_WAIT * 2_u32.pow(attempt - 1);
    let Some(answer) = answer else {
        return Some(backoff);
    };
    if answer.is_limited() {
        let asked = answer.retry_after.or_else(|| {
            let reset = answer.reset.filter(|_| answer.remaining == Some(0))?;
            // At once would be too early by the part of the second that the header leaves out.
            Some(reset.saturating_sub(u64::try_from(now).ok()?) + 1)
        });
        let wait = asked.map_or(LIMITED_WAIT, Duration::from_secs).max(backoff);
        return (wait <= LONGEST_WAIT).then_some(wait);
    }
    (answer.status >= 500).then_some(backoff)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ATTEMPTS, Answer, wait};

    const NOW: i64 = 1_800_000_000;

    fn answer(status: u16) -> Answer {
        Answer {
            status,
            ..Answer::default()
        }
    }

    fn seconds(answer: &Answer) -> Option<f32> {
        wait(Some(answer), 1, NOW).map(|wait| wait.as_secs_f32())
    }

    #[test]
    fn what_may_pass_is_tried_again_after_growing_waits() {
        let waits: Vec<_> = (1..=ATTEMPTS)
            .map(|attempt| wait(Some(&answer(502)), attempt, NOW))
            .collect();
        let expected = [500, 1000, 2000, 4000].map(|wait| Some(Duration::from_millis(wait)));
        assert_eq!(waits, [&expected[..], &[None]].concat());
        assert_eq!(wait(None, 1, NOW), expected[0], "no answer at all");
    }

    #[test]
    fn a_refusal_is_final_unless_it_is_a_limit() {
        for status in [401, 403, 404, 410, 422] {
            assert_eq!(seconds(&answer(status)), None, "{status}");
        }
        let mut secondary = answer(403);
        secondary.message = "You have exceeded a secondary rate limit.".into();
        assert_eq!(seconds(&secondary), Some(60.0));
        secondary.retry_after = Some(7);
        assert_eq!(seconds(&secondary), Some(7.0));
        assert_eq!(seconds(&answer(429)), Some(60.0));
    }

    #[test]
    fn a_used_up_limit_is_waited_for_when_that_is_soon() {
        let mut used_up = answer(403);
        used_up.remaining = Some(0);
        used_up.reset = Some(NOW.unsigned_abs() + 20);
        assert_eq!(seconds(&used_up), Some(21.0));
        used_up.reset = Some(NOW.unsigned_abs() + 1800);
        assert_eq!(seconds(&used_up), None);
        // A limit that has room left does not explain a refusal.
        used_up.remaining = Some(4000);
        assert_eq!(seconds(&used_up), None);
    }
}
