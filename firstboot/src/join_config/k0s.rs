//! k0s' join token: base64 of gzip of a kubeconfig.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;

use super::MAX_BYTES;

/// What gzip begins with (RFC 1952 §2.3.1), in base64.
const GZIP: &str = "H4sI";

/// The user in a controller's token (`pkg/token/joinclient.go`).
pub(super) const CONTROLLER_USER: &str = "controller-bootstrap";

/// A token that holds no kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum K0sError {
    /// Letters that are not base64's, or too few of them.
    #[error("it is not base64")]
    Base64,
    /// What is packed in it is damaged.
    #[error("it is cut off or damaged")]
    Gzip,
    /// It unpacks to more than any kubeconfig.
    #[error("it unpacks to more than {MAX_BYTES} bytes")]
    TooLarge,
    /// For a controller.
    #[error("it is a token for another k0s controller, not for a worker")]
    Controller,
}

impl K0sError {
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Controller => "make one with `k0s token create --role=worker`",
            _ => "copy the whole token again, or make one with `k0s token create --role=worker`",
        }
    }
}

/// Whether `text` could be such a token.
pub(super) fn is_token(text: &str) -> bool {
    text.trim_start().starts_with(GZIP)
}

/// The kubeconfig in `token`.
pub(super) fn unpack(token: &str) -> Result<Vec<u8>, K0sError> {
    let packed: String = token.split_ascii_whitespace().collect();
    let packed = STANDARD.decode(packed).map_err(|_| K0sError::Base64)?;
    let mut kubeconfig = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    GzDecoder::new(packed.as_slice())
        .take(limit)
        .read_to_end(&mut kubeconfig)
        .map_err(|_| K0sError::Gzip)?;
    match kubeconfig.len() > MAX_BYTES {
        true => Err(K0sError::TooLarge),
        false => Ok(kubeconfig),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::*;

    pub(in super::super) fn pack(content: &[u8]) -> String {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(content).unwrap();
        STANDARD.encode(packer.finish().unwrap())
    }

    #[test]
    fn a_token_unpacks_to_what_was_packed_also_when_lines_were_broken() {
        let token = pack(b"kind: Config\n");
        assert!(is_token(&token));
        assert_eq!(unpack(&token).unwrap(), b"kind: Config\n");
        let broken = format!(" {}\r\n{}\n", &token[..9], &token[9..]);
        assert_eq!(unpack(&broken).unwrap(), b"kind: Config\n");
    }

    #[test]
    fn damaged_and_oversized_tokens_are_refused() {
        let token = pack(b"kind: Config\n");
        assert_eq!(unpack(&token[..token.len() - 8]), Err(K0sError::Gzip));
        assert_eq!(unpack(&token[..token.len() - 1]), Err(K0sError::Base64));
        assert_eq!(unpack(&pack(&vec![b' '; MAX_BYTES + 1])), Err(K0sError::TooLarge));
        assert_eq!(
            unpack(&pack(&vec![b' '; MAX_BYTES])).map(|bytes| bytes.len()),
            Ok(MAX_BYTES)
        );
    }
}
