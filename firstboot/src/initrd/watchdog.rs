//! The hardware watchdog (kernel: Documentation/watchdog/watchdog-api.rst): armed early, handed over running.
//!
//! From the first moment on a machine that hangs restarts by itself. Before systemd starts the device is closed without
//! the magic `V`, so the timer goes on; **the image's systemd must set `RuntimeWatchdogSec=`** and take it over within
//! the timeout, or the machine restarts. `skerry.watchdog=off` leaves the device alone.

use std::fs::{self, File};
use std::io::Write as _;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::libc;

use super::cmdline::WatchdogSetting;
use super::console;

const CLASS: &str = "/sys/class/watchdog";

mod ioctl {
    #![allow(unsafe_code, reason = "nix makes unsafe functions of ioctl definitions")]
    #![allow(missing_docs, reason = "the macro takes none")]
    use nix::libc::c_int;

    // WDIOC_SETTIMEOUT of include/uapi/linux/watchdog.h: seconds in, the seconds that the hardware took out.
    nix::ioctl_readwrite!(set_timeout, b'W', 6, c_int);
}

/// A watchdog that may not be there yet.
#[derive(Debug)]
pub struct Watchdog {
    setting: WatchdogSetting,
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    name: String,
    device: File,
}

impl Watchdog {
    /// Nothing is touched yet.
    pub fn new(setting: WatchdogSetting) -> Self {
        Self { setting, armed: None }
    }

    /// Starts the first watchdog there is, once.
    pub fn arm_when_present(&mut self) {
        let WatchdogSetting::Armed { timeout_secs } = self.setting else {
            return;
        };
        if self.armed.is_some() {
            return;
        }
        let Some(name) = first_entry(Path::new(CLASS)) else {
            return;
        };
        // Opening starts the timer.
        match File::options().write(true).open(Path::new("/dev").join(&name)) {
            Ok(device) => self.armed = Some(set_timeout(Armed { name, device }, timeout_secs)),
            Err(reason) => {
                console::warn(&format!("cannot arm {name}: {reason}"));
                self.setting = WatchdogSetting::Off;
            }
        }
    }

    /// Starts the time-out anew.
    pub fn ping(&mut self) {
        if let Some(Armed { name, device }) = &mut self.armed
            && let Err(reason) = device.write_all(b"\0")
        {
            console::warn(&format!("cannot ping {name}: {reason}"));
        }
    }

    /// The name of the running device, such as `watchdog0`.
    pub fn armed(&self) -> Option<&str> {
        self.armed.as_ref().map(|armed| armed.name.as_str())
    }

    /// A last ping; then the device is free for systemd, and running. The kernel takes that for a fault ("watchdog did not
    /// stop!"): it knows no way to say that it is meant.
    pub fn hand_over(mut self) {
        self.ping();
        if let Some(armed) = self.armed {
            console::without_warnings(|| drop(armed));
        }
    }
}

#[allow(unsafe_code, reason = "there is no safe wrapper for this ioctl")]
fn set_timeout(armed: Armed, timeout_secs: NonZeroU32) -> Armed {
    let mut seconds = libc::c_int::try_from(timeout_secs.get()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the device is open, and the kernel reads and writes the one integer that the reference is for.
    match unsafe { ioctl::set_timeout(armed.device.as_raw_fd(), &mut seconds) } {
        Ok(_) => console::note(&format!(
            "{} restarts the machine after {seconds} s without a sign of life",
            armed.name
        )),
        Err(reason) => console::note(&format!("{} runs with its own timeout ({reason})", armed.name)),
    }
    armed
}

fn first_entry(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.min()
}
