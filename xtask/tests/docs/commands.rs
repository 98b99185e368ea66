//! What pages tell people to type is understood by the programs that they tell them to type it to.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, error::ErrorKind};
use ipvs_sampler::cli::Cli;

use crate::{
    finding::Finding,
    pages::Pages,
    shell::{Command, commands, split},
};

/// Commands in blocks of `sh` and `console`.
pub(crate) fn check_blocks(pages: &Pages) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        for Command { line, words } in page.blocks.iter().flat_map(commands) {
            if let Err(Misunderstood { why, .. }) = understood(&words) {
                findings.push(Finding {
                    page: path.clone(),
                    line,
                    what: format!("`{}`: {why}", words.join(" ")),
                });
            }
        }
    }
    findings
}

/// Why a program does not understand a command.
struct Misunderstood {
    /// Something is missing after it.
    is_incomplete: bool,
    why: String,
}

fn understood(words: &[String]) -> Result<(), Misunderstood> {
    let words: Vec<_> = without_wrappers(words).iter().map(String::as_str).collect();
    match &words[..] {
        [program, arguments @ ..] if file_name(program) == "ipvs-sampler" => {
            parse(Cli::command(), "ipvs-sampler", arguments)
        }
        ["cargo", "xtask", arguments @ ..] => {
            parse(xtask::command_line(), "cargo xtask", arguments)?;
            // What the lab hands on.
            match (arguments, arguments.iter().position(|word| *word == "--")) {
                (["lab", ..], Some(at)) => {
                    let run = [&["run"][..], &arguments[at + 1..]].concat();
                    parse(Cli::command(), "ipvs-sampler", &run)
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or_default()
}

/// Without variables, and without programs that run the one named after them.
fn without_wrappers(mut words: &[String]) -> &[String] {
    loop {
        words = match words {
            [first, option, _, rest @ ..] if first == "nice" && option == "-n" => rest,
            [first, option, _, rest @ ..] if first == "sudo" && option == "-u" => rest,
            [first, option, rest @ ..] if first == "sudo" && option == "-E" => rest,
            [first, rest @ ..] if ["sudo", "nice", "env", "time"].contains(&first.as_str()) => rest,
            [first, rest @ ..] if is_assignment(first) => rest,
            _ => return words,
        }
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    let fits = |character: char| {
        character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_'
    };
    !name.is_empty() && name.chars().all(fits)
}

fn parse(command: clap::Command, name: &str, arguments: &[&str]) -> Result<(), Misunderstood> {
    let arguments = [name].into_iter().chain(arguments.iter().copied());
    match command.try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            kind => Err(Misunderstood {
                is_incomplete: matches!(
                    kind,
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                ),
                why: error.to_string().lines().next().unwrap_or_default().into(),
            }),
        },
    }
}

/// Commands in the text, where they have no placeholder.
pub(crate) fn check_inline_commands(pages: &Pages) -> Vec<Finding> {
    let is_command = |code: &str| {
        let code = code.trim_start_matches("sudo ");
        code.starts_with("ipvs-sampler ") || code.starts_with("cargo xtask ")
    };
    let has_placeholder =
        |code: &str| code.contains(['…', '[']) || code.contains(char::is_uppercase);
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        let code = page.code.iter();
        for (line, code) in code.filter(|(_, code)| is_command(code) && !has_placeholder(code)) {
            let commands = split(code).into_iter();
            // A text may name a subcommand without what it takes.
            let wrong = commands
                .filter_map(|words| understood(&words).err())
                .filter(|wrong| !wrong.is_incomplete);
            findings.extend(wrong.map(|Misunderstood { why, .. }| Finding {
                page: path.clone(),
                line: *line,
                what: format!("`{code}`: {why}"),
            }));
        }
    }
    findings
}

/// Options in the text.
pub(crate) fn check_inline(pages: &Pages) -> Vec<Finding> {
    let known = known_options();
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        let code = page.code.iter().filter(|(_, code)| code.starts_with("--"));
        for (line, code) in code {
            for option in options(code).filter(|option| !known.contains(*option)) {
                findings.push(Finding {
                    page: path.clone(),
                    line: *line,
                    what: format!("`{code}`: there is no option --{option}"),
                });
            }
        }
    }
    findings
}

/// The names of the options in `--a B --c[=D]`.
fn options(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split_whitespace();
    let names = words.filter_map(|word| word.strip_prefix("--"));
    names.filter_map(|name| {
        let end = name.find(|character: char| !(character.is_alphanumeric() || character == '-'));
        let name = &name[..end.unwrap_or(name.len())];
        (!name.is_empty()).then_some(name)
    })
}

fn known_options() -> BTreeSet<String> {
    fn add(command: &clap::Command, known: &mut BTreeSet<String>) {
        let options = command
            .get_arguments()
            .filter_map(|option| option.get_long());
        known.extend(options.map(str::to_owned));
        for below in command.get_subcommands() {
            add(below, known);
        }
    }
    let mut known = BTreeSet::new();
    for mut command in [Cli::command(), xtask::command_line()] {
        command.build();
        add(&command, &mut known);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::{check_blocks, check_inline, check_inline_commands};
    use crate::finding::found;

    #[test]
    fn commands_that_the_programs_understand_are_fine() {
        let text = "```sh\nsudo ipvs-sampler run --interval 1s | head # see\n\
                    RUST=1 nice -n 10 ./ipvs-sampler once --format table > x\n\
                    cargo xtask lab --for 5s -- --fields extended\nipvs-sampler --help\ncargo build --wrong\n```\n\
                    ```console\n$ ipvs-sampler doctor\nipvs-sampler says --this\n```\n\
                    ```text\nipvs-sampler nothing\n```\n";
        assert_eq!(found(check_blocks, text), []);
    }

    #[test]
    fn commands_that_they_do_not_understand_are_found() {
        for (command, why) in [
            (
                "ipvs-sampler run --intervall 1s",
                "unexpected argument '--intervall'",
            ),
            (
                "sudo ./ipvs-sampler run --interval 10",
                "invalid value '10'",
            ),
            (
                "true && nice cargo xtask labs",
                "unrecognized subcommand 'labs'",
            ),
            (
                "cargo xtask lab -- --field all",
                "unexpected argument '--field'",
            ),
            ("ipvs-sampler man [SUBCOMMAND]", "invalid value"),
            (
                "sudo -u nobody /usr/bin/ipvs-sampler once --wrong",
                "unexpected argument '--wrong'",
            ),
        ] {
            let found = found(check_blocks, &format!("a\n```sh\n\n{command}\n```\n"));
            assert_eq!(found.len(), 1, "{command}");
            assert!(found[0].0 == 4 && found[0].1.contains(why), "{found:?}");
        }
    }

    #[test]
    fn a_command_in_the_text_that_is_not_understood_is_found() {
        let text = "`cargo xtask test --kernel 6.12` and `ipvs-sampler man SUBCOMMAND`, `ipvs-sampler completions`\n`ipvs-sampler onse`\n";
        let found = found(check_inline_commands, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == 2 && found[0].1.contains("unrecognized subcommand"));
    }

    #[test]
    fn an_option_in_the_text_that_there_is_not_is_found() {
        let text = "`--interval TIME`, `--telegraf-execd[=none|stdin]`, `--host-only`\n`--help` and ipvsadm's `-Ln --stats`\n";
        assert_eq!(found(check_inline, text), []);
        let found = found(check_inline, "a `--interval 1s --period\n2s`\n");
        assert_eq!(
            found,
            [(
                1,
                "`--interval 1s --period 2s`: there is no option --period".into()
            )]
        );
    }
}
