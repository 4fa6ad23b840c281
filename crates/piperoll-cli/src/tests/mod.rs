#![expect(clippy::disallowed_methods, reason = "tests may unwrap")]

mod args;
mod backup;
mod config;
mod error;
mod init;
mod lock;
