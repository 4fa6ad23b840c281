//! Tests of the arguments.

use std::path::Path;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Cli, Command};

#[test]
fn verify_cli() {
    Cli::command().debug_assert();
}

#[test]
fn help_documents_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for exit in [0, 1, 2, 3, 4, 10, 11, 12, 130] {
        assert!(help.contains(&format!("\n  {exit:>3}  ")), "{exit} in {help}");
    }
}

#[test]
fn global_options_stand_before_and_behind_the_command() {
    for arguments in [
        ["piperoll", "--dir", "d", "--json", "search", "a b", "c"],
        ["piperoll", "search", "a b", "c", "--json", "--dir", "d"],
    ] {
        let cli = Cli::try_parse_from(arguments).unwrap();
        assert_eq!(cli.global.directory(), Path::new("d"));
        assert!(cli.global.json);
        let Command::Search(args) = cli.command else { panic!("expected a search") };
        assert_eq!(args.query, ["a b", "c"]);
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in [
        &["piperoll"][..],
        &["piperoll", "serach", "a"],
        &["piperoll", "search"],
        &["piperoll", "show", "-1"],
        &["piperoll", "show", "1", "--raw", "--proof"],
        &["piperoll", "export", "a"],
        &["piperoll", "--tz", "Europe/Warszawa", "search", "a"],
        &["piperoll", "serve", "--listen", "here"],
        &["piperoll", "token", "create", "ann"],
        &["piperoll", "token", "create", "ann", "--role", "king"],
    ] {
        assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
    }
}
