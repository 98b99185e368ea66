//! A configuration as a file that would give it.

use std::fmt::Write as _;

use clap::{CommandFactory as _, parser::ValueSource};

use super::{Cli, Configuration, at, inner, is_repeatable, sampling};

/// Every option with its value and where that comes from.
#[must_use]
pub fn show(configuration: &Configuration) -> String {
    let Configuration {
        matches,
        settings,
        file,
        ..
    } = configuration;
    let mut text = match file {
        Some(path) => format!("# With the configuration file {}\n", path.display()),
        None => "# Without a configuration file\n".to_owned(),
    };
    let path = sampling(matches).unwrap_or_default();
    let command = Cli::command();
    let options = at(&command, &path);
    for (key, values) in &configuration.values().0 {
        if values.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# {key} is not set");
            continue;
        }
        let values: Vec<_> = values
            .iter()
            .map(|value| quoted(&redacted(value)))
            .collect();
        let mut values = values.join(", ");
        if is_repeatable(options, key) {
            values = format!("[{values}]");
        }
        let setting = settings.iter().find(|setting| setting.key == *key);
        let id = options
            .get_arguments()
            .find(|argument| argument.get_long() == Some(key));
        let source = inner(matches, &path)
            .zip(id)
            .and_then(|(matches, argument)| matches.value_source(argument.get_id().as_str()));
        let origin = match (source, setting) {
            (Some(ValueSource::DefaultValue), Some(setting)) => setting.origin.as_str(),
            (Some(ValueSource::DefaultValue), None) => "default",
            _ => "command line",
        };
        let _ = writeln!(text, "{key} = {values} # {origin}");
    }
    text
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// An address without the secrets that somebody may have put into it, although none belongs there.
pub(super) fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let Some((path, query)) = rest.split_once('?') else {
        return format!("{scheme}://{authority}{rest}");
    };
    let pairs: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key @ ("p" | "password" | "token"), _)) => format!("{key}={HIDDEN}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{scheme}://{authority}{path}?{}", pairs.join("&"))
}

const HIDDEN: &str = "[hidden]";

#[cfg(test)]
mod tests {
    use super::{quoted, redacted};

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        for (text, shown) in [
            ("stdout", "stdout"),
            ("tcp://[::1]:8094", "tcp://[::1]:8094"),
            (
                "influx+http://me:secret@host:8086/?db=lb&p=secret&token-file=/t",
                "influx+http://[hidden]@host:8086/?db=lb&p=[hidden]&token-file=/t",
            ),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    #[test]
    fn texts_are_quoted_as_toml_has_it() {
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\u000a""#);
    }
}
