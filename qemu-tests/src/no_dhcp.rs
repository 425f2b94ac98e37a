//! A network without a DHCP server: what a machine asks one is thrown away before QEMU's own could answer.
//!
//! QEMU hands each packet that the machine sends to this process and takes back what it gets (`filter-redirector`): a
//! length of four bytes, big-endian, and an Ethernet frame.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tempfile::TempDir;

const ETHERNET_HEADER_BYTES: usize = 14;
const IPV4: [u8; 2] = [8, 0];
const UDP: u8 = 17;
/// Where DHCP servers hear (RFC 2131 §4.1).
const DHCP_SERVER_PORT: u16 = 67;

/// Between a machine and its network, until its QEMU ends.
#[derive(Debug)]
pub struct NoDhcp {
    asked: Arc<AtomicUsize>,
    /// A socket's path must be short.
    sockets: TempDir,
}

impl NoDhcp {
    /// One that waits for a machine.
    pub fn new() -> Self {
        let sockets = tempfile::tempdir().expect("the folder for temporary files can be written");
        let listen = |name| UnixListener::bind(sockets.path().join(name)).expect("a new folder has no sockets");
        let (sent, kept) = (listen("sent"), listen("kept"));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // It ends with an error when QEMU does.
        thread::spawn(move || pass_on(sent.accept()?.0, kept.accept()?.0, &count));
        Self { asked, sockets }
    }

    /// QEMU's arguments; its network is called `net`.
    pub fn arguments(&self) -> Vec<String> {
        let socket = |name: &str| {
            let path: &Path = self.sockets.path();
            format!("socket,id={name},path={}", path.join(name).display())
        };
        // What is sent to the network is what that receives.
        let filter = "filter-redirector,id=no-dhcp,netdev=net,queue=rx,outdev=sent,indev=kept";
        let words = [
            "-chardev",
            &socket("sent"),
            "-chardev",
            &socket("kept"),
            "-object",
            filter,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// How often the machine has asked in vain.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Default for NoDhcp {
    fn default() -> Self {
        Self::new()
    }
}

fn pass_on(mut sent: impl Read, mut kept: impl Write, asked: &AtomicUsize) -> io::Result<()> {
    loop {
        let mut len = [0; 4];
        sent.read_exact(&mut len)?;
        let mut packet = len.to_vec();
        packet.resize(4 + u32::from_be_bytes(len) as usize, 0);
        sent.read_exact(&mut packet[4..])?;
        match udp_destination(&packet[4..]) {
            Some(DHCP_SERVER_PORT) => drop(asked.fetch_add(1, Ordering::Relaxed)),
            _ => kept.write_all(&packet)?,
        }
    }
}

/// The UDP port that an Ethernet frame with an IPv4 packet (RFC 791 §3.1) goes to.
fn udp_destination(frame: &[u8]) -> Option<u16> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET_HEADER_BYTES)?;
    let header_bytes = usize::from(packet.first()? & 0xf) * 4;
    let is_udp = ethernet[12..] == IPV4 && *packet.get(9)? == UDP;
    let port = packet.get(header_bytes + 2..header_bytes + 4)?;
    is_udp.then(|| u16::from_be_bytes([port[0], port[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with an IPv4 packet of `protocol` to `port`, with its length before it.
    fn packet(protocol: u8, port: u16) -> Vec<u8> {
        let mut frame = [vec![0xff; 12], IPV4.to_vec(), vec![0x45; 1], vec![0; 19]].concat();
        frame[ETHERNET_HEADER_BYTES + 9] = protocol;
        frame.extend([0, 68]);
        frame.extend(port.to_be_bytes());
        [u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec(), frame].concat()
    }

    #[test]
    fn questions_for_an_address_vanish_and_all_else_is_passed_on() {
        let others = [packet(UDP, 53), packet(6, 67), vec![0, 0, 0, 3, 1, 2, 3]].concat();
        let sent = [packet(UDP, 67), others.clone(), packet(UDP, 67)].concat();
        let (mut kept, asked) = (Vec::new(), AtomicUsize::new(0));
        let end = pass_on(sent.as_slice(), &mut kept, &asked).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!((kept, asked.into_inner()), (others, 2));
    }
}
