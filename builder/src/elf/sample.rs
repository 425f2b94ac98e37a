//! Small ELF files for tests: kernel modules and shared objects that foreign tools accept. The tests of the whole crate
//! include this file too, so it uses nothing of ours.

const HEADER_LEN: usize = 64;
const SECTION_LEN: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;

/// A relocatable x86-64 file as kbuild makes modules.
pub fn module(modinfo: &[&str], exports: &[&str], imports: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut symbols = vec![0; 24];
    let mut symbol = |name: &str, section: u16, binding: u8| {
        symbols.extend((strings.len() as u32).to_le_bytes());
        symbols.extend([binding << 4, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend([0; 16]);
        strings.extend(name.bytes().chain([0]));
    };
    const ABSOLUTE: u16 = 0xfff1;
    for name in exports {
        symbol(&format!("__ksymtab_{name}"), ABSOLUTE, 0);
        symbol(&format!("__crc_{name}"), ABSOLUTE, 0);
    }
    for name in exports {
        symbol(name, ABSOLUTE, 1);
    }
    for name in imports {
        symbol(name, 0, 1);
    }
    let text = |words: &[&str]| {
        words
            .iter()
            .flat_map(|word| word.bytes().chain([0]))
            .collect::<Vec<u8>>()
    };
    let first_global = 1 + 2 * exports.len() as u32;
    relocatable(&[
        Section::new(".modinfo", 1, text(modinfo)),
        Section::new("__ksymtab_strings", 1, text(exports)),
        Section::new(".gnu.linkonce.this_module", 1, vec![0; 64]),
        Section {
            link: 5,
            info: first_global,
            entry_len: 24,
            ..Section::new(".symtab", 2, symbols)
        },
        Section::new(".strtab", 3, strings),
    ])
}

struct Section {
    name: &'static str,
    kind: u32,
    bytes: Vec<u8>,
    link: u32,
    info: u32,
    entry_len: u64,
}

impl Section {
    fn new(name: &'static str, kind: u32, bytes: Vec<u8>) -> Self {
        Self {
            name,
            kind,
            bytes,
            link: 0,
            info: 0,
            entry_len: 0,
        }
    }
}

fn relocatable(sections: &[Section]) -> Vec<u8> {
    let mut names = vec![0];
    let mut file = vec![0; HEADER_LEN];
    let mut table = vec![0; SECTION_LEN];
    for section in sections {
        let at = file.len();
        file.extend(&section.bytes);
        file.resize(file.len().next_multiple_of(8), 0);
        table.extend(section_header(section, names.len(), at));
        names.extend(section.name.bytes().chain([0]));
    }
    let own = Section::new(".shstrtab", 3, [&names[..], b".shstrtab\0"].concat());
    table.extend(section_header(&own, names.len(), file.len()));
    file.extend(&own.bytes);
    file.resize(file.len().next_multiple_of(8), 0);
    let table_at = file.len() as u64;
    file.extend(&table);
    put_header(&mut file, 1, 62);
    put(&mut file, 40, &table_at.to_le_bytes());
    put(&mut file, 58, &(SECTION_LEN as u16).to_le_bytes());
    put(&mut file, 60, &((sections.len() + 2) as u16).to_le_bytes());
    put(&mut file, 62, &((sections.len() + 1) as u16).to_le_bytes());
    file
}

fn section_header(section: &Section, name_at: usize, at: usize) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend((name_at as u32).to_le_bytes());
    header.extend(section.kind.to_le_bytes());
    for word in [0, 0, at as u64, section.bytes.len() as u64] {
        header.extend(word.to_le_bytes());
    }
    header.extend(section.link.to_le_bytes());
    header.extend(section.info.to_le_bytes());
    header.extend(8_u64.to_le_bytes());
    header.extend(section.entry_len.to_le_bytes());
    header
}

/// A shared object: one loaded segment that is the whole file, with a dynamic section in it.
pub fn shared_object(machine: u16, soname: Option<&str>, needed: &[&str], runpath: Option<&str>) -> Vec<u8> {
    let mut strings = vec![0];
    let mut string = |text: &str| {
        let at = strings.len() as u64;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let mut tags: Vec<(u64, u64)> = needed.iter().map(|name| (1, string(name))).collect();
    tags.extend(soname.map(|name| (14, string(name))));
    tags.extend(runpath.map(|path| (29, string(path))));
    let dynamic_at = HEADER_LEN + 2 * PROGRAM_HEADER_LEN;
    let strings_at = dynamic_at + (tags.len() + 3) * 16;
    const BASE: u64 = 0x10000;
    tags.extend([(5, BASE + strings_at as u64), (10, strings.len() as u64), (0, 0)]);

    let mut file = vec![0; HEADER_LEN];
    let (dynamic_len, len) = (strings_at - dynamic_at, strings_at + strings.len());
    for (kind, at, len) in [(1_u32, 0, len), (2, dynamic_at, dynamic_len)] {
        file.extend(kind.to_le_bytes());
        file.extend(4_u32.to_le_bytes());
        let address = BASE + at as u64;
        for word in [at as u64, address, address, len as u64, len as u64, 8] {
            file.extend(word.to_le_bytes());
        }
    }
    for (tag, value) in tags {
        file.extend(tag.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(&strings);
    put_header(&mut file, 3, machine);
    put(&mut file, 32, &(HEADER_LEN as u64).to_le_bytes());
    put(&mut file, 54, &(PROGRAM_HEADER_LEN as u16).to_le_bytes());
    put(&mut file, 56, &2_u16.to_le_bytes());
    file
}

fn put_header(file: &mut [u8], kind: u16, machine: u16) {
    put(file, 0, b"\x7fELF\x02\x01\x01");
    put(file, 16, &kind.to_le_bytes());
    put(file, 18, &machine.to_le_bytes());
    put(file, 20, &1_u32.to_le_bytes());
    put(file, 52, &(HEADER_LEN as u16).to_le_bytes());
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
