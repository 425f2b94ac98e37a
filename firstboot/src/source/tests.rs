use std::cell::RefCell;
use std::fs;

use super::mounts::Access;
use super::*;
use crate::control_plane::ApiErrorKind;
use crate::device::Mac;
use crate::join_config::CaPin;

/// Mounts by copying: the "device" is a folder.
#[derive(Debug, Default)]
struct Copies {
    log: RefCell<Vec<String>>,
    broken: bool,
}

impl Mounts for Copies {
    fn mount(&self, device: &Path, at: &Path, access: Access) -> io::Result<()> {
        self.log.borrow_mut().push(format!("mount {access:?}"));
        if self.broken {
            return Err(io::ErrorKind::Unsupported.into());
        }
        for entry in fs::read_dir(device)? {
            let entry = entry?;
            fs::copy(entry.path(), at.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn unmount(&self, at: &Path) -> io::Result<()> {
        self.log.borrow_mut().push("unmount".into());
        for entry in fs::read_dir(at)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    fn remount(&self, _: &Path, _: Access) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Answers with what it was given.
struct Answer(Result<Option<Vec<u8>>, ApiErrorKind>);

impl Fetch for Answer {
    async fn get(&self, url: &str, pins: &[CaPin]) -> Result<Option<Vec<u8>>, ApiError> {
        assert_eq!((url, pins.len()), ("https://boot.example/PF12ABCD", 1));
        self.0.clone().map_err(|kind| ApiError {
            kind,
            endpoint: url.into(),
            detail: "down".into(),
            advice: "wait".into(),
        })
    }
}

struct Machine {
    root: tempfile::TempDir,
    place: Place,
    device: Device,
    mounts: Copies,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let credentials = Some(root.path().join("credentials"));
        Self {
            place: Place {
                root: root.path().to_owned(),
                credentials,
            },
            device: Device {
                serial: Some("PF12ABCD".into()),
                mac: Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56])),
                ..Device::default()
            },
            mounts: Copies::default(),
            root,
        }
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn put_on_stick(&self, name: &str, content: &str) {
        self.put(&format!("media/stick/{name}"), content);
        let links = self.root.path().join("dev/disk/by-label");
        fs::create_dir_all(&links).unwrap();
        let _ = std::os::unix::fs::symlink(self.root.path().join("media/stick"), links.join("SKERRY-JOIN"));
    }

    fn local(&self) -> Search {
        self.local_by(&|_| Rank::New)
    }

    fn local_by(&self, rank: Ranking<'_>) -> Search {
        find_local(&self.place, &self.device, &self.mounts, rank)
    }

    async fn anywhere(&self, answer: Result<Option<Vec<u8>>, ApiErrorKind>) -> Search {
        self.anywhere_by(answer, &|_| Rank::New).await
    }

    async fn anywhere_by(&self, answer: Result<Option<Vec<u8>>, ApiErrorKind>, rank: Ranking<'_>) -> Search {
        find(&self.place, &self.device, &self.mounts, &Answer(answer), rank).await
    }

    fn found(&self) -> (String, String) {
        let found = self.local().found.unwrap();
        (
            found.trace.source.to_string(),
            String::from_utf8(found.content.to_vec()).unwrap(),
        )
    }
}

const CMDLINE: &str = "quiet skerry.join-url=https://boot.example/{serial} \
                       skerry.join-pin=sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";

#[tokio::test]
async fn the_places_are_asked_in_their_order() {
    let machine = Machine::new();
    assert!(machine.anywhere(Ok(None)).await.found.is_none());
    machine.put("proc/cmdline", CMDLINE);
    assert!(machine.anywhere(Ok(None)).await.found.is_none());
    let found = machine.anywhere(Ok(Some(b"web".to_vec()))).await.found.unwrap();
    assert_eq!(found.content.as_slice(), b"web");
    assert_eq!(found.trace.source.to_string(), "https://boot.example/PF12ABCD");
    machine.put("credentials/skerry.join", "credential");
    assert_eq!(
        machine.found(),
        ("the credential skerry.join".into(), "credential".into())
    );
    machine.put_on_stick("join.toml", "stick");
    assert_eq!(
        machine.found(),
        ("join.toml on the USB stick labelled SKERRY-JOIN".into(), "stick".into())
    );
    machine.put("efi/kubeadm-join.txt", "line");
    assert_eq!(
        machine.found(),
        ("kubeadm-join.txt on the EFI partition".into(), "line".into())
    );
    machine.put("efi/join.toml", "esp");
    assert_eq!(machine.found(), ("join.toml on the EFI partition".into(), "esp".into()));
    assert!(
        machine
            .anywhere(Ok(Some(b"web".to_vec())))
            .await
            .found
            .unwrap()
            .content
            .starts_with(b"esp")
    );
}

#[test]
fn a_stick_may_hold_a_file_for_each_machine() {
    let machine = Machine::new();
    machine.put_on_stick("join.toml", "all");
    machine.put_on_stick("join-OTHER.toml", "other");
    assert_eq!(machine.found().1, "all");
    machine.put_on_stick("join-52-54-00-12-34-56.txt", "mac");
    assert_eq!(machine.found().1, "mac");
    machine.put_on_stick("join-pf12abcd.toml", "serial");
    assert_eq!(machine.found().1, "serial");
    let log = machine.mounts.log.borrow();
    assert_eq!(log[log.len() - 3..], ["unmount", "mount ReadOnly", "unmount"]);
}

#[test]
fn a_place_that_cannot_be_read_is_told_and_passed_over() {
    let mut machine = Machine::new();
    machine.put("credentials/skerry.join", "credential");
    machine.put_on_stick("join.toml", "stick");
    machine.mounts.broken = true;
    fs::create_dir_all(machine.root.path().join("efi/join.toml")).unwrap();
    let search = machine.local();
    assert_eq!(search.found.unwrap().trace.source, Source::Credential);
    let told: Vec<String> = search.troubles.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "the EFI partition: join.toml cannot be used",
            "the USB stick labelled SKERRY-JOIN cannot be mounted"
        ]
    );
    assert!(search.troubles.iter().all(|trouble| !trouble.advice().is_empty()));
}

