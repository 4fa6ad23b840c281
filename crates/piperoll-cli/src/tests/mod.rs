//! Tests of what needs no second process; transcripts of the program are in `tests/cli`.

mod args;
mod backup;
mod config;
mod error;
mod init;
mod lock;
mod replica;
mod serve;
