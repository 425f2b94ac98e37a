//! News of devices from the kernel (netlink family `NETLINK_KOBJECT_UEVENT`; lib/kobject_uevent.c).
//!
//! A message is `ACTION@DEVPATH`, then `KEY=VALUE` fields, each ended by a NUL. The `uevent` files in /sys hold the same
//! fields, one a line.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket, sockopt,
};

use super::console;
use super::failure::BootError;

/// The multicast group of the kernel's own messages; group 2 is udev's.
const KERNEL_GROUP: u32 = 1;
/// `UEVENT_BUFFER_SIZE` plus the header, rounded up.
const MESSAGE_MAX_BYTES: usize = 8192;
/// Enough for the burst while many drivers load.
const BUFFER_BYTES: usize = 1 << 20;

/// The fields of one message or `uevent` file.
pub type Fields = BTreeMap<String, String>;

/// What came in since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A device was added or changed.
    Device(Fields),
    /// Messages were lost: look at everything again.
    Lost,
}

/// Reads `KEY=VALUE` fields that `separator` ends.
pub fn parse_fields(text: &str, separator: char) -> Fields {
    text.split(separator)
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A message as the kernel sends it; none for removals and for what is no kernel message.
fn parse_message(bytes: &[u8]) -> Option<Fields> {
    let text = String::from_utf8_lossy(bytes);
    let (title, fields) = text.split_once('\0')?;
    let (action, _) = title.split_once('@')?;
    (action != "remove").then(|| parse_fields(fields, '\0'))
}

/// An open ear.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Starts to listen; messages are kept by the kernel from now on.
    pub fn open() -> Result<Self, BootError> {
        Self::try_open().map(Self).map_err(BootError::Events)
    }

    fn try_open() -> Result<OwnedFd, Errno> {
        let ear = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        // Without a larger buffer a burst is lost sooner; `News::Lost` covers that.
        if let Err(reason) = setsockopt(&ear, sockopt::RcvBufForce, &BUFFER_BYTES) {
            console::detail(&format!("device events have only the default buffer: {reason}"));
        }
        bind(ear.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(ear)
    }

    /// Waits up to `limit` for something to happen, then returns all that has; empty if nothing did.
    pub fn wait(&mut self, limit: Duration) -> Vec<News> {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        // An interrupted or failed wait is a short one; the caller looks again either way.
        let _ = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], limit);
        let mut news = Vec::new();
        let mut buffer = [0; MESSAGE_MAX_BYTES];
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(len) => news.extend(parse_message(&buffer[..len]).map(News::Device)),
                Err(Errno::ENOBUFS) => news.push(News::Lost),
                Err(Errno::EINTR) => {}
                Err(_) => return news,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: &[u8] =
        b"add@/devices/pci0000:00/0000:00:04.0\0ACTION=add\0SUBSYSTEM=pci\0MODALIAS=pci:v1AF4\0SEQNUM=7\0";

    #[test]
    fn an_added_device_is_told_with_its_fields() {
        let fields = parse_message(ADDED).unwrap();
        assert_eq!(fields["MODALIAS"], "pci:v1AF4");
        assert_eq!(fields["SUBSYSTEM"], "pci");
    }

    #[test]
    fn removals_and_other_senders_are_no_news() {
        assert_eq!(parse_message(b"remove@/devices/x\0ACTION=remove\0"), None);
        assert_eq!(parse_message(b"libudev\0\xfe\xed\xca\xfe"), None);
        assert_eq!(parse_message(b""), None);
    }

    #[test]
    fn a_uevent_file_has_one_field_a_line() {
        let fields = parse_fields("MAJOR=8\nDEVNAME=sda1\nPARTNAME=a=b\n", '\n');
        assert_eq!(fields["PARTNAME"], "a=b");
        assert_eq!(fields.len(), 3);
    }
}
