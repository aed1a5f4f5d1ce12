//! The binary; all of it is in the library's [`cli`](penstock::cli).

use std::process::ExitCode;

/// Thousands of streams that end and come again leave holes in glibc's heap, a heap for each thread,
/// and resident memory creeps up for many rounds. This one fills the holes and gives pages back;
/// `.cargo/config.toml` says how.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    penstock::cli::run()
}
