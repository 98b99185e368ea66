//! Values of fields, and which fields lines have.

/// Which fields a line has; each set has those of the sets before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldSet {
    /// Only what scheduling events tell: a line in between.
    Scheduled,
    /// Every field of Telegraf's input.
    All,
    /// What that leaves out, too.
    Extended,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Not known: the line has no such field.
    Absent,
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer; outputs that only have signed ones clip it.
    Unsigned(u64),
    /// Text.
    Text(&'a str),
}

pub(super) fn optional(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::Absent, Value::Unsigned)
}
