//! The test kit: archives in memory or in a directory, small builders, and the check of everything.
//!
//! Time is a [`piperoll_store::ManualClock`], randomness is seeded, keys are fixed: the same test writes the same
//! bytes. Nothing here waits for time to pass.
#![expect(clippy::disallowed_methods, reason = "the kit is for tests, which may unwrap and measure")]

mod archive;
mod binary;
mod body;
mod check;
mod document;
mod entropy;
mod graph;
mod http;
mod module;
mod proxy;
mod running;
mod s3;
mod served;
mod sts;
mod submission;
mod wait;

pub use archive::{KEK, NOW, ORIGIN, SIGNING_KEY, TestArchive, quick_settings, submit_one};
pub use binary::{command, piperoll, piperoll_audit};
pub use body::{NamedBody, corpus, fixtures, webhook, webhook_to};
pub use check::{Stored, check_receipt};
pub use document::{document_mistake, documented_kinds};
pub use entropy::SeededEntropy;
pub use graph::{FakeGraph, GRAPH_TOKEN, GRAPH_VERSION, GraphFault, GraphMedia, GraphRequest, noise};
pub use http::{escape, sign};
pub use module::forgotten_modules;
pub use proxy::{Proxy, WireFault, WireRule};
pub use running::{Connection, Running};
pub use s3::{Identity, S3Answer, S3Service};
pub use served::{APP_SECRET, Answer, Served, VERIFY_TOKEN};
pub use sts::{FakeSts, STS_ROLE};
pub use submission::{delivery, message, numbered_message};
pub use wait::until;
