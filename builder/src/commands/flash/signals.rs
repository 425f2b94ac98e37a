//! Ctrl-C while disks are being written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, FailureKind};
use crate::printer::Printer;

/// From now on the first signal sets `stop`, and the second ends the program at once.
pub(super) fn watch(stop: &Arc<AtomicBool>, printer: Printer) -> Result<(), Failure> {
    let failed = |error| Failure::new(FailureKind::Request, format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [mut interrupt, mut terminate, mut hangup] = {
        let _entered = runtime.enter();
        let [first, second, third] = kinds.map(signal);
        [first.map_err(failed)?, second.map_err(failed)?, third.map_err(failed)?]
    };
    let stop = Arc::clone(stop);
    let wait = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(FailureKind::Interrupted.exit_code().into());
            }
            printer.say("stopping as soon as the disks have answered; once more to quit at once");
        }
    };
    thread::spawn(move || runtime.block_on(wait));
    Ok(())
}
