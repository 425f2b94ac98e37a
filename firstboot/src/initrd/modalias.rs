//! Shell patterns as `modules.alias` uses them (fnmatch(3) without flags): `*`, `?`, `[a-z]`, `[!a-z]`.
//!
//! Deliberately not supported: backslash escapes and named classes, which depmod never writes.

/// Whether `text` as a whole matches `pattern`. Takes at most pattern length times text length steps.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where to continue after the last star: behind it in the pattern, and one byte further in the text each time.
    let mut last_star: Option<(usize, usize)> = None;
    while from < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            last_star = Some((at, from));
        } else if let Some(len) = match_one(&pattern[at..], text[from]) {
            at += len;
            from += 1;
        } else if let Some((behind, tried)) = last_star {
            at = behind;
            from = tried + 1;
            last_star = Some((behind, from));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern describe `byte`; none if they describe another.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => match set(pattern) {
            Some((len, members)) => members.contains(byte).then_some(len),
            // An unclosed bracket stands for itself.
            None => (byte == b'[').then_some(1),
        },
        literal => (*literal == byte).then_some(1),
    }
}

struct Set<'a> {
    negated: bool,
    members: &'a [u8],
}

impl Set<'_> {
    fn contains(&self, byte: u8) -> bool {
        let mut rest = self.members;
        let mut found = false;
        while let Some((first, tail)) = rest.split_first() {
            rest = match tail {
                [b'-', last, behind @ ..] => {
                    found |= (*first..=*last).contains(&byte);
                    behind
                }
                _ => {
                    found |= *first == byte;
                    tail
                }
            };
        }
        found != self.negated
    }
}

/// The set that the pattern begins with, and its length including the brackets.
fn set(pattern: &[u8]) -> Option<(usize, Set<'_>)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = if negated { 2 } else { 1 };
    // A closing bracket right at the start is a member.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|byte| *byte == b']')?;
    let members = &pattern[start..end];
    Some((end + 1, Set { negated, members }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn device_names_of_real_machines_match_their_patterns() {
        for (pattern, text) in [
            (
                "pci:v*d*sv*sd*bc01sc08i02*",
                "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02",
            ),
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4"),
            (
                "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
                "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00",
            ),
            ("scsi:t-0x00*", "scsi:t-0x00"),
            (
                "cpu:type:x86,ven*fam*mod*:feature:*0089*",
                "cpu:type:x86,ven0002fam000Fmod006B:feature:,0000,0089,00",
            ),
            ("usb:v04E6p000Cd010[0-9]dc*", "usb:v04E6p000Cd0105dc00"),
            ("a[]x]b", "a]b"),
            ("a[!0-9]b", "axb"),
            ("a[b", "a[b"),
            ("**", ""),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn other_device_names_do_not_match() {
        for (pattern, text) in [
            (
                "pci:v*d*sv*sd*bc01sc06i01*",
                "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02",
            ),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4"),
            ("usb:v04E6p000Cd010[0-9]dc*", "usb:v04E6p000Cd010Adc00"),
            ("a[!0-9]b", "a5b"),
            ("a?", "a"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_made_of_stars_ends_in_bounded_time() {
        assert!(!matches(&"a*".repeat(200), &"a".repeat(199)));
    }

    /// The definition of a match, slow and obvious.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                by_definition(rest, text) || (!text.is_empty() && by_definition(pattern, &text[1..]))
            }
            ([b'?', rest @ ..], [_, tail @ ..]) => by_definition(rest, tail),
            ([byte, rest @ ..], [first, tail @ ..]) => byte == first && by_definition(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn stars_and_question_marks_mean_what_their_definition_says(pattern in "[ab?*]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_pattern_makes_it_stumble(pattern in "\\PC{0,20}", text in "\\PC{0,20}") {
            let _ = matches(&pattern, &text);
        }
    }
}
