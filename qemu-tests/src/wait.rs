//! Waiting for a condition, with a deadline and with what was seen last.

use std::time::{Duration, Instant};

/// How often a condition is asked for.
const INTERVAL: Duration = Duration::from_millis(250);

/// Asks `probe` until it has an answer and returns that; panics after `patience` with the last reason why not.
pub fn until<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(reason) if start.elapsed() >= patience => {
                panic!("{what}: not within {} s; last seen: {reason}", patience.as_secs())
            }
            Err(_) => std::thread::sleep(INTERVAL),
        }
    }
}

/// Lets time pass, where the passing of time is what is tested.
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_wait_and_comes_back() {
        let mut asked = 0;
        let answer = until("the third answer", Duration::from_secs(60), || {
            asked += 1;
            (asked == 3).then_some(asked).ok_or_else(|| "too early".to_owned())
        });
        assert_eq!(answer, 3);
    }

    #[test]
    #[should_panic(expected = "an answer: not within 0 s; last seen: never")]
    fn a_wait_in_vain_says_what_was_seen_last() {
        until("an answer", Duration::ZERO, || Err::<(), _>("never".to_owned()));
    }
}
