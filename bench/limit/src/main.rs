//! The bare loop. Owns the limit figures; knows nothing of jobfleet's crates.
fn main() {}
