//! What a machine's network card sent and heard, as QEMU's `filter-dump` writes it: the classic pcap format.

/// The file's header: magic number, version, zone, precision, longest packet, link type (pcap-savefile(5)).
const FILE_HEADER_BYTES: usize = 24;
const MAGIC: [u8; 4] = 0xa1b2_c3d4_u32.to_le_bytes();
/// A packet's header: seconds, microseconds, length here, length on the wire.
const PACKET_HEADER_BYTES: usize = 16;
const ETHERNET_HEADER_BYTES: usize = 14;
const IPV4: [u8; 2] = [8, 0];
const UDP: u8 = 17;
/// Where DHCP servers hear (RFC 2131 §4.1).
const DHCP_SERVER_PORT: u16 = 67;

/// The packets of a capture that was cut anywhere: Ethernet frames.
pub fn packets(capture: &[u8]) -> Vec<&[u8]> {
    assert!(
        capture.starts_with(&MAGIC),
        "it is no capture of this machine's byte order"
    );
    let mut rest = &capture[FILE_HEADER_BYTES..];
    let mut packets = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(PACKET_HEADER_BYTES) {
        let len = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
        let Some((packet, after)) = after.split_at_checked(len as usize) else {
            break;
        };
        packets.push(packet);
        rest = after;
    }
    packets
}

/// Whether an Ethernet frame asks a DHCP server for an IPv4 address.
pub fn asks_for_an_address(frame: &[u8]) -> bool {
    udp_destination(frame) == Some(DHCP_SERVER_PORT)
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

    /// A frame with an IPv4 packet of `protocol` to `port`.
    fn frame(protocol: u8, port: u16) -> Vec<u8> {
        let mut frame = [vec![0xff; 12], IPV4.to_vec(), vec![0x45; 1], vec![0; 19]].concat();
        frame[ETHERNET_HEADER_BYTES + 9] = protocol;
        frame.extend([0, 68]);
        frame.extend(port.to_be_bytes());
        frame
    }

    fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = [MAGIC.to_vec(), vec![0; FILE_HEADER_BYTES - 4]].concat();
        for frame in frames {
            let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
            bytes.extend([&[0; 8], len.as_slice(), len.as_slice(), frame].concat());
        }
        bytes
    }

    #[test]
    fn a_request_for_an_address_is_told_from_other_packets() {
        let frames = [frame(UDP, 67), frame(UDP, 53), frame(6, 67), vec![1, 2, 3]];
        let bytes = capture(&frames);
        let asks: Vec<bool> = packets(&bytes).into_iter().map(asks_for_an_address).collect();
        assert_eq!(asks, [true, false, false, false]);
    }

    #[test]
    fn a_packet_that_is_cut_ends_the_capture() {
        let bytes = capture(&[frame(UDP, 67), frame(UDP, 67)]);
        assert_eq!(packets(&bytes[..bytes.len() - 1]).len(), 1);
    }
}
