//! Reads a list while it passes: each object as soon as its last byte is there.

use super::carry::{Carry, Step};
use super::envelope::{CONTENT_ENCODING, CONTENT_TYPE, Kind, MAGIC, RAW, TYPE_META, check_content};
use super::field::{Body, Header, fields, header};
use super::{Flaw, MAX_OBJECT_BYTES, ObjectView, WireError};

/// `metadata` (`ListMeta`) and `items` of every list.
pub(super) const LIST_META: u32 = 1;
pub(super) const ITEMS: u32 = 2;
/// Fields of `ListMeta`.
pub(super) const RESOURCE_VERSION: u32 = 2;
pub(super) const CONTINUE: u32 = 3;

/// What TypeMeta, a content encoding or a content type may take, in bytes.
const MAX_LABEL_BYTES: usize = 1 << 10;
/// What ListMeta may take, in bytes: `continue` holds the name of an object.
const MAX_META_BYTES: usize = 64 << 10;

/// A piece of a list.
#[derive(Debug)]
pub enum ListPart<'a> {
    /// Of what kind the list is; comes once and before all objects.
    Begin(&'a Kind),
    /// The next object.
    Item(ObjectView<'a>),
}

/// What is known of a list when all of it has been seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEnd {
    /// The list's own kind, such as `PodList`.
    pub kind: Kind,
    /// The state that it shows.
    pub resource_version: String,
    /// Whether there are more objects than are in it (`continue`).
    pub continues: bool,
}

/// Reads a list that comes in chunks of any size. Does not hold more than one object.
#[derive(Debug, Default)]
pub struct ListReader {
    carry: Carry,
    scan: Scan,
}

#[derive(Debug, Default)]
struct Scan {
    stage: Stage,
    kind: Option<Kind>,
    /// How much of the list is to come; none before its beginning.
    left: Option<u64>,
    resource_version: String,
    continues: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Magic,
    /// Before a field of the envelope.
    Envelope,
    /// Before the content of this field of the envelope, of so many bytes.
    Label(u32, usize),
    /// Before a field of the list.
    List,
    /// Before `ListMeta`.
    Meta(usize),
    /// Before an object.
    Item(usize),
}

