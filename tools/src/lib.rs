//! Tasks of the project, run with `cargo xt <task>`, and the generator of the demo traffic.

pub mod bench;
pub mod ci;
pub mod corpus;
pub mod dictionary;
mod repository;
pub mod s3;
mod s3_ceph;
mod s3_daemon;
pub mod test;
pub mod tidy;
pub mod traffic;
