//! The options of `piperoll serve`.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Address to listen on [default: 127.0.0.1:8722]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve from the replica alone; the ledger goes on there
    #[arg(long)]
    pub(crate) replica: bool,
    /// Serve the replica although it lacks events that this machine knows of; they are given up for good
    #[arg(long, requires = "replica")]
    pub(crate) accept_loss: bool,
    /// Say that this host's clock was checked and is right, after a jump that the archive has recorded
    #[arg(long)]
    pub(crate) confirm_clock: bool,
    /// Form of the log on stderr
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogForm::Text)]
    pub(crate) log: LogForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    Text,
    Json,
}
