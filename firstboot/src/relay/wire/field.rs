//! Fields of a protobuf message (protobuf.dev, "Encoding"), each with the bytes that it is made of.

use super::Flaw;

/// The bytes that a number of 64 bits takes at most, seven bits in each.
const MAX_NUMBER_BYTES: usize = 10;
/// The largest number of a field.
const MAX_FIELD: u64 = (1 << 29) - 1;

/// A field of a message that is there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    /// The content, of fields that have a length; none of numbers.
    pub(super) content: Option<&'a [u8]>,
    /// All of it, from its tag on.
    pub(super) whole: &'a [u8],
}

impl<'a> Field<'a> {
    /// The content of what must be a message, a text or bytes.
    pub(super) fn bytes(&self) -> Result<&'a [u8], Flaw> {
        self.content.ok_or(Flaw::OtherType(self.number))
    }

    /// The value of a number of the common kind, seven bits to the byte.
    pub(super) fn integer(&self) -> Result<u64, Flaw> {
        let header = header(self.whole)?.ok_or(Flaw::Cut)?;
        match (self.whole[0] & 7, number(&self.whole[header.len..])?) {
            (0, Some((value, _))) => Ok(value),
            _ => Err(Flaw::OtherType(self.number)),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, Flaw> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Flaw::NotText(self.number))
    }
}

/// What a field begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) number: u32,
    /// Bytes of the tag and, if there is one, of the length.
    pub(super) len: usize,
    /// What comes after it.
    pub(super) body: Body,
}

/// What comes after a field's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// A message, text or bytes of this length.
    Sized(u64),
    /// A number, in this many bytes.
    Number(u64),
}

impl Body {
    pub(super) fn len(self) -> u64 {
        match self {
            Self::Sized(len) | Self::Number(len) => len,
        }
    }
}

/// The header of a field; none if the bytes end within it.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, Flaw> {
    let Some((tag, tag_len)) = number(bytes)? else {
        return Ok(None);
    };
    let field = tag >> 3;
    if field == 0 || field > MAX_FIELD {
        return Err(Flaw::BadTag(tag));
    }
    let rest = &bytes[tag_len..];
    let (len, body) = match tag & 7 {
        0 => match number(rest)? {
            Some((_, len)) => (tag_len, Body::Number(len as u64)),
            None => return Ok(None),
        },
        1 => (tag_len, Body::Number(8)),
        2 => match number(rest)? {
            Some((content, len)) => (tag_len + len, Body::Sized(content)),
            None => return Ok(None),
        },
        5 => (tag_len, Body::Number(4)),
        // Groups, which Kubernetes never had, and two that nobody has.
        _ => return Err(Flaw::BadTag(tag)),
    };
    let number = u32::try_from(field).map_err(|_| Flaw::BadTag(tag))?;
    Ok(Some(Header { number, len, body }))
}

/// A number at the beginning of `bytes`, and how many of them it takes; none if they end within it.
fn number(bytes: &[u8]) -> Result<Option<(u64, usize)>, Flaw> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(MAX_NUMBER_BYTES).enumerate() {
        let digit = u64::from(byte & 0x7f);
        // The tenth has room for one bit.
        if index == MAX_NUMBER_BYTES - 1 && *byte > 1 {
            return Err(Flaw::BadNumber);
        }
        value |= digit << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    Ok(None)
}

/// The fields of a message, in their order.
pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// Iterator over the fields of a message; it ends after a flaw.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = take(self.rest);
        self.rest = match &taken {
            Ok(field) => &self.rest[field.whole.len()..],
            Err(_) => &[],
        };
        Some(taken)
    }
}

fn take(bytes: &[u8]) -> Result<Field<'_>, Flaw> {
    let header = header(bytes)?.ok_or(Flaw::Cut)?;
    let body = usize::try_from(header.body.len()).map_err(|_| Flaw::Cut)?;
    let end = header.len.checked_add(body).filter(|end| *end <= bytes.len());
    let whole = &bytes[..end.ok_or(Flaw::Cut)?];
    Ok(Field {
        number: header.number,
        content: matches!(header.body, Body::Sized(_)).then(|| &whole[header.len..]),
        whole,
    })
}

/// Appends a number.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the tag and the length of a field with a content of `len` bytes.
pub(super) fn put_head(out: &mut Vec<u8>, field: u32, len: u64) {
    put_number(out, u64::from(field) << 3 | 2);
    put_number(out, len);
}

/// Appends a field with this content.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    put_head(out, field, content.len() as u64);
    out.extend_from_slice(content);
}

/// Appends a field that is a number.
pub(super) fn put_number_field(out: &mut Vec<u8>, field: u32, value: u64) {
    put_number(out, u64::from(field) << 3);
    put_number(out, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_those_of_the_specification() {
        // protobuf.dev/programming-guides/encoding: 150 is 96 01; minus one takes ten bytes.
        assert_eq!(number(&[0x96, 0x01, 0xff]), Ok(Some((150, 2))));
        let all = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(number(&all), Ok(Some((u64::MAX, 10))));
        assert_eq!(number(&all[..9]), Ok(None));
        assert_eq!(number(&[0xff; 10]), Err(Flaw::BadNumber));
        assert_eq!(
            number(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]),
            Err(Flaw::BadNumber)
        );
    }

    #[test]
    fn fields_of_every_type_are_taken_whole() {
        let message = b"\x08\x96\x01\x12\x07testing\x19abcdefgh\x25abcd";
        let found: Vec<Field<'_>> = fields(message).collect::<Result<_, _>>().unwrap();
        let numbers: Vec<u32> = found.iter().map(|field| field.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!(found[1].text(), Ok("testing"));
        assert_eq!(found[0].integer(), Ok(150));
        assert_eq!(found[0].bytes(), Err(Flaw::OtherType(1)));
        assert_eq!(found[1].integer(), Err(Flaw::OtherType(2)));
        assert_eq!(found[2].integer(), Err(Flaw::OtherType(3)));
        let wholes: Vec<&[u8]> = found.iter().map(|field| field.whole).collect();
        assert_eq!(wholes.concat(), message);
    }

    #[test]
    fn what_is_no_field_is_refused_and_ends_the_message() {
        for (message, flaw) in [
            (&b"\x0a"[..], Flaw::Cut),
            (b"\x0a\x05abcd", Flaw::Cut),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Flaw::Cut),
            (b"\x08", Flaw::Cut),
            (b"\x25abc", Flaw::Cut),
            (b"\x02\x00", Flaw::BadTag(2)),
            (b"\x0b\x0c", Flaw::BadTag(11)),
            (b"\x0e", Flaw::BadTag(14)),
            (b"\x82\x80\x80\x80\x10\x00", Flaw::BadTag(1 << 32 | 2)),
        ] {
            assert_eq!(fields(message).collect::<Vec<_>>(), [Err(flaw)], "{message:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(field in 1u32..(1 << 29), value: u64, content: Vec<u8>) {
            let mut message = Vec::new();
            put_number_field(&mut message, field, value);
            put_bytes(&mut message, field, &content);
            let found: Vec<Field<'_>> = fields(&message).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(found.len(), 2);
            prop_assert_eq!(found[0].integer(), Ok(value));
            prop_assert_eq!(found[1].content, Some(&content[..]));
            prop_assert!(found.iter().all(|found| found.number == field));
        }

        #[test]
        fn no_bytes_make_it_panic(message: Vec<u8>) {
            let mut read = 0;
            for field in fields(&message).flatten() {
                read += field.whole.len();
            }
            prop_assert!(read <= message.len());
        }
    }
}
