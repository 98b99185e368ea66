//! Samples become lines and pages: what is known of a tick goes in, text comes out.

mod lines;
mod page;

pub use lines::Lines;
pub use page::add_to_page;
