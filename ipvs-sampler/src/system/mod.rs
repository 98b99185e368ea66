//! What every room may use, and what uses none of them.

pub mod clock;
pub mod failure;
pub mod heap;
pub(crate) mod json;
pub mod messages;
pub mod privileges;
pub mod stdout;
