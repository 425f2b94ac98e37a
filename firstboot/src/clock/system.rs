//! The kernel's clock.

use std::io;
use std::mem::MaybeUninit;
use std::time::SystemTime;

use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use super::{Clock, Step};

/// The kernel's clock, which all programs on the machine share.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        // A clock before 1970 is as wrong as one of 1970.
        SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
    }

    fn set_forward(&self, time: u64) -> io::Result<Step> {
        let step = Step::between(self.now(), time);
        if let Step::Forward { .. } = step {
            let seconds = i64::try_from(time).map_err(|_| io::ErrorKind::InvalidInput)?;
            clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(seconds, 0))?;
        }
        Ok(step)
    }

    #[allow(unsafe_code, reason = "there is no safe wrapper for this call")]
    fn synchronised(&self) -> bool {
        let mut state = MaybeUninit::<libc::timex>::zeroed();
        // SAFETY: all zeroes is a valid `timex` (integers only); its `modes` of 0 asks the kernel to change nothing and to
        // fill in the rest.
        let (result, state) = unsafe { (libc::adjtimex(state.as_mut_ptr()), state.assume_init()) };
        result != -1 && state.status & libc::STA_UNSYNC == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_the_time_and_is_never_put_back() {
        let clock = SystemClock;
        // 2024, before this was written.
        assert!(clock.now() > 1_704_067_200);
        assert_eq!(clock.set_forward(1_704_067_200).unwrap(), Step::Kept);
        let _ = clock.synchronised();
    }

    #[test]
    fn a_time_that_the_kernel_cannot_hold_is_refused() {
        assert!(SystemClock.set_forward(u64::MAX).is_err());
    }
}