impl ListReader {
    /// A reader before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on, and shows what it finds to `show`. After an error nothing more can be read.
    pub fn push(&mut self, chunk: &[u8], show: &mut impl FnMut(ListPart<'_>)) -> Result<(), WireError> {
        let scan = &mut self.scan;
        self.carry.feed(chunk, |bytes| scan.step(bytes, show))
    }

    /// What is known at the end. Fails if this is not the end.
    pub fn finish(self) -> Result<ListEnd, WireError> {
        self.carry.finish()?;
        match (self.scan.kind, self.scan.stage, self.scan.left) {
            (Some(kind), Stage::Envelope, Some(_)) => Ok(ListEnd {
                kind,
                resource_version: self.scan.resource_version,
                continues: self.scan.continues,
            }),
            (_, Stage::Envelope, _) => Err(self.carry.error(Flaw::BadEnvelope)),
            _ => Err(self.carry.error(Flaw::Cut)),
        }
    }
}

impl Scan {
    fn step(&mut self, bytes: &[u8], show: &mut impl FnMut(ListPart<'_>)) -> Result<Step, Flaw> {
        match self.stage {
            Stage::Magic => match bytes.get(..MAGIC.len()) {
                None => Ok(Step::Wants(MAGIC.len())),
                Some(magic) if *magic == MAGIC => Ok(self.goes_on(Stage::Envelope, magic.len())),
                Some(_) => Err(Flaw::NotProtobuf),
            },
            Stage::Envelope => match header(bytes)? {
                None => Ok(Step::Wants(bytes.len() + 1)),
                Some(header) => self.enter_envelope_field(header),
            },
            Stage::List => self.enter_list_field(bytes),
            Stage::Label(_, len) | Stage::Meta(len) | Stage::Item(len) => match bytes.get(..len) {
                None => Ok(Step::Wants(len)),
                Some(content) => self.read(content, show),
            },
        }
    }

    fn goes_on(&mut self, stage: Stage, took: usize) -> Step {
        self.stage = stage;
        Step::Took(took)
    }

    fn enter_envelope_field(&mut self, header: Header) -> Result<Step, Flaw> {
        match (header.number, header.body) {
            (RAW, Body::Sized(len)) if self.kind.is_some() && self.left.is_none() => {
                self.left = Some(len);
                Ok(self.goes_on(Stage::List, header.len))
            }
            (RAW, Body::Sized(_)) => Err(Flaw::BadEnvelope),
            (TYPE_META, Body::Sized(_)) if self.kind.is_some() || self.left.is_some() => Err(Flaw::BadEnvelope),
            (number @ (TYPE_META | CONTENT_ENCODING | CONTENT_TYPE), Body::Sized(len)) => {
                let len = bounded("a kind or content type", len, MAX_LABEL_BYTES)?;
                Ok(self.goes_on(Stage::Label(number, len), header.len))
            }
            (number @ TYPE_META..=CONTENT_TYPE, Body::Number(_)) => Err(Flaw::OtherType(number)),
            (_, body) => Ok(Step::Passes(header.len as u64 + body.len())),
        }
    }

    fn enter_list_field(&mut self, bytes: &[u8]) -> Result<Step, Flaw> {
        let left = self.left.unwrap_or_default();
        if left == 0 {
            return Ok(self.goes_on(Stage::Envelope, 0));
        }
        let within = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let Some(header) = header(&bytes[..within])? else {
            // What comes next belongs to the envelope again.
            let ends = within as u64 == left;
            return if ends {
                Err(Flaw::Cut)
            } else {
                Ok(Step::Wants(within + 1))
            };
        };
        let whole = (header.len as u64).checked_add(header.body.len()).ok_or(Flaw::Cut)?;
        self.left = Some(left.checked_sub(whole).ok_or(Flaw::Cut)?);
        match (header.number, header.body) {
            (LIST_META, Body::Sized(len)) => {
                let len = bounded("the metadata of a list", len, MAX_META_BYTES)?;
                Ok(self.goes_on(Stage::Meta(len), header.len))
            }
            (ITEMS, Body::Sized(len)) => {
                let len = bounded("an object", len, MAX_OBJECT_BYTES)?;
                Ok(self.goes_on(Stage::Item(len), header.len))
            }
            (number @ (LIST_META | ITEMS), Body::Number(_)) => Err(Flaw::OtherType(number)),
            _ => Ok(Step::Passes(whole)),
        }
    }

    fn read(&mut self, content: &[u8], show: &mut impl FnMut(ListPart<'_>)) -> Result<Step, Flaw> {
        let next = match self.stage {
            Stage::Label(TYPE_META, _) => {
                let kind = Kind::parse(content)?;
                if kind.of_items().is_none() {
                    return Err(Flaw::NotList(kind));
                }
                show(ListPart::Begin(self.kind.insert(kind)));
                Stage::Envelope
            }
            Stage::Label(number, _) => {
                check_content(number, content)?;
                Stage::Envelope
            }
            Stage::Meta(_) => {
                self.read_meta(content)?;
                Stage::List
            }
            _ => {
                show(ListPart::Item(ObjectView::parse(content)?));
                Stage::List
            }
        };
        Ok(self.goes_on(next, content.len()))
    }

    fn read_meta(&mut self, meta: &[u8]) -> Result<(), Flaw> {
        for field in fields(meta) {
            let field = field?;
            match field.number {
                RESOURCE_VERSION => field.text()?.clone_into(&mut self.resource_version),
                CONTINUE => self.continues = !field.bytes()?.is_empty(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A length that a piece of this kind may have.
pub(super) fn bounded(what: &'static str, len: u64, limit: usize) -> Result<usize, Flaw> {
    let fits = usize::try_from(len).ok().filter(|len| *len <= limit);
    fits.ok_or(Flaw::TooLarge { what, len, limit })
}
