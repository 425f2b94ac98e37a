use proptest::prelude::*;

use super::*;

const OS_RELEASE: &str = "ID=skerry\nVERSION_ID=1\n";

fn stub() -> Vec<u8> {
    sample::pe(0x8664, &[".text", ".sbat"], 8)
}

fn kernel() -> Vec<u8> {
    sample::pe(0x8664, &[".setup", ".text"], 0)
}

fn parts<'a>(stub: &'a [u8], kernel: &'a [u8]) -> UkiParts<'a> {
    UkiParts {
        stub,
        kernel,
        initrd: b"an initial RAM disk",
        cmdline: "roothash=00 console=ttyS0",
        os_release: OS_RELEASE,
        uname: "6.12.1-amd64",
        arch: Arch::X86_64,
        extra: Vec::new(),
    }
}

fn content<'a>(image: &'a [u8], name: &str) -> &'a [u8] {
    let sections = read(image).unwrap();
    let section = sections.into_iter().find(|section| section.name == name).unwrap();
    &image[section.range]
}

#[test]
fn all_parts_are_sections_behind_those_of_the_stub() {
    let (stub, kernel) = (stub(), kernel());
    let image = assemble(&parts(&stub, &kernel)).unwrap();
    let names: Vec<String> = read(&image).unwrap().into_iter().map(|section| section.name).collect();
    assert_eq!(
        names,
        [".text", ".sbat", ".osrel", ".cmdline", ".uname", ".linux", ".initrd"]
    );
    assert_eq!(content(&image, ".osrel"), OS_RELEASE.as_bytes());
    assert_eq!(content(&image, ".cmdline"), b"roothash=00 console=ttyS0");
    assert_eq!(content(&image, ".uname"), b"6.12.1-amd64");
    assert_eq!(content(&image, ".initrd"), b"an initial RAM disk");
    assert_eq!(content(&image, ".linux"), kernel);
    assert_eq!(content(&image, ".text"), content(&stub, ".text"));
}

#[test]
fn memory_protection_is_promised_only_if_the_kernel_keeps_it_too() {
    let (mut stub, mut kernel) = (stub(), kernel());
    let flags_at = 0x44 + 20 + 70;
    let flags = |image: &[u8]| u16::from_le_bytes([image[flags_at], image[flags_at + 1]]);
    stub[flags_at..flags_at + 2].copy_from_slice(&0x0160_u16.to_le_bytes());
    assert_eq!(flags(&assemble(&parts(&stub, &kernel)).unwrap()), 0x0060);
    kernel[flags_at..flags_at + 2].copy_from_slice(&0x0100_u16.to_le_bytes());
    assert_eq!(flags(&assemble(&parts(&stub, &kernel)).unwrap()), 0x0160);
}

#[test]
fn the_headers_agree_with_the_sections_and_tell_no_time() {
    let (stub, kernel) = (stub(), kernel());
    let image = assemble(&parts(&stub, &kernel)).unwrap();
    let word = |at: usize| u32::from_le_bytes(*image[at..].first_chunk().unwrap());
    let (coff, optional) = (0x44, 0x44 + 20);
    assert_eq!(word(coff + 4), 0, "time");
    assert_eq!(word(optional + 56), 0x3000 + 5 * 0x1000, "size of image");
    assert_eq!(
        word(optional + 8),
        2 * 0x200
            + (OS_RELEASE.len() + "roothash=00 console=ttyS06.12.1-amd64an initial RAM disk".len() + kernel.len())
                as u32,
        "initialised data"
    );
    assert_eq!(image.len() % 0x200, 0);
    // The sum of all 16-bit words, this field taken as zero, folded to 16 bits, plus the length.
    let mut unsigned = image.clone();
    unsigned[optional + 64..optional + 68].fill(0);
    let sum = unsigned.chunks(2).fold(0_u32, |sum, pair| {
        let sum = sum + u32::from(pair[0]) + (u32::from(pair[1]) << 8);
        (sum & 0xffff) + (sum >> 16)
    });
    assert_eq!(word(optional + 64), sum + image.len() as u32);
}

