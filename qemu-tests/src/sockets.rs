//! The kernel's tables of sockets (proc(5), `/proc/net/tcp` and its like): who could be reached from elsewhere.

/// A DHCP client hears its server there (RFC 2131 §4.1, RFC 8415 §7.2); nothing else is answered.
const DHCP_CLIENT_PORTS: [u16; 2] = [68, 546];
/// `TCP_LISTEN` and, for UDP, "not connected" (include/net/tcp_states.h).
const LISTENING: [&str; 2] = ["0A", "07"];

/// Port and line of each socket in a text with such tables that somebody else could reach, in the text's order.
pub fn reachable(text: &str) -> Vec<(u16, String)> {
    let with_line = |line: &str| Some((reachable_port(line)?, line.to_owned()));
    text.lines().filter_map(with_line).collect()
}

/// The port of a line such as `0: 0100007F:0035 00000000:0000 0A …`, whatever stands before it.
fn reachable_port(line: &str) -> Option<u16> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words
        .windows(3)
        .find(|words| LISTENING.contains(&words[2]) && words[1].ends_with(":0000"))?;
    let (address, port) = place[0].split_once(':')?;
    let loopback = address.ends_with("7F") && address.len() == 8 || address == "00000000000000000000000001000000";
    let port = u16::from_str_radix(port, 16).ok()?;
    (!loopback && !DHCP_CLIENT_PORTS.contains(&port)).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found_among_those_of_loopback_and_dhcp() {
        let lines = "cat[9]:    0: 0100007F:0035 00000000:0000 0A 00000000:00000000\n\
            cat[9]:    1: 00000000:0016 00000000:0000 0A 00000000:00000000\n\
            cat[9]:    2: 0F02000A:0044 00000000:0000 07 00000000:00000000\n";
        let found: Vec<u16> = reachable(lines).into_iter().map(|(port, _)| port).collect();
        assert_eq!(found, [22]);
    }
}
