//! The command line's own definition in, completion scripts and pages of the manual out: what a
//! package ships and nobody has to keep in step by hand.

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::{
    Man as Page,
    roff::{Roff, bold, roman},
};

use crate::{
    cli::{Cli, Completions, Man},
    system::failure::{Exit, Failure},
    system::stdout::print,
};

const FILES: [(&str, &str); 6] = [
    (
        "/etc/ipvs-sampler/config.toml",
        "The configuration file: TOML, with the long options of ipvs-sampler run as keys.",
    ),
    (
        "/etc/default/ipvs-sampler",
        "Environment variables for the systemd service. Optional.",
    ),
    (
        "/lib/systemd/system/ipvs-sampler.service",
        "The service. Change it with systemctl edit ipvs-sampler.",
    ),
    (
        "/usr/share/doc/ipvs-sampler/examples",
        "Example configurations for collectors, alert rules and dashboards.",
    ),
    (
        "/sys/kernel/btf/vmlinux",
        "Type information of the running kernel, which the probe needs.",
    ),
    (
        "/proc/kallsyms",
        "Read for the address of __per_cpu_offset, which mode live needs.",
    ),
];

const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "IPVS_SAMPLER_...",
        "An option of ipvs-sampler run in capitals, hyphens as underscores: --log-format by \
         IPVS_SAMPLER_LOG_FORMAT. A variable overrides the configuration file, and the command line overrides both.",
    ),
    (
        "NOTIFY_SOCKET",
        "Set by systemd: the socket for readiness, status and the watchdog.",
    ),
    (
        "WATCHDOG_USEC",
        "Set by systemd: the watchdog's time limit.",
    ),
];

/// `completions`: a script for one shell.
///
/// # Errors
/// When standard output fails.
pub fn completions(options: &Completions) -> Result<(), Failure> {
    print(&script(match options.shell.as_str() {
        "fish" => Shell::Fish,
        "zsh" => Shell::Zsh,
        _ => Shell::Bash,
    }))
}

/// `man`: one page.
///
/// # Errors
/// When standard output fails.
pub fn man(options: &Man) -> Result<(), Failure> {
    let text = page(options.subcommand.as_deref())
        .map_err(|error| Failure::Bug(format!("cannot render the page: {error}")))?;
    print(&text)
}

fn script(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ipvs-sampler", &mut text);
    if shell != Shell::Bash {
        return text;
    }
    // clap_complete 4.6.11 takes the hyphen in a program's name for the boundary of a subcommand where it
    // lists options, but not where it looks them up, so that no option would be found.
    let text = String::from_utf8_lossy(&text);
    text.replace("ipvs__subcmd__sampler", "ipvs__sampler")
        .into_bytes()
}

fn page(subcommand: Option<&str>) -> std::io::Result<Vec<u8>> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Subcommands learn the whole program's name.
    program.build();
    let command = match subcommand {
        None => program,
        Some(name) => {
            let mut command = &program;
            for part in name.split('-') {
                let found = command.find_subcommand(part);
                command = found.ok_or(std::io::ErrorKind::NotFound)?;
            }
            command.clone().display_name(format!("ipvs-sampler-{name}"))
        }
    };
    let has_subcommands = command.has_subcommands();
    let version = concat!("ipvs-sampler ", env!("CARGO_PKG_VERSION"));
    let man = Page::new(command).source(version).manual("ipvs-sampler");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_subcommands {
        man.render_subcommands_section(&mut text)?;
    }
    let mut end = Roff::new();
    let exits = Exit::ALL.map(|exit| (exit.code.to_string(), exit.meaning));
    let exits: Vec<_> = exits
        .iter()
        .map(|(code, meaning)| (code.as_str(), *meaning))
        .collect();
    section(&mut end, "EXIT STATUS", &exits);
    section(&mut end, "FILES", &FILES);
    section(&mut end, "ENVIRONMENT", &ENVIRONMENT);
    end.control("SH", ["SEE ALSO"]);
    if subcommand.is_some() {
        end.text([bold("ipvs-sampler"), roman("(1),")]);
    }
    end.text([
        bold("ipvsadm"),
        roman("(8), "),
        bold("systemctl"),
        roman("(1)"),
    ]);
    end.to_writer(&mut text)?;
    Ok(text)
}

fn section(page: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (name, help) in entries {
        page.control("TP", []);
        page.text([bold(*name)]);
        page.text([roman(*help)]);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap_complete::Shell;

    use super::{page, script};
    use crate::cli::{Cli, SUBCOMMANDS};

    #[test]
    fn every_subcommand_has_a_page_that_says_how_it_ends() {
        let command = Cli::command();
        let mut names = Vec::new();
        for command in command.get_subcommands() {
            names.push(command.get_name().to_owned());
            let below = command.get_subcommands().map(clap::Command::get_name);
            names.extend(below.map(|name| format!("{}-{name}", command.get_name())));
        }
        let mut listed = SUBCOMMANDS.to_vec();
        names.sort_unstable();
        listed.sort_unstable();
        assert_eq!(names, listed);
        for name in listed.into_iter().map(Some).chain([None]) {
            let text = String::from_utf8(page(name).unwrap()).unwrap();
            let title = name.map_or("ipvs-sampler".into(), |name| format!("ipvs-sampler-{name}"));
            let title = title.replace('-', "\\-");
            assert!(text.contains(&title), "{text}");
            for part in ["EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"] {
                assert!(
                    text.contains(&format!(".SH \"{part}\""))
                        || text.contains(&format!(".SH {part}")),
                    "{name:?}: {part}: {text}"
                );
            }
        }
    }

    #[test]
    fn bash_looks_options_up_where_they_are_listed() {
        let text = String::from_utf8(script(Shell::Bash)).unwrap();
        let places: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"'))
            .filter(|place| !place.is_empty())
            .collect();
        assert!(places.contains(&"ipvs__sampler__subcmd__run"), "{places:?}");
        for place in places {
            assert!(text.contains(&format!("        {place})\n")), "{place}");
        }
    }

    #[test]
    fn pages_and_scripts_know_the_options() {
        let text = String::from_utf8(page(Some("run")).unwrap()).unwrap();
        assert!(text.contains("\\-\\-resolution"), "{text}");
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(script(shell)).unwrap();
            assert!(
                text.contains("resolution") && text.contains("doctor"),
                "{shell}"
            );
        }
    }
}
