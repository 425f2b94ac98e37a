//! The parameters behind a path's `?`, as Go's net/url reads them.

/// Parameters in the order in which they came.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// None if it cannot be decoded: Go would pass over such a parameter, and then the server would mean something else
    /// than what is understood here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                // Go refuses it, since it once parted parameters.
                let plain = !parameter.contains(';');
                plain.then(|| Some((decode(name)?, decode(value)?)))?
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The first of this name: the only one that the API server looks at.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(candidate, _)| candidate == name)?;
        Some(&first.1)
    }

    /// Whether a switch is on. Anything but `0` and `false` is on, even nothing (k8s.io/apimachinery, runtime/conversion.go,
    /// `Convert_Slice_string_To_bool`).
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.first(name)
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// All parameters but these and empty ones, sorted.
    pub(super) fn canonical(&self, without: &[&str]) -> String {
        let mut kept: Vec<String> = self
            .0
            .iter()
            .filter(|(name, value)| !without.contains(&name.as_str()) && !value.is_empty())
            .map(|(name, value)| format!("{}={}", escape(name).replace('=', "%3D"), escape(value)))
            .collect();
        kept.sort_unstable();
        kept.join("&")
    }
}

/// What would end a value stays encoded.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('&', "%26")
}

/// Form encoding: `+` is a space, and `%` comes with two hex digits.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(bytes.next())? << 4 | digit(bytes.next())?).ok()?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
