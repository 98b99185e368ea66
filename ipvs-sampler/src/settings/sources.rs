//! Reads the command line, the environment and the file.

use std::{env, ffi::OsString, fs, io, path::PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use thiserror::Error;

use super::{
    file,
    options::{Setting, at, inner, is_command_lines, is_repeatable, keys, sampling},
    redacted::redacted,
    text,
};
use crate::{
    cli::{self, Cli, Settings},
    system::privileges::User,
};

/// Looked for when no other file is named.
const DEFAULT_FILE: &str = "/etc/ipvs-sampler/config.toml";

/// Variables of options are called so, and then like them.
const PREFIX: &str = "IPVS_SAMPLER_";

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum Problem {
    /// The command line is wrong, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The environment or the file is wrong: where, and what to do.
    #[error("{0}")]
    Wrong(String),
}

/// The command line and the environment of this process; the file is read each time.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(super) arguments: Vec<OsString>,
    /// Those whose names begin with [`PREFIX`], sorted by name.
    pub(super) variables: Vec<(String, OsString)>,
}

/// A command line joined with what is said elsewhere.
#[derive(Debug)]
pub struct Configuration {
    /// Ready for use.
    pub cli: Cli,
    /// As whom the sampler goes on after the start.
    pub user: Option<User>,
    pub(super) matches: ArgMatches,
    pub(super) settings: Vec<Setting>,
    pub(super) file: Option<PathBuf>,
}

/// Every option that can be set anywhere, by its long name, with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(pub(super) Vec<(String, Vec<String>)>);

impl Values {
    /// The names of options that have other values there.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let same = |pair: &&(String, Vec<String>)| other.0.contains(pair);
        self.0
            .iter()
            .filter(move |pair| !same(pair))
            .map(|(key, _)| key.as_str())
    }

    /// Takes over what these keys have in others.
    pub fn take_over(&mut self, others: &Self, keys: &[String]) {
        for (key, values) in &mut self.0 {
            let other = others.0.iter().find(|(other, _)| other == key);
            if let Some((_, other)) = other.filter(|_| keys.contains(key)) {
                values.clone_from(other);
            }
        }
    }
}

impl Configuration {
    /// What it says.
    #[must_use]
    pub fn values(&self) -> Values {
        let path = sampling(&self.matches).unwrap_or_default();
        let Some(matches) = inner(&self.matches, &path) else {
            return Values::default();
        };
        let command = Cli::command();
        let values = at(&command, &path).get_arguments().filter_map(|argument| {
            let key = argument.get_long().filter(|key| !is_command_lines(key))?;
            let values = matches.get_raw(argument.get_id().as_str());
            let values = values.into_iter().flatten();
            let values = values.map(|value| value.to_string_lossy().into_owned());
            Some((key.to_owned(), values.collect()))
        });
        Values(values.collect())
    }
}

impl Sources {
    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let mut variables: Vec<_> = env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        variables.sort_unstable();
        Self {
            arguments: env::args_os().collect(),
            variables,
        }
    }

    /// These arguments, and no variables.
    #[must_use]
    pub fn of_arguments(arguments: Vec<OsString>) -> Self {
        Self {
            arguments,
            variables: Vec::new(),
        }
    }

    /// Reads the file and joins everything.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(&self) -> Result<Configuration, Problem> {
        self.check_arguments()?;
        let command = Cli::command();
        let matches = command.clone().try_get_matches_from(&self.arguments)?;
        let Some(path) = sampling(&matches) else {
            return Ok(Configuration {
                cli: Cli::from_arg_matches(&matches)?,
                user: None,
                matches,
                settings: Vec::new(),
                file: None,
            });
        };
        let options = at(&command, &path);
        let file = self.file(named_file(&matches, &path))?;
        let mut settings = match &file {
            Some((path, text)) => file::settings(path, text, options).map_err(Problem::Wrong)?,
            None => Vec::new(),
        };
        for setting in self.variable_settings(options)? {
            settings.retain(|lower| lower.key != setting.key);
            settings.push(setting);
        }
        for setting in &settings {
            check(setting, options).map_err(Problem::Wrong)?;
        }
        let matches =
            with_defaults(command, &path, &settings).try_get_matches_from(&self.arguments)?;
        let cli = Cli::from_arg_matches(&matches)?;
        check_tags(&cli)?;
        let user = user(&cli)?;
        Ok(Configuration {
            cli,
            user,
            matches,
            settings,
            file: file.map(|(path, _)| path),
        })
    }

    /// Before clap looks at them: it would print them as they are.
    fn check_arguments(&self) -> Result<(), clap::Error> {
        for argument in self.arguments.iter().skip(1) {
            let argument = argument.to_string_lossy();
            let shown = || redacted(&argument);
            text::check(&argument).map_err(|why| usage(format!("{:?} {why}", shown())))?;
        }
        Ok(())
    }

    /// The file and its text; none, when none was named and none is in the usual place.
    fn file(&self, named: Option<PathBuf>) -> Result<Option<(PathBuf, String)>, Problem> {
        let named = match named {
            Some(path) => Some(path),
            None => self.variable_file()?,
        };
        let optional = named.is_none();
        let path = named.unwrap_or_else(|| DEFAULT_FILE.into());
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if optional && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Problem::Wrong(format!(
                "cannot read the configuration file {}: {error}",
                path.display()
            ))),
        }
    }

    fn variable_file(&self) -> Result<Option<PathBuf>, Problem> {
        let Some(path) = self.variable("CONFIG")? else {
            return Ok(None);
        };
        text::check(path).map_err(|why| Problem::Wrong(format!("{PREFIX}CONFIG: {why}")))?;
        Ok(Some(path.into()))
    }

    /// What a variable says; an empty one, or one of nothing but spaces, says nothing.
    fn variable(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut variables = self.variables.iter();
        let found = variables.find(|(known, _)| known.strip_prefix(PREFIX) == Some(name));
        let Some((name, value)) = found else {
            return Ok(None);
        };
        match value.to_str() {
            Some(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
            None => Err(Problem::Wrong(format!(
                "{name}: {value:?} is not valid UTF-8"
            ))),
        }
    }

    fn variable_settings(&self, options: &Command) -> Result<Vec<Setting>, Problem> {
        let mut settings = Vec::new();
        for key in keys(options) {
            let name = key.replace('-', "_").to_uppercase();
            let Some(value) = self.variable(&name)? else {
                continue;
            };
            let values = if is_repeatable(options, key) {
                value.split_whitespace().map(str::to_owned).collect()
            } else {
                vec![value.to_owned()]
            };
            settings.push(Setting {
                key: key.to_owned(),
                values,
                origin: format!("{PREFIX}{name}"),
            });
        }
        Ok(settings)
    }

    /// Variables that look like an option's and are none's.
    pub fn unknown_variables(&self) -> impl Iterator<Item = &str> {
        let command = Cli::command();
        let known: Vec<_> = keys(at(&command, &["run"]))
            .chain(["config"])
            .map(|key| format!("{PREFIX}{}", key.replace('-', "_").to_uppercase()))
            .collect();
        self.variables
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(move |name| !known.iter().any(|known| known == name))
    }
}

