//! Random letters from the operating system.

use std::fs::File;
use std::io::Read;

use skerry_firstboot::join_config::BootstrapToken;
use skerry_firstboot::secret::Secret;

use super::TokenError;

/// The characters of a token (Kubernetes documentation, "Token Format").
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Larger bytes would make the first letters more frequent than the others.
const LIMIT: u8 = 252;

/// A new token: 31 bits that are public, 82 that are secret.
pub(super) fn token() -> Result<BootstrapToken, TokenError> {
    let mut source = File::open("/dev/urandom").map_err(TokenError::Random)?;
    Ok(BootstrapToken {
        id: letters(&mut source, BootstrapToken::ID_LEN)?,
        secret: Secret::new(letters(&mut source, BootstrapToken::SECRET_LEN)?),
    })
}

fn letters(source: &mut impl Read, count: usize) -> Result<String, TokenError> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut byte = [0];
        source.read_exact(&mut byte).map_err(TokenError::Random)?;
        if byte[0] < LIMIT {
            text.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let all: Vec<u8> = (0..=255).collect();
        let text = letters(&mut &all[..], 252).unwrap();
        for letter in LETTERS {
            assert_eq!(text.bytes().filter(|byte| byte == letter).count(), 7);
        }
        assert!(letters(&mut &all[252..], 1).is_err());
    }

    #[test]
    fn no_two_tokens_are_equal_and_each_is_one() {
        let (first, second) = (token().unwrap(), token().unwrap());
        assert_ne!(first.secret, second.secret);
        assert_eq!(first.whole().expose().parse::<BootstrapToken>().unwrap(), first);
    }
}
