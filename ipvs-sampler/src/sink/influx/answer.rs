//! What a server's answer to a write says: what became of the lines, and why, in a few words. Pure.
//!
//! The bodies are those that the servers write, and document:
//!
//! - InfluxDB 1: `{"error": TEXT}` (services/httpd/handler.go, `httpError`);
//! - InfluxDB 2: `{"code": WORD, "message": TEXT}` (http/write_handler.go);
//! - both name what they left out at the end of TEXT: `partial write: REASON dropped=N`, and newer ones add
//!   ` for database: NAME for retention policy: NAME` (tsdb/shard.go, `PartialWriteError`); InfluxDB 1 says
//!   `dropped=0` of lines that it could not parse, and lists those, one after the other;
//! - InfluxDB 3: `{"error": TEXT, "data": [{"original_line", "line_number", "error_message"}]}` has the bad
//!   lines, the others are stored; with `accept_partial=false`, `data` is a single object, and nothing is;
//! - InfluxDB Clustered and Cloud Dedicated, in a `message` that begins with `failed to parse line protocol`:
//!   `error parsing line 2 (1-based): ...` for each of at most 100 bad lines. Whether the others are stored
//!   depends on the server's settings.
//!
//! A quoted line may have anything in it, so no number is looked for in the middle of a text.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::sink::trouble::Obstacle;

/// Lists of bad lines end after this many (documented for InfluxDB Clustered and Cloud Dedicated).
const MOST_LISTED: u64 = 100;
/// Most characters of a cause.
const MOST_OF_CAUSE: usize = 200;

/// What became of lines that were not simply taken. The others of the request were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) rejected: u64,
    /// Taken or rejected: the answer does not say which.
    pub(super) uncertain: u64,
}

/// The body of an answer.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// What went wrong, in the server's words.
    text: String,
    bad: Bad,
}

/// Bad lines that are listed apart from the text.
#[derive(Debug, Default)]
enum Bad {
    #[default]
    Unlisted,
    /// So many.
    Lines(u64),
    /// One is named, and nothing was stored.
    All,
}

impl Body {
    /// `None` stands for a body that could not be read to its end.
    pub(super) fn read(body: Option<&[u8]>) -> Self {
        let Some(body) = body else {
            return Self::default();
        };
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Self {
                text: String::from_utf8_lossy(body).trim().into(),
                bad: Bad::Unlisted,
            };
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let message = text("message")
            .or_else(|| text("error"))
            .unwrap_or_default();
        let data = fields.get("data");
        let bad = match data {
            Some(Value::Array(lines)) if !lines.is_empty() => Bad::Lines(count(lines)),
            Some(Value::Object(_)) => Bad::All,
            _ => Bad::Unlisted,
        };
        let first = data.map(|data| data.get(0).unwrap_or(data));
        let detail = first.and_then(|first| first.get("error_message")?.as_str());
        Self {
            text: match detail {
                Some(detail) => format!("{message}: {detail}"),
                None => message.into(),
            },
            bad,
        }
    }

    /// What became of a request's lines, when its answer was neither that they were taken, nor that they may be
    /// sent again.
    pub(super) fn fate(&self, status: u16, lines: u64) -> Fate {
        let all_rejected = Fate {
            rejected: lines,
            uncertain: 0,
        };
        let rejected = |count: u64| Fate {
            rejected: count.min(lines),
            uncertain: 0,
        };
        // The request as such was refused: its lines were not looked at.
        if !matches!(status, 201 | 400 | 409 | 422) {
            return all_rejected;
        }
        match self.bad {
            Bad::All => return all_rejected,
            Bad::Lines(count) => return listed(count, lines),
            Bad::Unlisted => {}
        }
        let text = self.text.as_str();
        let text = text
            .strip_prefix("failure writing points to database: ")
            .unwrap_or(text);
        if let Some(reason) = text.strip_prefix("partial write: ") {
            if let Some((reason, dropped)) = dropped(reason) {
                return rejected(dropped.saturating_add(unparsed(reason)));
            }
        } else if unparsed(text) > 0 {
            // None could be parsed, or none is stored unless all can be.
            return all_rejected;
        } else if text.starts_with("failed to parse line protocol") {
            let is_bad = |line: &&str| line.trim_start().starts_with("error parsing line ");
            let bad = (text.lines().filter(is_bad).count() as u64).min(lines);
            return Fate {
                rejected: bad,
                uncertain: lines - bad,
            };
        } else if status == 201 && text.is_empty() {
            return Fate::default();
        }
        Fate {
            rejected: 0,
            uncertain: lines,
        }
    }

    /// Why: behind the status, the server's words without quoted lines, numbers and hashes. It is the same kind
    /// when it quotes another name.
    pub(super) fn cause(&self, status: &str) -> Obstacle {
        let text = dropped(&self.text).map_or(self.text.as_str(), |(reason, _)| reason);
        let line = text.lines().next().unwrap_or_default();
        let said = |with_names| {
            let text = general(line, with_names);
            let clean: String = text
                .chars()
                .filter(|c| !c.is_control())
                .take(MOST_OF_CAUSE)
                .collect();
            match clean.trim() {
                "" => status.into(),
                text => format!("{status}: {text}"),
            }
        };
        Obstacle {
            words: said(true),
            kind: said(false),
        }
    }
}

/// A list of bad lines, which ends after [`MOST_LISTED`] on some servers.
fn listed(bad: u64, lines: u64) -> Fate {
    let rejected = bad.min(lines);
    Fate {
        rejected,
        uncertain: if bad == MOST_LISTED {
            lines - rejected
        } else {
            0
        },
    }
}

/// How many different lines a list has.
fn count(list: &[Value]) -> u64 {
    let numbers = list
        .iter()
        .map(|line| line.get("line_number").and_then(Value::as_u64));
    let unnumbered = numbers.clone().filter(Option::is_none).count();
    let numbers: BTreeSet<_> = numbers.flatten().collect();
    (unnumbered + numbers.len()) as u64
}

/// What stands before `dropped=N`, and N, when that ends the text or only names follow.
fn dropped(text: &str) -> Option<(&str, u64)> {
    text.rmatch_indices(" dropped=").find_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let ends = after.is_empty() || after.starts_with(" for database: ");
        let number = number.parse().ok().filter(|_| ends)?;
        Some((&text[..at], number))
    })
}

/// Lines that InfluxDB could not parse: it lists them one after the other.
fn unparsed(text: &str) -> u64 {
    let is_bad = |line: &&str| line.starts_with("unable to parse '");
    text.lines().filter(is_bad).count() as u64
}

/// With … in place of quoted lines, of words with digits and, unless they are wanted, of quoted names. A quoted
/// line may have quotes of its own, so it lasts to the last quote of its kind.
fn general(text: &str, with_names: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((begin, quote)) = next_quote(rest) {
        out.push_str(&without_numbers(&rest[..begin]));
        let inside = &rest[begin + quote.len()..];
        let is_name = |name: &str| !name.contains([' ', ',', '=']) && !name.contains(is_quote);
        match inside.split_once(quote).filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                out.push_str(if with_names { name } else { "…" });
                rest = after;
            }
            None => {
                out.push('…');
                rest = inside.rsplit_once(quote).map_or("", |(_, after)| after);
            }
        }
    }
    out.push_str(&without_numbers(rest));
    out
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}

/// An apostrophe within a word quotes nothing.
fn next_quote(text: &str) -> Option<(usize, &str)> {
    let mut quotes = text.match_indices(is_quote);
    quotes.find(|&(at, quote)| quote != "'" || !text[..at].ends_with(char::is_alphanumeric))
}

fn without_numbers(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