fn named_file(matches: &ArgMatches, path: &[&str]) -> Option<PathBuf> {
    inner(matches, path)?.get_one::<PathBuf>("config").cloned()
}

/// Two values for one tag on the command line; elsewhere, [`check`] has found them.
fn check_tags(cli: &Cli) -> Result<(), clap::Error> {
    let Some(settings) = settings(cli) else {
        return Ok(());
    };
    let tags = &settings.reloadable.tag;
    text::check_tags(tags.iter().map(|(name, _)| name.as_str())).map_err(usage)
}

/// Of a command that samples or would.
fn settings(cli: &Cli) -> Option<&Settings> {
    match &cli.command {
        cli::Command::Run(run) => Some(&run.settings),
        cli::Command::Config(cli::Config::Check(run) | cli::Config::Show(run)) => {
            Some(&run.settings)
        }
        _ => None,
    }
}

/// The user that the command line names; elsewhere, [`check`] has found who is not there.
fn user(cli: &Cli) -> Result<Option<User>, clap::Error> {
    let name = settings(cli).and_then(|settings| settings.fixed.user.as_deref());
    name.map(look_up).transpose().map_err(|why| {
        // As clap has it, which does not look into files.
        let why = format!("{why}\n\nFor more information, try '--help'.\n");
        clap::Error::raw(clap::error::ErrorKind::ValueValidation, why)
    })
}

fn look_up(name: &str) -> Result<User, String> {
    User::look_up(name).map_err(|why| format!("invalid value '{name}' for '--user <USER>': {why}"))
}

fn usage(why: String) -> clap::Error {
    Cli::command().error(clap::error::ErrorKind::ValueValidation, why)
}

/// Looks at one setting by itself, and lets clap do so, so that the message can say where it stands.
fn check(setting: &Setting, options: &Command) -> Result<(), String> {
    let Setting {
        key,
        values,
        origin,
    } = setting;
    let wrong = |why| format!("{origin}: {key}: {why}");
    for value in values {
        text::check(value).map_err(wrong)?;
    }
    if key == "tag" {
        let names = values.iter().filter_map(|tag| tag.split_once('='));
        text::check_tags(names.map(|(name, _)| name)).map_err(wrong)?;
    }
    if let ("user", [name]) = (key.as_str(), &values[..]) {
        look_up(name).map_err(wrong)?;
    }
    let argument = options
        .get_arguments()
        .find(|argument| argument.get_long() == Some(key));
    let alone = Command::new("option").no_binary_name(true).args(argument);
    let arguments = values.iter().map(|value| format!("--{key}={value}"));
    match alone.try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            // Whole values: a secret may have spaces in it.
            let hide = |text: String, value: &String| text.replace(value, &redacted(value));
            let text = values.iter().fold(error.to_string(), hide);
            let reason = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<_> = reason.split_whitespace().collect();
            let reason = words.join(" ");
            let reason = reason.strip_prefix("error: ").unwrap_or(&reason);
            Err(wrong(reason.to_owned()))
        }
    }
}

fn with_defaults(command: Command, path: &[&str], settings: &[Setting]) -> Command {
    if let [name, inner @ ..] = path {
        return command.mut_subcommand(*name, |command| with_defaults(command, inner, settings));
    }
    let set = |argument: clap::Arg| {
        let key = argument.get_long();
        match settings
            .iter()
            .find(|setting| Some(setting.key.as_str()) == key)
        {
            Some(setting) => argument.default_values(&setting.values),
            None => argument,
        }
    };
    command.mut_args(set)
}
