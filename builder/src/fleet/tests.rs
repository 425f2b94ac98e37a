mod images;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use skerry_firstboot::join_config::parse_strict;

use super::*;
use crate::failure::{Diagnose as _, Failure, FailureKind};
use crate::progress::Silent;

const PIN: &str = "sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3";
const SECRET: &str = "0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210";

fn template() -> String {
    format!(
        "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"abcdef.{SECRET}\"\nca-pins = [\"{PIN}\"]\n\
         [node]\nlabels = {{ fleet = \"shops\" }}\n[network]\ndns = [\"192.0.2.53\"]\n"
    )
}

fn read_list(text: &str, template: &str, file_name: &FileName) -> Result<Fleet, FleetError> {
    let list = List {
        file: "devices.csv",
        bytes: text.as_bytes(),
    };
    read(list, template.as_bytes(), file_name)
}

fn fleet(text: &str) -> Vec<Device> {
    read_list(text, &template(), &FileName::join_file()).unwrap().devices
}

/// The lines that a list is refused with.
fn complaints(text: &str) -> Vec<String> {
    let failure = Failure::from(read_list(text, &template(), &FileName::join_file()).unwrap_err());
    let said = format!("{failure:?}");
    assert!(!said.contains(SECRET) && !said.contains(OTHER_SECRET), "{said}");
    failure.excerpt.unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn each_row_becomes_a_join_file_with_its_own_values_and_those_of_all() {
    let list = format!(
        "Name,address,gateway,labels,taints,token,max_pods,relay,# contact\n\
         shop-1,192.0.2.11/24; 2001:db8::11/64,192.0.2.1,site=one;fleet=own,a=b:NoSchedule,bcdefg.{OTHER_SECRET},16,TRUE,Ann\n\
         shop-2,,,,,,,,\n"
    );
    let devices = fleet(&list);
    let names: Vec<_> = devices
        .iter()
        .map(|device| (device.name.as_str(), device.file_name.as_str()))
        .collect();
    assert_eq!(names, [("shop-1", "shop-1.toml"), ("shop-2", "shop-2.toml")]);
    let [first, second] = [&devices[0].join_file, &devices[1].join_file];
    assert_eq!((first.token_id(), second.token_id()), (Some("bcdefg"), Some("abcdef")));
    let read = parse_strict(first.text().as_bytes()).unwrap().config;
    assert_eq!(&read, first.config());
    let settings = &read.settings;
    assert_eq!(settings.name, "shop-1");
    let addresses: Vec<String> = settings.network.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.11/24", "2001:db8::11/64"]);
    let labels: Vec<_> = settings
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(labels, [("fleet", "own"), ("site", "one")]);
    assert_eq!(
        (settings.taints.as_slice(), settings.kubelet.max_pods),
        (&["a=b:NoSchedule".to_owned()][..], Some(16))
    );
    assert_eq!(second.config().settings.labels["fleet"], "shops");
    assert_eq!(second.config().settings.network.dns.len(), 1);
}

#[test]
fn every_mistake_is_listed_with_its_line_and_column_before_anything_is_done() {
    let list = format!(
        "name,address,gateway,labels,token,max-pods,mac\n\
         Shop_1,192.0.2.11,192.0.2.1,site,bcdefg.{OTHER_SECRET},16,\n\
         shop-2,192.0.2.12/24,2001:db8::1,node-role.kubernetes.io/x=y,bcdefg.short,many,52-54-00\n\
         shop-3,,,,,,\n\
         shop-3,,,,,,\n\
         ,,,,,2000,\n\
         abcdef.{SECRET},,,,,,\n"
    );
    let lines = complaints(&list);
    let starts = [
        "devices.csv:2: column `name`: a node's name is lower-case",
        "devices.csv:2: column `labels`: there is an item that is not `key=value`",
        "devices.csv:2: column `address`: it is no address with the length of its network's prefix",
        "devices.csv:3: column `mac`: it is no hardware address",
        "devices.csv:3: column `max-pods`: it is no whole number",
        "devices.csv:3: column `token`: a bootstrap token is 6 and 16",
        "devices.csv:3: column `labels`: `node.labels.node-role.kubernetes.io/x`: kubelet may not set",
        "devices.csv:3: column `gateway`: there is no address of its family",
        "devices.csv:5: column `name`: `shop-3` is the name in line 4 as well",
        "devices.csv:6: column `name`: it is empty",
        "devices.csv:6: column `max-pods`: it must be from 1 to 1024",
        "devices.csv:7: column `name`: this is a token, and no name",
    ];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
}

#[test]
fn a_heading_with_unknown_or_repeated_columns_is_refused_with_what_was_meant() {
    assert_eq!(
        complaints("name,adress,addresses,address,,xqzw\na,,,,,\n"),
        [
            "devices.csv:1: unknown column `adress`",
            "devices.csv:1: column `address`: it says the same as the column `addresses`",
            "devices.csv:1: column 5 has no name",
            "devices.csv:1: unknown column `xqzw`",
        ]
    );
    assert_eq!(
        complaints("address\n192.0.2.1/24\n"),
        ["devices.csv:1: there is no column `name`"]
    );
    assert_eq!(
        complaints("name;address\na;b\n"),
        ["devices.csv:1: the columns are not separated by commas"]
    );
    // A list without a heading: the first device's token stands where names of columns do.
    let lines = complaints(&format!("shop-1,abcdef.{SECRET}\n"));
    assert_eq!(
        lines,
        [
            "devices.csv:1: column 1 is unknown",
            "devices.csv:1: column 2 is unknown"
        ]
    );
}

#[test]
fn a_list_that_is_no_table_is_told_by_its_lines() {
    assert_eq!(
        complaints("name,token\na\nb,c,d\n"),
        [
            "devices.csv:2: there are 1 cells and 2 columns",
            "devices.csv:3: there are 3 cells and 2 columns"
        ]
    );
    let empty = read_list("name\n\n", &template(), &FileName::join_file()).unwrap_err();
    assert_eq!(empty.to_string(), "devices.csv has no device");
}

#[test]
fn what_the_list_says_need_not_be_in_the_template() {
    let without = template().replace(&format!("token = \"abcdef.{SECRET}\"\n"), "");
    let named = FileName::join_file();
    let list = format!("name,token\na,bcdefg.{OTHER_SECRET}\n");
    let fleet = read_list(&list, &without, &named).unwrap();
    assert_eq!(fleet.devices[0].join_file.token_id(), Some("bcdefg"));
    let missing = Failure::from(read_list("name,token\na,\n", &without, &named).unwrap_err());
    let said = missing.excerpt.unwrap();
    assert!(
        said.starts_with("devices.csv:2: column `token`: there is no token"),
        "{said}"
    );
    assert!(matches!(
        read_list("name\na\n", &without, &named),
        Err(FleetError::Template(_))
    ));
    let kubeadm =
        format!("kubeadm join cp.example:6443 --token abcdef.{SECRET} --discovery-token-ca-cert-hash {PIN}\n");
    let fleet = read_list(&list, &kubeadm, &named).unwrap();
    assert_eq!(fleet.devices[0].join_file.token_id(), Some("bcdefg"));
    assert_eq!(fleet.devices[0].join_file.name(), "join.toml");
}

#[test]
fn a_template_with_a_mistake_is_told_as_such() {
    let error = read_list("name\na\n", &template().replace("dns", "dsn"), &FileName::join_file()).unwrap_err();
    assert!(matches!(error, FleetError::Template(_)), "{error:?}");
    assert_eq!(error.hints(), ["did you mean `dns`?"]);
}

#[test]
fn files_can_be_called_by_what_a_machine_knows_of_itself() {
    let list = "name,serial,mac\na,SN 1,52:54:00:12:34:56\nb,SN 2,\n";
    let names = |file_name: &str| {
        let fleet = read_list(list, &template(), &FileName::parse(file_name).unwrap())?;
        Ok::<_, FleetError>(
            fleet
                .devices
                .into_iter()
                .map(|device| device.file_name)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        names("join-{serial}.toml").unwrap(),
        ["join-SN-1.toml", "join-SN-2.toml"]
    );
    let failure = Failure::from(names("join-{mac}.toml").unwrap_err());
    assert_eq!(
        failure.excerpt.unwrap(),
        "devices.csv:3: column `mac`: the name of the file needs it"
    );
    let by_serial = FileName::parse("{serial}").unwrap();
    let same = read_list("name,serial\na,x\nb,X\n", &template(), &by_serial).unwrap_err();
    assert_eq!(
        same.excerpt().unwrap(),
        "devices.csv:3: its file would be `X`, as that of line 2"
    );
    let absent = read_list("name\na\n", &template(), &by_serial).unwrap_err();
    assert_eq!(absent.excerpt().unwrap(), "devices.csv:1: there is no column `serial`");
}

fn seed(text: &str, out: &Path, image: Option<&Path>, existing: Existing) -> Result<Written, FleetError> {
    let named = if image.is_some() {
        FileName::image()
    } else {
        FileName::join_file()
    };
    let fleet = read_list(text, &template(), &named)?;
    execute(&plan(fleet.devices, out, image, existing)?, &Silent)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn join_files_are_written_for_the_owner_alone_and_left_alone_when_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("joins");
    let written = |written, unchanged| Written {
        written,
        unchanged,
        method: None,
    };
    assert_eq!(seed("name\na\nb\n", &out, None, Existing::Keep).unwrap(), written(2, 0));
    assert_eq!(names_in(&out), ["a.toml", "b.toml"]);
    let path = out.join("a.toml");
    let before = fs::metadata(&path).unwrap();
    assert_eq!(before.permissions().mode() & 0o777, 0o600);
    assert_eq!(
        seed("name\na\nb\nc\n", &out, None, Existing::Keep).unwrap(),
        written(1, 2)
    );
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino());
    assert_eq!(
        seed("name\na\nb\nc\n", &out, None, Existing::Keep).unwrap(),
        written(0, 3)
    );
}

#[test]
fn a_file_with_other_content_is_replaced_only_when_asked_and_nothing_else_is_written_before() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("b.toml"), "mine").unwrap();
    let error = seed("name\na\nb\n", folder.path(), None, Existing::Keep).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Safety);
    assert!(
        error
            .to_string()
            .starts_with("1 file with other content is in the way: "),
        "{error}"
    );
    assert_eq!(names_in(folder.path()), ["b.toml"]);
    let written = seed("name\na\nb\n", folder.path(), None, Existing::Replace).unwrap();
    assert_eq!(written.written, 2);
    assert_ne!(fs::read_to_string(folder.path().join("b.toml")).unwrap(), "mine");
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".skerry-seed.partial");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("a.toml"), "half").unwrap();
    seed("name\na\n", folder.path(), None, Existing::Keep).unwrap();
    assert_eq!(names_in(folder.path()), ["a.toml"]);
}

#[test]
fn a_file_that_cannot_come_to_its_place_leaves_the_folder_without_halves() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("b.toml")).unwrap();
    seed("name\na\nb\n", folder.path(), None, Existing::Replace).unwrap_err();
    assert_eq!(names_in(folder.path()), ["b.toml"]);
}
