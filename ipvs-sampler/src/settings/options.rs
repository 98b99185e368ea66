//! The options as clap knows them.

use std::path::Path;

use clap::{ArgMatches, Command};

/// What only the command line can say.
const COMMAND_LINE_ONLY: [&str; 3] = ["config", "help", "telegraf-execd"];

/// An option that is set elsewhere than on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The option's long name.
    pub(super) key: String,
    pub(super) values: Vec<String>,
    /// A variable, or a file and a line in it.
    pub(super) origin: String,
}

/// The names of the subcommand, when it is one that samples or would.
pub(super) fn sampling(matches: &ArgMatches) -> Option<Vec<&str>> {
    let (name, inner) = matches.subcommand()?;
    match name {
        "run" => Some(vec![name]),
        "config" => Some(vec![name, inner.subcommand_name()?]),
        _ => None,
    }
}

/// What the options of a subcommand matched.
pub(super) fn inner<'a>(matches: &'a ArgMatches, path: &[&str]) -> Option<&'a ArgMatches> {
    let mut path = path.iter();
    path.try_fold(matches, |matches, name| matches.subcommand_matches(name))
}

/// The definition of a subcommand.
pub(super) fn at<'a>(command: &'a Command, path: &[&str]) -> &'a Command {
    path.iter().fold(command, |command, name| {
        command.find_subcommand(name).unwrap_or(command)
    })
}

/// The options that can be set elsewhere than on the command line.
pub(super) fn keys(options: &Command) -> impl Iterator<Item = &str> {
    options
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|key| !is_command_lines(key))
}

pub(super) fn is_command_lines(key: &str) -> bool {
    COMMAND_LINE_ONLY.contains(&key)
}

pub(super) fn is_repeatable(options: &Command, key: &str) -> bool {
    options
        .get_arguments()
        .find(|argument| argument.get_long() == Some(key))
        .is_some_and(|argument| matches!(argument.get_action(), clap::ArgAction::Append))
}

/// What is said of a file in messages.
pub(super) fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}
