//! Reads this machine's apt sources, to fetch other suites from the same mirrors.
//!
//! sources.list(5) describes both forms: one line per source, and deb822 stanzas.

use std::{fs, path::Path};

/// One archive that apt on this machine is told to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) suite: String,
    pub(crate) components: Vec<String>,
    pub(crate) signed_by: Option<String>,
    /// Without a signature, too.
    pub(crate) trusted: bool,
}

/// The keyring that Debian's own archives are signed with.
pub(crate) const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const SUITES: [&str; 10] = [
    "stable",
    "oldstable",
    "oldoldstable",
    "testing",
    "unstable",
    "sid",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
];

/// The mirrors of Debian's archive and of its security archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mirrors {
    pub(crate) main: Option<Source>,
    pub(crate) security: Option<Source>,
}

/// Reads every file that apt reads below `etc_apt`, in apt's order.
pub(crate) fn read(etc_apt: &Path) -> Vec<Source> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(dir) = fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut parts: Vec<_> = dir.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        files.extend(parts);
    }
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(parse_line)),
            Some("sources") => sources.extend(parse_stanzas(&text)),
            _ => {}
        }
    }
    sources
}

/// Picks Debian's own archives out of whatever else the machine uses.
pub(crate) fn mirrors(sources: &[Source]) -> Mirrors {
    let debian = |source: &&Source| {
        source.components.iter().any(|c| c == "main")
            && source
                .signed_by
                .as_deref()
                .is_none_or(|key| key.contains("debian-archive"))
    };
    let find = |wanted: &dyn Fn(&str) -> bool| {
        sources
            .iter()
            .filter(debian)
            .find(|s| wanted(&s.suite))
            .cloned()
    };
    Mirrors {
        main: find(&|suite| SUITES.contains(&suite)),
        security: find(&|suite| {
            suite
                .strip_suffix("-security")
                .is_some_and(|suite| SUITES.contains(&suite))
        }),
    }
}

/// `deb [option=value ...] URI SUITE COMPONENT...`
fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?;
    let line = line.strip_prefix([' ', '\t', '['])?.trim_start();
    let (options, rest) = match line.split_once(']') {
        Some((options, rest)) => (options.trim_start_matches('['), rest),
        None => ("", line),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let trusted = options
        .split_whitespace()
        .any(|option| option == "trusted=yes");
    Some(Source {
        uri: words.next()?,
        suite: words.next()?,
        components: words.collect(),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned),
        trusted,
    })
}

fn parse_stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .flat_map(parse_stanza)
        .collect()
}

fn parse_stanza(lines: &[&str]) -> Vec<Source> {
    let field = |name: &str| -> Vec<String> {
        let mut words = Vec::new();
        let mut inside = false;
        for line in lines {
            // A continuation line begins with white space.
            let value = match line.split_once(':') {
                _ if line.starts_with([' ', '\t']) => inside.then_some(*line),
                Some((key, value)) => {
                    inside = key.eq_ignore_ascii_case(name);
                    inside.then_some(value)
                }
                None => None,
            };
            words.extend(
                value
                    .into_iter()
                    .flat_map(str::split_whitespace)
                    .map(str::to_owned),
            );
        }
        words
    };
    let enabled = field("Enabled")
        .first()
        .is_none_or(|v| v != "no" && v != "false");
    if !enabled || !field("Types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    let Some(uri) = field("URIs").into_iter().next() else {
        return Vec::new();
    };
    field("Suites")
        .into_iter()
        .map(|suite| Source {
            uri: uri.clone(),
            suite,
            components: field("Components"),
            // An embedded key has no file to point at; Debian's keyring serves instead.
            signed_by: field("Signed-By")
                .into_iter()
                .next()
                .filter(|key| key.starts_with('/')),
            trusted: field("Trusted").iter().any(|value| value == "yes"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "Types: deb deb-src\n# a remark\nURIs: http://mirror.test/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k/debian-archive.gpg\n\
        \nTypes: deb\nURIs: http://mirror.test/debian-security\nSuites: bookworm-security\n\
        Components: main\n contrib\n\
        \nEnabled: no\nTypes: deb\nURIs: http://off.test/\nSuites: bookworm\nComponents: main\n";

    #[test]
    fn finds_both_archives_in_stanzas() {
        let sources = parse_stanzas(STANZAS);
        assert_eq!(sources.len(), 3);
        let mirrors = mirrors(&sources);
        assert_eq!(mirrors.main.unwrap().uri, "http://mirror.test/debian");
        let security = mirrors.security.unwrap();
        assert_eq!(security.uri, "http://mirror.test/debian-security");
        assert_eq!(security.components, ["main", "contrib"]);
    }

    #[test]
    fn finds_both_archives_in_lines() {
        let text = "deb-src http://mirror.test/debian bookworm main\n\
            # deb http://off.test/debian bookworm main\n\
            deb [arch=amd64 signed-by=/k/other.gpg] http://third.test/debian bookworm main\n\
            deb https://tools.test/apt tools-bookworm main\n\
            deb http://mirror.test/debian bookworm main contrib\n\
            deb http://mirror.test/debian-security bookworm-security main # remark\n";
        let sources: Vec<_> = text.lines().filter_map(parse_line).collect();
        assert_eq!(sources.len(), 4);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k/other.gpg"));
        let mirrors = mirrors(&sources);
        assert_eq!(mirrors.main.unwrap().uri, "http://mirror.test/debian");
        assert_eq!(mirrors.security.unwrap().suite, "bookworm-security");
    }
}
