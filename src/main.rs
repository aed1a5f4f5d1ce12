//! The binary. All of it is in the library's `cli`.

fn main() {}
