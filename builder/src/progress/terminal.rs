//! Progress as bars on a terminal, or as a line per long task where no bars can be drawn.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Reporter, TaskId, Work};
use crate::printer::{self, Printer};

/// Bars that are drawn at once, unless there is a reason for more.
const USUAL_ROWS: usize = 5;
/// Tasks smaller than this are not worth a line in a log.
const LONG_TASK_BYTES: u64 = 1 << 20;

/// Bars, drawn ten times a second at most and cleared when they are done.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    running: Mutex<HashMap<TaskId, ProgressBar>>,
    next: AtomicUsize,
    /// So many are drawn at once; the others run unseen.
    rows: usize,
}

impl Bars {
    /// At most so many bars at once.
    pub fn with_rows(rows: usize) -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            running: Mutex::new(HashMap::new()),
            next: AtomicUsize::new(0),
            rows,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TaskId, ProgressBar>) -> T) -> T {
        // A panic while drawing leaves nothing half done that matters.
        act(&mut self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Reporter for Bars {
    fn start(&self, name: &str, work: Work) -> TaskId {
        let id = TaskId(self.next.fetch_add(1, Ordering::Relaxed));
        self.with(|running| {
            if running.len() >= self.rows {
                return;
            }
            let (bar, template) = match work {
                Work::Bytes(len) => (
                    ProgressBar::new(len),
                    "{msg:30!} {wide_bar:.green} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {eta:>4}",
                ),
                Work::Items(len) => (
                    ProgressBar::new(len),
                    "{msg:30!} {wide_bar:.green} {pos:>6}/{len} {eta:>4}",
                ),
                Work::Unknown => (ProgressBar::new_spinner(), "{msg:30!} {spinner} {elapsed}"),
            };
            let style = ProgressStyle::with_template(template).expect("the templates above are well formed");
            let bar = self.all.add(bar.with_style(style).with_message(name.to_owned()));
            if work == Work::Unknown {
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            running.insert(id, bar);
        });
        id
    }

    fn advance(&self, task: TaskId, amount: u64) {
        self.with(|running| running.get(&task).inspect(|bar| bar.inc(amount)).is_some());
    }

    fn finish(&self, task: TaskId) {
        if let Some(bar) = self.with(|running| running.remove(&task)) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

/// One line for each long task when it starts; for logs.
#[derive(Debug)]
pub struct Lines {
    printer: Printer,
}

impl Lines {
    /// Lines through `printer`.
    pub const fn new(printer: Printer) -> Self {
        Self { printer }
    }
}

impl Reporter for Lines {
    fn start(&self, name: &str, work: Work) -> TaskId {
        match work {
            Work::Bytes(len) if len >= LONG_TASK_BYTES => {
                self.printer.say(&format!("{name} ({})", printer::bytes(len)))
            }
            Work::Unknown => self.printer.say(name),
            _ => {}
        }
        TaskId(0)
    }

    fn advance(&self, _task: TaskId, _amount: u64) {}

    fn finish(&self, _task: TaskId) {}
}

/// The reporter that suits the printer.
pub fn for_printer(printer: &Printer) -> Box<dyn Reporter> {
    with_rows(printer, USUAL_ROWS)
}

/// The same with a bar for each of so many tasks at once.
pub fn with_rows(printer: &Printer, rows: usize) -> Box<dyn Reporter> {
    match printer.draws_bars() {
        true => Box::new(Bars::with_rows(rows)),
        false => Box::new(Lines::new(*printer)),
    }
}
