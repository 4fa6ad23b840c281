mod args;
mod backup;
mod config;
mod error;
mod init;
mod lock;
mod serve;
