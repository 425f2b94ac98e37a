//! Whose a connection on loopback is, by the kernel's word: `/proc/net/tcp` names the socket at its other end, and the
//! processes of a service, which are those of its control group, have their sockets in `/proc/PID/fd`.
//!
//! Nobody but root and those processes can put a socket there. Reading it takes root with all the rights that the service
//! has, or `CAP_SYS_PTRACE`. The kernel can tell the control group of a socket directly (sock_diag), but by a module that
//! not every image has.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

/// Where the kernel lists processes.
const PROC: &str = "/proc";
/// Where it lists those of kubelet.
const KUBELET: &str = "/sys/fs/cgroup/runtime.slice/kubelet.service/cgroup.procs";
/// `TCP_ESTABLISHED` in `include/net/tcp_states.h`.
const ESTABLISHED: &str = "01";

/// The owner of a connection's other end that is asked for.
#[derive(Debug, Clone)]
pub struct SocketOwner {
    proc: PathBuf,
    /// A file with the ids of its processes, one a line.
    processes: PathBuf,
}

impl SocketOwner {
    /// kubelet, as systemd runs it.
    pub fn kubelet() -> Self {
        Self::of(PathBuf::from(KUBELET))
    }

    /// The processes whose ids are in the file `processes`, one a line.
    pub fn of(processes: PathBuf) -> Self {
        Self {
            proc: PathBuf::from(PROC),
            processes,
        }
    }

    /// Whether the end at `from` of a connection to `to` is open in one of the owner's processes.
    pub fn has(&self, from: SocketAddrV4, to: SocketAddrV4) -> io::Result<bool> {
        let Some(inode) = self.socket(from, to)? else {
            return Ok(false);
        };
        let socket = OsString::from(format!("socket:[{inode}]"));
        let processes = fs::read_to_string(&self.processes)?;
        let process_ids = processes.lines().filter_map(|line| line.parse::<u32>().ok());
        for process_id in process_ids {
            let folder = self.proc.join(process_id.to_string()).join("fd");
            // A process may end while it is looked at.
            if holds(&folder, &socket).or_else(gone)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The number of the socket at `from`.
    fn socket(&self, from: SocketAddrV4, to: SocketAddrV4) -> io::Result<Option<u64>> {
        let (from, to) = (hex(from), hex(to));
        for line in BufReader::new(File::open(self.proc.join("net/tcp"))?).lines() {
            let line = line?;
            let columns: Vec<&str> = line.split_whitespace().collect();
            if let [_, local, remote, ESTABLISHED, _, _, _, _, _, inode, ..] = columns[..]
                && (local, remote) == (&from, &to)
            {
                return Ok(inode.parse().ok());
            }
        }
        Ok(None)
    }
}

fn holds(folder: &Path, socket: &OsString) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let target = fs::read_link(entry?.path());
        if target.map(|target| target.as_os_str() == socket).or_else(gone)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn gone(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(false),
        _ => Err(error),
    }
}

/// As `/proc/net/tcp` writes it: the address as the processor reads it, the port as people do.
fn hex(address: SocketAddrV4) -> String {
    let octets = u32::from_ne_bytes(address.ip().octets());
    format!("{octets:08X}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::os::unix::process::parent_id;

    use super::*;

    fn v4(address: SocketAddr) -> SocketAddrV4 {
        match address {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => panic!("{address}"),
        }
    }

    #[test]
    fn a_connection_belongs_to_the_process_that_has_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let listed = |processes: &str| {
            let file = folder.path().join("cgroup.procs");
            fs::write(&file, processes).unwrap();
            SocketOwner::of(file)
        };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = v4(socket.local_addr().unwrap());
        let stream = TcpStream::connect(to).unwrap();
        let from = v4(stream.local_addr().unwrap());
        let own = std::process::id();
        let has = |processes: &str, from, to| listed(processes).has(from, to).unwrap();
        assert!(has(&format!("{own}\n"), from, to));
        assert!(has(&format!("{}\n4194304\n{own}\n", parent_id()), from, to));
        assert!(!has(&format!("{}\n", parent_id()), from, to));
        assert!(!has("", from, to));
        // Not the other way around, and not one that is no connection.
        let somewhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        assert!(!has(&format!("{own}\n"), somewhere, to));
        assert!(!has(&format!("{own}\n"), from, somewhere));
    }

    #[test]
    fn a_service_that_does_not_run_has_no_connection() {
        let owner = SocketOwner::of(PathBuf::from("/nowhere/cgroup.procs"));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = v4(socket.local_addr().unwrap());
        let stream = TcpStream::connect(to).unwrap();
        assert!(owner.has(v4(stream.local_addr().unwrap()), to).is_err());
    }
}
