//! A measurement as a table.

use super::{field::Field, tag::Tag};

/// A measurement: its tags and fields, each sorted by name.
#[derive(Debug)]
pub struct Measurement<'a, Row> {
    /// Its name.
    pub name: &'static str,
    /// Its tags.
    pub tags: &'a [Tag<Row>],
    /// Its fields.
    pub fields: &'a [Field<Row>],
}
