//! The pauses between fetches. Each takes a random number from 0 to 1, so that processes which were started together, or which lost
//! the server together, do not stay in step.

use std::time::Duration;

use crate::config::Config;

/// The pause until the next poll: the interval ± 10 %.
pub(super) fn interval(config: &Config, random: f64) -> Duration {
    config.polling_interval.mul_f64(0.9 + 0.2 * random)
}

/// The pause until a retry, with full jitter: a random time up to a bound, which doubles with each retry up to the interval. It
/// is at least what the server asked for, and up to a tenth more, since the server may have asked everybody at the same time.
pub(super) fn retry(config: &Config, retries: u32, asked: Option<Duration>, random: f64) -> Duration {
    let bound = config.retry_base.saturating_mul(1_u32.checked_shl(retries).unwrap_or(u32::MAX));
    let pause = bound.min(config.polling_interval).mul_f64(random);
    asked.map_or(pause, |asked| pause.max(asked.mul_f64(1.0 + 0.1 * random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESSES: usize = 1000;
    const OUTAGE: std::ops::Range<u64> = 1_200..1_800;

    fn config() -> Config {
        Config::from_json(r#"{"token": "T"}"#).unwrap()
    }

    /// A sequence of numbers from 0 to 1 (an xorshift generator), the same in every run.
    fn random(seed: &mut u64) -> f64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The requests in each second of an hour, of 1,000 processes that start at the same moment. `answer` says what the server
    /// does at a time: respond, or fail and perhaps ask for a pause.
    fn requests(answer: impl Fn(u64) -> Result<(), Option<Duration>>) -> Vec<usize> {
        let (config, mut seed, mut counts) = (config(), 18, vec![0; 3_600]);
        for _ in 0..PROCESSES {
            let (mut now, mut retries) = (Duration::ZERO, 0);
            while let Some(count) = counts.get_mut(now.as_secs() as usize) {
                *count += 1;
                now += match answer(now.as_secs()) {
                    Ok(()) => {
                        retries = 0;
                        interval(&config, random(&mut seed))
                    }
                    Err(asked) => {
                        retries += 1;
                        retry(&config, retries - 1, asked, random(&mut seed))
                    }
                };
            }
        }
        counts
    }

    fn most(counts: &[usize]) -> usize {
        counts.iter().copied().max().unwrap_or(0)
    }

    #[test]
    fn processes_that_start_together_do_not_stay_in_step() {
        let counts = requests(|_| Ok(()));
        assert_eq!(counts[0], PROCESSES);
        // The second polls are spread over twelve seconds, the third over 24, and so on. Evenly spread, there are 17 in a second.
        assert!(most(&counts[1..90]) < 130, "{}", most(&counts[1..90]));
        assert!(most(&counts[1_200..]) < 40, "{}", most(&counts[1_200..]));
    }

    #[test]
    fn processes_that_lost_the_server_together_come_back_one_by_one() {
        let counts = requests(|second| if OUTAGE.contains(&second) { Err(None) } else { Ok(()) });
        // Those whose poll has just failed retry soon: that is a sixth of the requests at the start.
        assert!(most(&counts[1_200..1_320]) < 250, "{}", most(&counts[1_200..1_320]));
        // Later they are up to a minute apart, half a minute on average: 33 in a second.
        assert!(most(&counts[1_320..1_800]) < 90, "{}", most(&counts[1_320..1_800]));
        assert!(most(&counts[1_800..1_860]) < 70, "{}", most(&counts[1_800..1_860]));
        // A deploy in the middle of the outage: all begin to retry at the same moment.
        let counts = requests(|second| if second < 600 { Err(None) } else { Ok(()) });
        assert!(most(&counts[60..]) < 90, "{}", most(&counts[60..]));
    }

    #[test]
    fn processes_that_were_told_to_wait_together_come_back_one_by_one() {
        let asked = Duration::from_secs(300);
        let counts = requests(|second| if second == 0 { Err(Some(asked)) } else { Ok(()) });
        assert_eq!(most(&counts[1..300]), 0, "earlier than asked");
        // Spread over half a minute: 33 in a second.
        assert!(most(&counts[300..]) < 70, "{}", most(&counts[300..]));
    }
}
