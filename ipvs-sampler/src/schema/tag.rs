//! Tags, and what they say.

use super::words::Netmask;
use crate::model::Service;

/// Choices about tags.
#[derive(Clone, Debug, Default)]
pub struct TagStyle {
    /// What the `netmask` tag shows.
    pub netmask: Netmask,
    /// The network namespace, when one was chosen.
    pub netns: Option<String>,
    /// Further tags of every line, sorted by name; none has the name of another.
    pub further: Vec<(String, String)>,
}

impl TagStyle {
    pub(super) fn netmask(&self, service: &Service) -> TagValue<'static> {
        TagValue::Number(self.netmask.number(service.key.family, service.netmask))
    }

    /// The value of the tag `netns`.
    #[must_use]
    pub fn netns(&self) -> TagValue<'_> {
        self.netns
            .as_deref()
            .map_or(TagValue::Absent, TagValue::Text)
    }
}

/// The value of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagValue<'a> {
    /// The row has no such tag.
    Absent,
    /// As it is.
    Text(&'a str),
    /// In decimal.
    Number(u32),
    /// As an address of its family.
    Address {
        /// `INET` or `INET6`.
        family: u16,
        /// Network order; an IPv4 address fills the first four bytes.
        bytes: &'a [u8; 16],
    },
}

/// A tag of a measurement.
#[derive(Debug)]
pub struct Tag<Row> {
    /// Its name.
    pub name: &'static str,
    /// What it says, for the documentation.
    pub help: &'static str,
    /// Whether it tells one row from another. The others are no labels of Prometheus' metrics: when they
    /// change, series would end.
    pub series: bool,
    /// Its value for a row.
    pub value: for<'row> fn(&'row Row, &'row TagStyle) -> TagValue<'row>,
}
