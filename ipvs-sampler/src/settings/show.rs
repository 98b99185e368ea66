//! A configuration as a file that would give it.

use std::fmt::Write as _;

use clap::{CommandFactory as _, parser::ValueSource};

use super::{
    options::{at, inner, is_repeatable, sampling},
    redacted::redacted,
    sources::Configuration,
};
use crate::cli::Cli;

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

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_are_quoted_as_toml_has_it() {
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\u000a""#);
    }
}
