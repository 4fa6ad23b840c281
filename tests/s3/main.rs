//! The archive on a real S3 service with enforced locks, through faults on the wire, and beside outsiders who have
//! rights in the bucket or behind the gateway. Without a service (see `cargo xt s3`) nothing is tested here; the test
//! command checks that it was.
#![expect(clippy::disallowed_methods, reason = "tests may unwrap and measure")]

mod archive;
mod ceph;
mod conformance;
mod fault;
mod outsider;
mod probe;
mod replica;
mod snapshot;

#[test]
fn no_test_file_is_forgotten() {
    assert_eq!(piperoll_tests::forgotten_modules("s3"), Vec::<String>::new());
}
