//! P2: a disk that fails stops a join only as long as it fails.

use std::time::Duration;

use nix::errno::Errno;
use skerry_firstboot::join::JoinError;

use crate::api_server::ApiServer;
use crate::issuer::Issuer;
use crate::joiner::{End, HOUR, Joiner, joined};
use crate::machine::{blank_disk, kubelet_pair};

const ERRORS: [Errno; 3] = [Errno::ENOSPC, Errno::EROFS, Errno::EIO];

fn assert_says_what_helps(error: &JoinError) {
    assert!(matches!(error, JoinError::Identity(_)), "{error}");
    assert!(
        error.to_string().contains("/var") && !error.advice().is_empty(),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_once_is_told_and_the_join_goes_on_by_itself() {
    let issuer = Issuer::new("ca");
    for errno in ERRORS {
        for n in 1.. {
            let server = ApiServer::new(&issuer);
            let mut machine = Joiner::boot(&issuer, blank_disk());
            machine.disk.fail_once(n, errno);
            joined(&mut machine, &server).await;
            assert_eq!((server.created().len(), server.keys()), (1, 1), "{errno} at {n}");
            kubelet_pair(&machine.disk).unwrap();
            if machine.disk.operations().changes < n {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stays_bad_is_told_with_advice_and_asked_in_growing_intervals() {
    let issuer = Issuer::new("ca");
    for (errno, n) in ERRORS.into_iter().flat_map(|errno| (1..40).map(move |n| (errno, n))) {
        let server = ApiServer::new(&issuer);
        let mut machine = Joiner::boot(&issuer, blank_disk());
        machine.disk.fail_from(n, errno);
        match machine.run(&server, HOUR).await {
            End::StillTrying(error) => assert_says_what_helps(&error.unwrap()),
            End::Certified(_) => continue,
            End::PowerGone => panic!("nobody cut the power"),
        }
        let calls = server.calls().len();
        assert!(calls < 120, "{errno} from {n}: {calls} requests in an hour");
        machine.disk.mend();
        machine.run(&server, Duration::from_secs(900)).await.identity();
        assert_eq!((server.created().len(), server.keys()), (1, 1), "{errno} from {n}");
    }
}
