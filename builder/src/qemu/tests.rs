use std::path::{Path, PathBuf};

use super::machine::{Accel, Boot, Console, DiskBus, Forward};
use super::tpm::{Interface, Tpm};
use super::*;
use crate::arch::Arch;

fn machine() -> Machine {
    Machine {
        arch: Arch::X86_64,
        disk: "/d/disk, copy.raw".into(),
        disk_bus: DiskBus::Virtio,
        memory_mib: 512,
        accel: Accel::Tcg,
        boot: Boot::Uefi {
            code: "/fw/CODE.fd".into(),
            variables: "/d/VARS.fd".into(),
        },
        tpm: None,
        forwards: vec![Forward { host: 8080, guest: 80 }],
        console: Console::Output,
        extra: vec!["-name".into(), "my node".into()],
    }
}

#[test]
fn the_command_line_is_pinned() {
    let expected = "qemu-system-x86_64 -machine q35 -accel tcg,thread=single -cpu max -smp 1 -m 512M -nodefaults \
        -no-user-config -display none -serial stdio \
        -drive if=pflash,format=raw,unit=0,file=/fw/CODE.fd,readonly=on -drive if=pflash,format=raw,unit=1,file=/d/VARS.fd \
        -drive 'if=none,id=disk,format=raw,discard=unmap,file=/d/disk,, copy.raw' \
        -device virtio-blk-pci,drive=disk,bootindex=1 \
        -netdev user,id=net,hostfwd=tcp:127.0.0.1:8080-:80 -device virtio-net-pci,netdev=net,romfile= \
        -device virtio-rng-pci -name 'my node'";
    assert_eq!(machine().command(), expected);
}

#[test]
fn an_arm_machine_has_the_newest_interrupt_controller_and_a_processor_that_is_quick_to_emulate() {
    let command = |accel| {
        let arch = Arch::Aarch64;
        let machine = Machine {
            arch,
            accel,
            ..machine()
        };
        machine.command()
    };
    let start = "qemu-system-aarch64 -machine virt,gic-version=max";
    let emulated = format!("{start} -accel tcg,thread=single -cpu max,pauth-impdef=on -smp 1 ");
    assert!(command(Accel::Tcg).starts_with(&emulated), "{}", command(Accel::Tcg));
    let real = format!("{start} -accel kvm -cpu host -smp 1 ");
    assert!(command(Accel::Kvm).starts_with(&real), "{}", command(Accel::Kvm));
}

#[test]
fn a_tpm_is_reached_by_its_programs_control_socket() {
    let command = |arch, interface| {
        let control = "/s/a, b".into();
        let tpm = Some(Tpm { control, interface });
        let machine = Machine { arch, tpm, ..machine() };
        machine.command()
    };
    let expected = "-chardev 'socket,id=tpm-control,path=/s/a,, b' -tpmdev emulator,id=tpm,chardev=tpm-control \
        -device tpm-crb,tpmdev=tpm";
    let crb = command(Arch::X86_64, Interface::Crb);
    assert!(crb.contains(expected), "{crb}");
    assert!(command(Arch::X86_64, Interface::Fifo).contains("-device tpm-tis,tpmdev=tpm"));
    assert!(command(Arch::Aarch64, Interface::Crb).contains("-device tpm-tis-device,tpmdev=tpm"));
}

#[test]
fn every_bus_carries_the_same_disk() {
    for bus in ["virtio", "nvme", "ahci", "usb", "sd"] {
        let machine = Machine {
            disk_bus: bus.parse().unwrap(),
            ..machine()
        };
        assert!(machine.command().contains("drive=disk"), "{bus}");
    }
    let error = "floppy".parse::<DiskBus>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`floppy` is no disk bus; it is one of virtio, nvme, ahci, usb, sd"
    );
}

#[test]
fn firmware_without_secure_boot_is_preferred_whatever_its_rank() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("usr/share/qemu/firmware");
    std::fs::create_dir_all(&folder).unwrap();
    let descriptor = |features: &str, code: &str| {
        format!(
            r#"{{"interface-types": ["uefi"], "features": [{features}], "targets": [{{"architecture": "x86_64"}}],
            "mapping": {{"device": "flash", "executable": {{"filename": "/{code}", "format": "raw"}},
            "nvram-template": {{"filename": "/vars", "format": "raw"}}}}}}"#
        )
    };
    std::fs::write(
        folder.join("40-secure.json"),
        descriptor(r#""secure-boot", "requires-smm""#, "secure"),
    )
    .unwrap();
    std::fs::write(folder.join("50-broken.json"), "{").unwrap();
    std::fs::write(
        folder.join("60-plain.json"),
        descriptor(r#""acpi-s3", "amd-sev""#, "plain"),
    )
    .unwrap();
    assert_eq!(
        firmware::find(root.path(), Arch::X86_64).unwrap().code,
        PathBuf::from("/plain")
    );
    assert_eq!(firmware::find(root.path(), Arch::Aarch64), None);
    let over = root.path().join("etc/qemu/firmware");
    std::fs::create_dir_all(&over).unwrap();
    std::fs::write(over.join("60-plain.json"), descriptor("", "mine")).unwrap();
    assert_eq!(
        firmware::find(root.path(), Arch::X86_64).unwrap().code,
        Path::new("/mine")
    );
}
