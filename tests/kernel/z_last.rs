//! What cannot be undone while the kernel runs. The name of this module puts its tests last.

#[test]
fn lockdown_is_named_and_no_address_leaves() {
    crate::advice::lockdown_is_named_and_no_address_leaves();
}
