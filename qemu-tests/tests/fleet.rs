//! Mass joins in virtual time: nobody asks twice, nobody comes too early, and the last machine is not much later than the
//! controllers' own speed allows.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: figures are printed, a surprise is a failure"
)]

use std::time::Duration;

use skerry_firstboot::join_config;
use skerry_qemu_tests::fleet::{Fleet, Report};
use skerry_qemu_tests::mock_api::signing::Limits;

const JOIN_FILE: &str = "version = 1
endpoints = [\"https://k8s.example.org:6443\"]
token = \"abcdef.0123456789abcdef\"
ca-pins = [\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]
";

/// What a small API server takes from strangers, in a second.
const REQUESTS_PER_SECOND: u32 = 400;
/// Calls that the approver makes for one request, and in a second (20 QPS: `pkg/controller/apis/config`).
const APPROVER_CALLS: u32 = 2;
const CONTROLLER_QPS: u32 = 20;

fn join_at_once(machines: usize) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let config = join_config::parse(JOIN_FILE.as_bytes()).unwrap().config;
        let limits = Limits::upstream().with_requests(REQUESTS_PER_SECOND);
        Fleet::new(config, &limits).join(machines).await
    })
}

fn percentile(report: &Report, percent: usize) -> Duration {
    report.joined[(report.joined.len() * percent / 100).min(report.joined.len() - 1)]
}

#[test]
fn ten_thousand_machines_at_once_make_one_request_each_and_are_done_when_the_controllers_are() {
    const MACHINES: usize = 10_000;
    let report = join_at_once(MACHINES);
    let drain = Duration::from_secs(MACHINES as u64 * u64::from(APPROVER_CALLS) / u64::from(CONTROLLER_QPS));
    println!(
        "{MACHINES} machines: half joined after {} s, 99 % after {} s, the last after {} s; the controllers need {} s; \
         {} requests answered, {} told to come again",
        percentile(&report, 50).as_secs(),
        percentile(&report, 99).as_secs(),
        percentile(&report, 100).as_secs(),
        drain.as_secs(),
        report.answered,
        report.turned_away
    );
    assert_eq!(report.joined.len(), MACHINES);
    assert_eq!(report.requests_created, MACHINES, "signing requests");
    assert_eq!(report.too_early, 0, "requests before the time that Retry-After told");
    assert!(
        percentile(&report, 99) <= drain * 3 / 2,
        "{:?}",
        percentile(&report, 99)
    );
    // Discovery, the name, the request: four; the rest are looks at the request, and being turned away.
    let each = (report.answered + report.turned_away) / MACHINES as u64;
    assert!(each <= 60, "{each} requests of each machine");
}

#[test]
fn a_hundred_machines_are_not_slowed_down_by_the_manners_of_ten_thousand() {
    let report = join_at_once(100);
    assert!(
        percentile(&report, 100) <= Duration::from_secs(20),
        "{:?}",
        report.joined
    );
}
