//! Text that must not be shown, logged or kept.

use std::fmt;

use zeroize::ZeroizeOnDrop;

/// A secret: its `Debug` and `Display` say so instead of telling it, and its memory is overwritten when it goes.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes over `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_tells_the_secret() {
        let secret = Secret::new("0123456789abcdef");
        assert!(!format!("{secret:?} {secret} {secret:#?}").contains("0123"));
        assert_eq!(secret.expose(), "0123456789abcdef");
    }
}
