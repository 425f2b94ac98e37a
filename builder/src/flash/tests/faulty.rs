//! A medium that fails as it is told.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use nix::errno::Errno;

use crate::flash::medium::Medium;
use crate::gpt::SECTOR_BYTES;

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Less than asked for is done.
    Short(usize),
    /// Only a part is kept, and all is reported as done.
    Torn(usize),
    /// One bit of what is written or read is another one.
    Flipped(usize),
    /// It is reported as done, and nothing is.
    Dropped,
    /// It fails.
    Error(Errno),
    /// It fails, and so does everything from here on.
    Vanished(Errno),
}

#[derive(Debug, Default)]
struct Inner {
    /// What survives a power cut, and what lies in the medium's cache: writes since the last flush, in order.
    kept: Vec<u8>,
    cached: Vec<(usize, Vec<u8>)>,
    calls: usize,
    gone: Option<Errno>,
}

/// A medium that fails as it is told.
#[derive(Debug)]
pub(super) struct Faulty {
    inner: Mutex<Inner>,
    /// By the number of the call.
    faults: BTreeMap<usize, Fault>,
    claimed: usize,
    /// The real size: beyond it everything wraps around.
    real: usize,
}

impl Faulty {
    pub(super) fn new(content: Vec<u8>, faults: BTreeMap<usize, Fault>) -> Self {
        let (claimed, real) = (content.len(), content.len());
        let inner = Inner {
            kept: content,
            ..Inner::default()
        };
        Self {
            inner: Mutex::new(inner),
            faults,
            claimed,
            real,
        }
    }

    /// One that says it has `claimed` bytes.
    pub(super) fn lying(real: usize, claimed: usize) -> Self {
        let mut medium = Self::new(vec![0xaa; real], BTreeMap::new());
        medium.claimed = claimed;
        medium
    }

    fn begin(&self) -> io::Result<(std::sync::MutexGuard<'_, Inner>, Option<&Fault>)> {
        let mut inner = self.inner.lock().unwrap();
        let fault = self.faults.get(&inner.calls);
        inner.calls += 1;
        match fault {
            Some(Fault::Vanished(errno)) => inner.gone = Some(*errno),
            Some(Fault::Error(errno)) => return Err((*errno).into()),
            _ => {}
        }
        match inner.gone {
            Some(errno) => Err(errno.into()),
            None => Ok((inner, fault)),
        }
    }

    /// What is on it when it is asked now.
    pub(super) fn content(&self) -> Vec<u8> {
        let inner = self.inner.lock().unwrap();
        inner.seen()
    }

    /// What is left after a power cut, of unflushed writes only those that `survives` says.
    pub(super) fn after_power_cut(&self, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        let inner = self.inner.lock().unwrap();
        let mut content = inner.kept.clone();
        for (number, (at, bytes)) in inner.cached.iter().enumerate() {
            if survives(number) {
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        content
    }
}

impl Inner {
    fn seen(&self) -> Vec<u8> {
        let mut content = self.kept.clone();
        for (at, bytes) in &self.cached {
            content[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        content
    }
}

impl Medium for Faulty {
    fn len_bytes(&self) -> u64 {
        self.claimed as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (inner, fault) = self.begin()?;
        assert!(offset.is_multiple_of(SECTOR_BYTES) && buffer.len().is_multiple_of(512));
        let count = match fault {
            Some(Fault::Short(part)) => part % (buffer.len() + 1),
            _ => buffer.len(),
        };
        let from = offset as usize % self.real;
        buffer[..count].copy_from_slice(&inner.kept[from..from + count]);
        // Later writes over earlier ones, and over what is kept.
        for (at, bytes) in &inner.cached {
            let shared = from.max(*at)..(from + count).min(at + bytes.len());
            if shared.start < shared.end {
                buffer[shared.start - from..shared.end - from]
                    .copy_from_slice(&bytes[shared.start - at..shared.end - at]);
            }
        }
        if let (Some(Fault::Flipped(at)), true) = (fault, count > 0) {
            buffer[at % count] ^= 4;
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (mut inner, fault) = self.begin()?;
        assert!(offset.is_multiple_of(SECTOR_BYTES) && bytes.len().is_multiple_of(512));
        let mut bytes = bytes.to_vec();
        let mut told = bytes.len();
        match fault {
            Some(Fault::Short(part)) => {
                told = part % (bytes.len() + 1);
                bytes.truncate(told);
            }
            Some(Fault::Torn(part)) => bytes.truncate(part % (told + 1)),
            Some(Fault::Flipped(at)) => bytes[at % told] ^= 4,
            Some(Fault::Dropped) => bytes.clear(),
            _ => {}
        }
        inner.cached.push((offset as usize % self.real, bytes));
        Ok(told)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut inner, fault) = self.begin()?;
        if !matches!(fault, Some(Fault::Dropped)) {
            inner.kept = inner.seen();
            inner.cached.clear();
        }
        Ok(())
    }
}
