//! Messages for people, on standard error, one line each.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use clap::ValueEnum;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{clock::Moment, json::Writer};

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text, for a terminal or the journal
    Text,
    /// One JSON object per line, with time, level and message
    Json,
    /// Lines that begin with a level as Telegraf's execd input reads it (E!, W!, I!)
    Telegraf,
}

static FORMAT: AtomicU8 = AtomicU8::new(Format::Text as u8);

/// Sends the program's messages to standard error.
pub fn begin() {
    if log::set_logger(&StandardError).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

/// From now on they look so.
pub fn set_format(format: Format) {
    FORMAT.store(format as u8, Ordering::Relaxed);
}

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries have their say only where it matters; the eBPF programs chose their level.
        let own = metadata.target().starts_with("ipvs_sampler");
        own || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let number = FORMAT.load(Ordering::Relaxed);
        let format = *Format::value_variants()
            .iter()
            .find(|format| **format as u8 == number)
            .unwrap_or(&Format::Text);
        let message = record.args().to_string();
        if is_writable() {
            let unread = UNREAD.swap(0, Ordering::Relaxed);
            if unread > 0 {
                let message = format!("{unread} earlier messages were lost: nobody was reading");
                write(format, Level::Warn, &message);
            }
            write(format, record.level(), &message);
        } else {
            UNREAD.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Messages that were not written: a tick does not wait for their reader.
static UNREAD: AtomicU64 = AtomicU64::new(0);

/// Whether standard error takes a message without delay: of a pipe, a page of it is free.
fn is_writable() -> bool {
    let stderr = io::stderr();
    let mut ends = [PollFd::new(&stderr, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // What cannot be asked is written to, as if there was no question.
    poll(&mut ends, Some(&at_once)).map_or(true, |ready| ready > 0)
}

fn write(format: Format, level: Level, message: &str) {
    let mut line = line(format, level, message, Moment::now().wall);
    if line.len() > MOST_BYTES {
        line.truncate(MOST_BYTES - 1);
        line.push(b'\n');
    }
    // Nobody is left to tell when standard error is closed.
    let _ = io::stderr().write_all(&line);
}

/// As much as a pipe that is ready takes at once (`PIPE_BUF`, pipe(7)).
const MOST_BYTES: usize = 4096;

/// `now` is in ns since 1970.
fn line(format: Format, level: Level, message: &str, now: i64) -> Vec<u8> {
    let label = match (format, level) {
        (Format::Json, _) => return json(level, message, now),
        (Format::Text, Level::Error) => "ipvs-sampler: error: ",
        (Format::Text, Level::Warn) => "ipvs-sampler: warning: ",
        (Format::Text, _) => "ipvs-sampler: ",
        (Format::Telegraf, Level::Error) => "E! ",
        (Format::Telegraf, Level::Warn) => "W! ",
        (Format::Telegraf, Level::Info) => "I! ",
        (Format::Telegraf, Level::Debug) => "D! ",
        (Format::Telegraf, Level::Trace) => "T! ",
    };
    // One line each, whatever a server or a file had to say.
    let message = message.trim_end().replace(['\n', '\r'], "; ");
    let mut line = label.to_owned();
    for character in message.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line.into_bytes()
}

fn json(level: Level, message: &str, now: i64) -> Vec<u8> {
    let since_1970 = Duration::from_nanos(u64::try_from(now).unwrap_or(0));
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + since_1970);
    let level = level.as_str().to_lowercase();
    let mut line = format!(r#"{{"time":"{time}","level":"{level}","message":"#).into_bytes();
    Writer::new(&mut line).text(message);
    line.extend_from_slice(b"}\n");
    line
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::{Format, line};

    #[test]
    fn a_terminal_obeys_no_message() {
        let line = line(Format::Text, Level::Info, "a\x1b[31m\0\tb", 0);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, "ipvs-sampler: a\\u{1b}[31m\\u{0}\\tb\n");
    }

    #[test]
    fn a_message_is_one_line_in_each_format() {
        let now = 1_700_000_000_123_000_000;
        let line = |format| {
            let line = line(format, Level::Warn, "no \"dump\"\nthis time", now);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(
            line(Format::Text),
            "ipvs-sampler: warning: no \"dump\"; this time\n"
        );
        assert_eq!(line(Format::Telegraf), "W! no \"dump\"; this time\n");
        assert_eq!(
            line(Format::Json),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\
             \"message\":\"no \\\"dump\\\"\\u000athis time\"}\n"
        );
    }
}