#[tokio::test]
async fn a_server_that_fails_or_says_too_much_is_told() {
    let machine = Machine::new();
    machine.put("proc/cmdline", CMDLINE);
    let search = machine.anywhere(Err(ApiErrorKind::Connect)).await;
    assert_eq!(
        search.troubles[0].to_string(),
        "https://boot.example/PF12ABCD cannot be read: down"
    );
    assert_eq!(search.troubles[0].advice(), "wait");
    let search = machine.anywhere(Ok(Some(vec![b'x'; MAX_BYTES + 1]))).await;
    assert!(search.found.is_none());
    assert!(matches!(search.troubles[0], SourceError::TooLarge { .. }));
}

#[test]
fn what_is_found_does_not_show_its_content_and_is_recognised_again() {
    let machine = Machine::new();
    machine.put("efi/join.toml", "abcdef.0123456789abcdef");
    let found = machine.local().found.unwrap();
    assert!(!format!("{found:?}").contains("0123"));
    assert_eq!(found.trace.digest, Digest::of(b"abcdef.0123456789abcdef"));
    assert_ne!(found.trace.digest, Digest::of(b"abcdef"));
    let kept = serde_json::to_string(&found.trace).unwrap();
    assert_eq!(serde_json::from_str::<Trace>(&kept).unwrap(), found.trace);
}

#[tokio::test]
async fn a_secret_on_the_kernel_command_line_is_told_and_the_rest_of_it_used() {
    let machine = Machine::new();
    machine.put(
        "proc/cmdline",
        &format!("{CMDLINE} skerry.token=abcdef.0123456789abcdef"),
    );
    let search = machine.anywhere(Ok(Some(b"web".to_vec()))).await;
    assert!(search.found.is_some());
    let told = format!("{:?} {}", search.troubles, search.troubles[0].advice());
    assert!(
        told.contains("skerry.token") && !told.contains("0123456789abcdef"),
        "{told}"
    );
}

#[tokio::test]
async fn a_file_that_was_used_gives_way_to_one_that_matters_more_in_any_later_place() {
    let machine = Machine::new();
    machine.put("proc/cmdline", CMDLINE);
    machine.put("efi/join.toml", "stays");
    let [stay, to_erase] = [["stays", "stays, too"], ["to erase", "to erase, too"]]
        .map(|texts| texts.map(|text| Digest::of(text.as_bytes())));
    let rank = |digest: &Digest| match digest {
        digest if stay.contains(digest) => Rank::Stays,
        digest if to_erase.contains(digest) => Rank::ToErase,
        _ => Rank::New,
    };
    let content = |search: Search| String::from_utf8(search.found.unwrap().content.to_vec()).unwrap();
    let local = || content(machine.local_by(&rank));
    let anywhere = async |answer: Option<&str>| {
        let answer = answer.map(|text| text.as_bytes().to_vec());
        content(machine.anywhere_by(Ok(answer), &rank).await)
    };
    assert_eq!((local(), anywhere(None).await), ("stays".into(), "stays".into()));
    assert_eq!(anywhere(Some("from far")).await, "from far");
    machine.put_on_stick("join.toml", "stays, too");
    assert_eq!(
        (local(), anywhere(Some("from far")).await),
        ("stays".into(), "from far".into())
    );
    machine.put("credentials/skerry.join", "to erase");
    assert_eq!(local(), "to erase");
    machine.put_on_stick("join.toml", "to erase, too");
    assert_eq!(local(), "to erase, too");
    machine.put("credentials/skerry.join", "new");
    assert_eq!(
        (local(), anywhere(Some("from far")).await),
        ("new".into(), "new".into())
    );
    machine.put_on_stick("join.toml", "new on the stick");
    assert_eq!(local(), "new on the stick");
}