#[test]
fn a_stub_without_sbat_gets_one_and_extra_sections_follow_the_command_line() {
    let (stub, kernel) = (sample::pe(0x8664, &[".text"], 9), kernel());
    let extra = |name| ExtraSection { name, bytes: b"tree" };
    let extra = vec![extra(".dtbauto"), extra(".dtbauto")];
    let image = assemble(&UkiParts {
        extra,
        ..parts(&stub, &kernel)
    });
    let image = image.unwrap();
    let names: Vec<String> = read(&image).unwrap().into_iter().map(|section| section.name).collect();
    let expected = [
        ".text", ".osrel", ".cmdline", ".dtbauto", ".dtbauto", ".uname", ".linux", ".initrd", ".sbat",
    ];
    assert_eq!(names, expected);
    assert!(content(&image, ".sbat").starts_with(b"sbat,1,"));
}

#[test]
fn a_certificate_behind_the_stub_is_dropped() {
    let (mut stub, kernel) = (stub(), kernel());
    let plain = assemble(&parts(&stub, &kernel)).unwrap();
    let directory = 0x44 + 20 + 112 + 4 * 8;
    let at = stub.len() as u32;
    stub[directory..directory + 4].copy_from_slice(&at.to_le_bytes());
    stub[directory + 4..directory + 8].copy_from_slice(&64_u32.to_le_bytes());
    stub.extend([0xcc; 64]);
    assert_eq!(assemble(&parts(&stub, &kernel)).unwrap(), plain);
}

fn refusal(parts: &UkiParts<'_>) -> String {
    crate::failure::Failure::from(assemble(parts).unwrap_err()).to_string()
}

#[test]
fn programs_that_do_not_fit_are_refused_by_name() {
    let (stub, kernel) = (stub(), kernel());
    let arm = sample::pe(0xaa64, &[".text"], 8);
    let tight = sample::pe(0x8664, &[".text", ".sbat"], 0);
    let cases = [
        (
            &stub[..],
            &arm[..],
            "the kernel is for PE machine 0xaa64, but the image is for x86_64 (0x8664)",
        ),
        (
            &arm,
            &kernel,
            "the EFI stub is for PE machine 0xaa64, but the image is for x86_64 (0x8664)",
        ),
        (
            &stub,
            b"gzip",
            "cannot use the kernel as an EFI program: it is not a PE file",
        ),
        (
            &tight,
            &kernel,
            "cannot use the EFI stub: its header has room for 2 more sections, and 5 are needed",
        ),
    ];
    for (stub, kernel, expected) in cases {
        assert_eq!(refusal(&parts(stub, kernel)), expected);
    }
}

#[test]
fn texts_that_the_kernel_would_misread_are_refused() {
    let (stub, kernel) = (stub(), kernel());
    let good = || parts(&stub, &kernel);
    let long = "x".repeat(MAX_CMDLINE_LEN + 1);
    let cmdline = |cmdline| refusal(&UkiParts { cmdline, ..good() });
    assert_eq!(
        cmdline(&long),
        "the kernel command line has 2048 characters, and the kernel cuts it off after 2047"
    );
    assert!(
        assemble(&UkiParts {
            cmdline: &long[1..],
            ..good()
        })
        .is_ok()
    );
    assert_eq!(
        cmdline("a\nb"),
        r"the kernel command line holds '\n' at character 2; only printable ASCII is allowed"
    );
    assert_eq!(cmdline(""), "the command line of the unified kernel image is empty");
    let empty = refusal(&UkiParts { initrd: b"", ..good() });
    assert_eq!(empty, "the initial RAM disk of the unified kernel image is empty");
    let uname = refusal(&UkiParts {
        uname: "6.12 x",
        ..good()
    });
    assert_eq!(uname, "`6.12 x` is not a kernel version");
    for name in [".linux", ".text", "dtb", ".toolongname"] {
        let extra = vec![ExtraSection { name, bytes: b"" }];
        let expected = format!("`{name}` cannot be the name of an extra section");
        assert_eq!(refusal(&UkiParts { extra, ..good() }), expected);
    }
}

#[test]
fn the_same_parts_make_the_same_bytes() {
    let (stub, kernel) = (stub(), kernel());
    assert_eq!(
        assemble(&parts(&stub, &kernel)).unwrap(),
        assemble(&parts(&stub, &kernel)).unwrap()
    );
}

proptest! {
    #[test]
    fn broken_images_never_panic_and_never_lead_outside(at in 0_usize..600, value: u8, len in 0_usize..4096) {
        let (stub, kernel) = (stub(), kernel());
        let mut image = assemble(&parts(&stub, &kernel)).unwrap();
        image[at] = value;
        image.truncate(len);
        for section in read(&image).unwrap_or_default() {
            prop_assert!(image.get(section.range).is_some());
        }
        let _ = assemble(&parts(&image, &kernel));
        let _ = assemble(&parts(&stub, &image));
    }
}
