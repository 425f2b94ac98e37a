//! P2: every change of the disk fails once, and from then on.

use nix::errno::Errno;
use skerry_firstboot::identity::{Home, IdentityError, Loaded};

use crate::issuer::Issuer;
use crate::machine::{World, blank_disk, joined_disk, kubelet_pair};

const ERRORS: [Errno; 3] = [Errno::ENOSPC, Errno::EROFS, Errno::EIO];

fn assert_says_where(error: &IdentityError, errno: Errno) {
    let IdentityError::Disk { path, source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source.raw_os_error(), Some(errno as i32), "{error}");
    assert!(
        path.starts_with("/var") && error.to_string().contains("/var"),
        "{error}"
    );
    assert!(!error.advice().is_empty() && !error.to_string().contains("os error"));
}

#[test]
fn a_change_that_fails_once_is_reported_with_its_path_and_the_next_try_succeeds() {
    let issuer = Issuer::new("ca");
    for errno in ERRORS {
        for n in 1.. {
            let disk = blank_disk();
            let mut world = World::new(&issuer);
            disk.fail_once(n, errno);
            if let Err(error) = world.run(&disk) {
                assert_says_where(&error, errno);
                kubelet_pair(&disk);
                world.run(&disk).unwrap();
            } else if disk.operations().changes < n {
                break;
            }
            assert_eq!(world.posted.len(), 1, "{errno} at change {n}");
            // A failed sync must not have made a later one lie.
            let after = Home::new(disk.reboot(0)).load().unwrap();
            assert!(matches!(after.state, Loaded::Joined(_)), "{errno} at change {n}");
            assert_eq!(after.findings, []);
        }
    }
}

#[test]
fn a_disk_that_stays_full_or_read_only_stops_the_join_until_it_is_mended() {
    let issuer = Issuer::new("ca");
    for (errno, n) in ERRORS.into_iter().flat_map(|errno| (1..70).map(move |n| (errno, n))) {
        let disk = blank_disk();
        let mut world = World::new(&issuer);
        disk.fail_from(n, errno);
        for _try in 0..3 {
            if let Err(error) = world.run(&disk) {
                assert_says_where(&error, errno);
            }
        }
        disk.mend();
        world.run(&disk).unwrap();
        assert_eq!(world.posted.len(), 1, "{errno} from change {n}");
    }
}

#[test]
fn a_joined_machine_starts_on_a_disk_that_can_only_be_read() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    disk.fail_from(1, Errno::EROFS);
    let found = Home::new(&disk).load().unwrap();
    assert_eq!(found.state, Loaded::Joined(Box::new(identity)));
}
