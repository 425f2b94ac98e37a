//! A TPM 2.0 in software (`swtpm`), with its memory in a folder of the test.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::tpm::{Place, Transport};

/// TPM2_Startup(TPM_SU_CLEAR), Part 3, 9.3: what the firmware does after power-on.
const STARTUP: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0];

const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the firmware does its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Firmware {
    Starts,
    Forgets,
}

/// A TPM that has power. It ends, as by a power cut, when dropped.
pub(super) struct Swtpm {
    process: Child,
    folder: TempDir,
}

impl Swtpm {
    /// A new TPM, with a seed of its own; none, with a line that says so, if swtpm is not installed.
    pub(super) fn new(firmware: Firmware) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let process = start(&folder)?;
        let tpm = Self { process, folder };
        tpm.start_up(firmware);
        Some(tpm)
    }

    /// Cuts its power and gives it back.
    pub(super) fn power_cycle(&mut self) {
        self.cut_power();
        self.process = start(&self.folder).unwrap();
        self.start_up(Firmware::Starts);
    }

    fn cut_power(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn start_up(&self, firmware: Firmware) {
        if firmware == Firmware::Starts {
            let answer = self.connect().unwrap().exchange(&STARTUP).unwrap();
            assert_eq!(answer[6..10], [0; 4], "the TPM starts");
        }
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.cut_power();
    }
}

/// The socket exists before the program does and goes to it as standard input, so nobody needs to wait for it.
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn start(folder: &TempDir) -> Option<Child> {
    let socket = folder.path().join("socket");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let started = Command::new("swtpm")
        .args([
            "socket",
            "--tpm2",
            "--server",
            "type=unixio,fd=0",
            "--flags",
            "not-need-init",
        ])
        .arg("--tpmstate")
        .arg(format!("dir={}", folder.path().display()))
        .stdin(Stdio::from(OwnedFd::from(listener)))
        // It reports each connection that ends.
        .stderr(Stdio::null())
        .spawn();
    match started {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("skipped: no swtpm");
            None
        }
        other => Some(other.unwrap()),
    }
}

/// A connection; it ends in an error, not in a test that hangs, if the TPM does not answer.
pub(super) struct Connection(UnixStream);

impl Place for &Swtpm {
    type Connection = Connection;

    fn connect(&self) -> io::Result<Connection> {
        let stream = UnixStream::connect(self.folder.path().join("socket"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection(stream))
    }
}

impl Transport for Connection {
    fn exchange(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        self.0.write_all(command)?;
        let mut answer = Zeroizing::new(vec![0; 6]);
        self.0.read_exact(&mut answer)?;
        let len = u32::from_be_bytes([answer[2], answer[3], answer[4], answer[5]]);
        answer.resize(len as usize, 0);
        self.0.read_exact(&mut answer[6..])?;
        Ok(answer)
    }
}
