//! Rows of one measurement: their labels as text, written once, and a number for each metric. Numbers go
//! in row by row and come out metric by metric.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher as _,
};

use super::super::append_number;
use crate::sink::PageFormat;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    /// A gauge whose number is in nanoseconds here and in seconds in the page.
    Seconds,
    /// Always 1: its labels are what it says.
    Info,
}

/// A metric.
#[derive(Debug)]
pub(super) struct Column {
    /// Without what its kind adds.
    family: String,
    /// As samples have it.
    name: String,
    help: &'static str,
    kind: MetricKind,
}

impl Column {
    /// A metric of a measurement, or one whose name stands for itself when that is empty.
    pub(super) fn new(measurement: &str, name: &str, help: &'static str, kind: MetricKind) -> Self {
        let between = if measurement.is_empty() { "" } else { "_" };
        let mut family = format!("{measurement}{between}{name}");
        let suffix = match kind {
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
            MetricKind::Gauge | MetricKind::Seconds => "",
        };
        if kind == MetricKind::Info {
            family.truncate(family.len().saturating_sub(suffix.len()));
        }
        Self {
            name: format!("{family}{suffix}"),
            family,
            help,
            kind,
        }
    }

    /// What stands before its samples.
    pub(super) fn head(&self, out: &mut Vec<u8>, format: PageFormat) {
        let (name, kind) = match (format, self.kind) {
            (PageFormat::OpenMetrics, MetricKind::Info) => (&self.family, "info"),
            (PageFormat::OpenMetrics, MetricKind::Counter) => (&self.family, "counter"),
            (PageFormat::Text, MetricKind::Counter) => (&self.name, "counter"),
            _ => (&self.name, "gauge"),
        };
        for part in [
            "# HELP ",
            name,
            " ",
            self.help,
            "\n# TYPE ",
            name,
            " ",
            kind,
            "\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// One sample. Labels are a comma and a label each.
    pub(super) fn sample(&self, out: &mut Vec<u8>, labels: &[u8], number: u64) {
        out.extend_from_slice(self.name.as_bytes());
        if let Some((_comma, labels)) = labels.split_first() {
            out.push(b'{');
            out.extend_from_slice(labels);
            out.push(b'}');
        }
        out.push(b' ');
        match self.kind {
            MetricKind::Seconds => append_seconds(out, number),
            _ => append_number(out, number),
        }
        out.push(b'\n');
    }
}

impl United {
    /// Begins with the rows from here on.
    fn begin(&mut self, first: usize) {
        self.rows.clear();
        self.first = first;
        self.end = first;
    }
}

/// Nanoseconds as seconds, exact, with no more digits than it takes.
fn append_seconds(out: &mut Vec<u8>, nanoseconds: u64) {
    const DIGITS: usize = 9;
    let (whole, mut rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    append_number(out, whole);
    if rest == 0 {
        return;
    }
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        // A digit fits.
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    let end = digits.iter().rposition(|digit| *digit != b'0');
    out.push(b'.');
    out.extend_from_slice(&digits[..end.map_or(DIGITS, |last| last + 1)]);
}

/// The rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    columns: Vec<Column>,
    info: Option<Column>,
    labels: Vec<u8>,
    /// Where each row ends in `labels`.
    ends: Vec<RowEnd>,
    /// A number for each row and column.
    numbers: Vec<Option<u64>>,
    united: United,
    /// How often two rows' series were compared.
    #[cfg(test)]
    compared: std::cell::Cell<usize>,
}

/// Where to find a row by its series, for [`Rows::unite`].
#[derive(Debug, Default)]
struct United {
    /// By the series' hash, or one of the numbers after it where another series has that.
    rows: HashMap<u64, usize>,
    /// Those from here
    first: usize,
    /// to here are in it.
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct RowEnd {
    /// Of what tells it from others.
    series: usize,
    /// Of what else is said of it.
    info: usize,
}

impl Rows {
    /// No rows, with these metrics.
    pub(super) fn new(columns: Vec<Column>, info: Option<Column>) -> Self {
        Self {
            columns,
            info,
            ..Self::default()
        }
    }

    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.ends.clear();
        self.numbers.clear();
        self.united.begin(0);
    }

    /// Of a row: first the labels that tell it from others, then [`Rows::end_series`], then what else is
    /// said of it; [`Rows::end`].
    pub(super) fn labels(&mut self) -> &mut Vec<u8> {
        &mut self.labels
    }

    pub(super) fn end_series(&mut self) {
        let end = self.labels.len();
        self.ends.push(RowEnd {
            series: end,
            info: end,
        });
    }

    /// The row's number for the next metric.
    pub(super) fn number(&mut self, number: Option<u64>) {
        self.numbers.push(number);
    }

    pub(super) fn end(&mut self) {
        debug_assert_eq!(self.numbers.len(), self.ends.len() * self.columns.len());
        if let Some(last) = self.ends.last_mut() {
            last.info = self.labels.len();
        }
    }

    /// Adds the last row to one from `first` on that has the same series, where there is one.
    pub(super) fn unite(&mut self, first: usize) {
        let Some(last) = self.ends.len().checked_sub(1) else {
            return;
        };
        if self.united.first != first {
            self.united.begin(first);
        }
        for row in self.united.end..last {
            self.find_or_add(row);
        }
        self.united.end = last;
        let Some(same) = self.find_or_add(last) else {
            self.united.end += 1;
            return;
        };
        let width = self.columns.len();
        for column in 0..width {
            let number = self.numbers[last * width + column];
            let sum = &mut self.numbers[same * width + column];
            *sum = match (*sum, number) {
                (Some(one), Some(other)) => Some(one.saturating_add(other)),
                (one, other) => one.or(other),
            };
        }
        self.numbers.truncate(last * width);
        self.labels.truncate(self.begin(last));
        self.ends.pop();
    }

    /// The row of those in [`United`] that has the same series; where there is none, from now on this one.
    fn find_or_add(&mut self, row: usize) -> Option<usize> {
        let mut place = self.united.rows.hasher().hash_one(self.series(row));
        loop {
            let found = match self.united.rows.entry(place) {
                Entry::Occupied(found) => *found.get(),
                Entry::Vacant(free) => {
                    free.insert(row);
                    return None;
                }
            };
            #[cfg(test)]
            self.compared.set(self.compared.get() + 1);
            if self.series(found) == self.series(row) {
                return Some(found);
            }
            place = place.wrapping_add(1);
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn begin(&self, row: usize) -> usize {
        row.checked_sub(1)
            .map_or(0, |before| self.ends[before].info)
    }

    fn series(&self, row: usize) -> &[u8] {
        &self.labels[self.begin(row)..self.ends[row].series]
    }

    /// Appends all samples, metric by metric; one that no row has is not mentioned. How many samples.
    pub(super) fn write(&self, out: &mut Vec<u8>, format: PageFormat) -> u64 {
        let mut samples = 0;
        let width = self.columns.len();
        for (place, column) in self.columns.iter().enumerate() {
            let mut begun = false;
            let numbers = self.numbers.iter().skip(place).step_by(width);
            let mut begin = 0;
            for (number, end) in numbers.zip(&self.ends) {
                if let Some(number) = number {
                    if !begun {
                        column.head(out, format);
                        begun = true;
                    }
                    column.sample(out, &self.labels[begin..end.series], *number);
                    samples += 1;
                }
                begin = end.info;
            }
        }
        if let Some(info) = self.info.as_ref().filter(|_| !self.ends.is_empty()) {
            info.head(out, format);
            let mut begin = 0;
            for end in &self.ends {
                info.sample(out, &self.labels[begin..end.info], 1);
                samples += 1;
                begin = end.info;
            }
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, MetricKind, Rows};

    #[test]
    fn uniting_rows_takes_as_many_comparisons_as_there_are_rows() {
        const DISTINCT: u64 = 2000;
        let mut rows = Rows::new(vec![Column::new("", "sum", "", MetricKind::Gauge)], None);
        for number in (0..DISTINCT).chain(0..DISTINCT) {
            rows.labels()
                .extend_from_slice(format!(",x=\"{number}\"").as_bytes());
            rows.end_series();
            rows.number(Some(number));
            rows.end();
            rows.unite(0);
        }
        assert_eq!(rows.len() as u64, DISTINCT);
        let sums = rows.numbers.iter().flatten().copied();
        assert!(sums.eq((0..DISTINCT).map(|number| 2 * number)));
        let compared = rows.compared.get() as u64;
        assert!(compared <= 3 * DISTINCT, "{compared}");
    }
}
