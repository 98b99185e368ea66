//! The configuration file: TOML with an option's long name as key.

use std::path::Path;

use clap::Command;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::options::{Setting, is_repeatable, keys, place};

/// What the file says. An error names the line, the key, and what is wrong.
pub(super) fn settings(path: &Path, text: &str, options: &Command) -> Result<Vec<Setting>, String> {
    let origin = |offset: usize| {
        let lines = text.as_bytes().iter().take(offset);
        place(path, 1 + lines.filter(|&&byte| byte == b'\n').count())
    };
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        format!("{}: {}", origin(offset), error.message())
    })?;
    let mut settings: Vec<_> = table
        .into_inner()
        .into_iter()
        .map(|(key, value)| {
            let origin = origin(key.span().start);
            let key = key.into_inner().into_owned();
            if !keys(options).any(|known| known == key) {
                return Err(format!("{origin}: {}", unknown(&key, options)));
            }
            let values =
                values(&key, value, options).map_err(|why| format!("{origin}: {key}: {why}"))?;
            if values.is_empty() && has_default(options, &key) {
                return Err(format!(
                    "{origin}: {key}: is empty; leave it out for the default"
                ));
            }
            Ok(Setting {
                key,
                values,
                origin,
            })
        })
        .collect::<Result<_, _>>()?;
    settings.retain(|setting| !setting.values.is_empty());
    Ok(settings)
}

fn has_default(options: &Command, key: &str) -> bool {
    let mut arguments = options.get_arguments();
    arguments
        .find(|argument| argument.get_long() == Some(key))
        .is_some_and(|argument| !argument.get_default_values().is_empty())
}

fn unknown(key: &str, options: &Command) -> String {
    let common = |known: &str| {
        let same = known.bytes().zip(key.bytes());
        same.take_while(|(one, other)| one == other).count()
    };
    let nearest = keys(options).max_by_key(|known| common(known));
    let hint = match nearest.filter(|known| common(known) > 2) {
        Some(known) => format!("did you mean {known}?"),
        None => format!(
            "known keys are {}",
            keys(options).collect::<Vec<_>>().join(", ")
        ),
    };
    format!("unknown key {key}; {hint}")
}

fn values(
    key: &str,
    value: Spanned<DeValue<'_>>,
    options: &Command,
) -> Result<Vec<String>, String> {
    let repeatable = is_repeatable(options, key);
    match value.into_inner() {
        DeValue::Array(values) if repeatable => values
            .into_iter()
            .map(|value| text(value.into_inner()))
            .collect(),
        DeValue::Table(values) if key == "tag" => values
            .into_iter()
            .map(|(name, value)| Ok(format!("{}={}", name.get_ref(), text(value.into_inner())?)))
            .collect(),
        DeValue::Array(_) => Err("takes one value, not several".into()),
        value => Ok(vec![text(value)?]),
    }
}

/// As it would stand on the command line.
fn text(value: DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().into()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!(
            "takes a quoted string or a decimal number, not this {}",
            other.type_str()
        )),
    }
}
