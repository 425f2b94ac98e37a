//! Whether containerd answers: its socket accepts a connection and speaks HTTP/2, as gRPC does.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Where containerd listens.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// The client's connection preface and an empty SETTINGS frame (RFC 9113 §3.4, §6.5).
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// Length of a frame's header and the place of its type in it (RFC 9113 §4.1).
const FRAME_HEADER_LEN: usize = 9;
const TYPE_AT: usize = 3;
const TYPE_SETTINGS: u8 = 4;

/// Whether the server behind `socket` greets as HTTP/2 asks it to: with a SETTINGS frame, within `patience`.
pub fn answers(socket: &Path, patience: Duration) -> bool {
    greet(socket, patience).unwrap_or(false)
}

fn greet(socket: &Path, patience: Duration) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(HELLO)?;
    let mut header = [0; FRAME_HEADER_LEN];
    stream.read_exact(&mut header)?;
    Ok(header[TYPE_AT] == TYPE_SETTINGS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn server(reply: &'static [u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; HELLO.len()];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(reply).unwrap();
        });
        (folder, path)
    }

    #[test]
    fn a_server_that_sends_its_settings_answers() {
        let (_folder, path) = server(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00");
        assert!(answers(&path, Duration::from_secs(20)));
    }

    #[test]
    fn another_protocol_or_no_server_is_no_answer() {
        let (_folder, path) = server(b"HTTP/1.1 400 Bad Request\r\n");
        assert!(!answers(&path, Duration::from_secs(20)));
        assert!(!answers(Path::new("/nonexistent/socket"), Duration::from_secs(20)));
    }
}
