//! Kubernetes' own encoders and decoders, where there is Go to build them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use skerry_firstboot::relay::wire::{Change, Kind, Mark, Status, write_bookmark, write_error, write_event};

use crate::facts::{facts, folder, golden, list, read_list, status, watch, write_list};
use crate::golden::unavailable;

/// Runs `go` in the folder of a copy of the program.
fn go(module: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(module);
    command
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0");
    command.output().ok()
}

/// Builds the program in `place`; none if that cannot be done here.
fn build(place: &Path) -> Option<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/kubernetes");
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, place.join(path.file_name().unwrap())).unwrap();
    }
    let Some(modules) = go(place, &["list", "-deps", "."]) else {
        println!("skipped: no go");
        return None;
    };
    if !modules.status.success() {
        println!(
            "skipped: no modules of Kubernetes: {}",
            String::from_utf8_lossy(&modules.stderr)
        );
        return None;
    }
    let built = go(place, &["build", "-o", "wire", "."]).unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(())
}

fn run(place: &Path, verb: &str, folder: &Path) -> Vec<u8> {
    let output = Command::new(place.join("wire")).arg(verb).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Everything that the relay writes, from the objects of the golden answers.
fn write_all(folder: &Path) {
    let (end, items) = read_list(&golden("pods.list"));
    fs::write(folder.join("pods.list"), write_list(&end.kind, "99", &items)).unwrap();
    let secrets = Kind::new("v1", "SecretList");
    fs::write(folder.join("none.list"), write_list(&secrets, "7", &[])).unwrap();
    fs::write(folder.join("status.object"), unavailable().to_protobuf()).unwrap();
    fs::write(folder.join("status.json"), unavailable().to_json()).unwrap();
    let pod = end.kind.of_items().unwrap();
    let expired = Status {
        code: 410,
        reason: "Expired".to_owned(),
        ..Status::default()
    };
    let events = [
        write_event(Change::Added, &pod, &items[0]),
        write_bookmark(&pod, "5", Mark::InitialEventsEnd),
        write_event(Change::Modified, &pod, &items[1]),
        write_event(Change::Deleted, &pod, &items[2]),
        write_bookmark(&pod, "6", Mark::Progress),
        write_error(&expired),
    ];
    fs::write(folder.join("pods.watch"), events.concat()).unwrap();
}

#[test]
fn kubernetes_writes_what_the_golden_files_hold_and_reads_what_the_relay_writes() {
    let place = tempfile::tempdir().unwrap();
    if build(place.path()).is_none() {
        return;
    }
    let theirs = place.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    run(place.path(), "write", &theirs);
    for entry in fs::read_dir(&theirs).unwrap() {
        let path = entry.unwrap().path();
        let kept = folder().join(path.file_name().unwrap());
        if std::env::var_os("SKERRY_BLESS").is_some() {
            fs::copy(&path, &kept).unwrap();
        }
        assert!(
            fs::read(&path).unwrap() == fs::read(&kept).unwrap(),
            "{}",
            path.display()
        );
    }

    let ours = place.path().join("ours");
    fs::create_dir(&ours).unwrap();
    write_all(&ours);
    let read: Value = serde_json::from_slice(&run(place.path(), "read", &ours)).unwrap();
    for name in ["pods.list", "none.list"] {
        assert_eq!(read[name], list(&fs::read(ours.join(name)).unwrap()), "{name}");
    }
    assert_eq!(read["pods.list"]["Items"], facts("pods.list")["Items"]);
    assert_eq!(read["status.object"], status(&unavailable()));
    assert_eq!(read["status.json"], status(&unavailable()));
    assert_eq!(read["pods.watch"], watch(&fs::read(ours.join("pods.watch")).unwrap()));
    assert_eq!(read["pods.watch"].as_array().map(Vec::len), Some(6));
}
