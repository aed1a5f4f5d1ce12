//! The binary; all of it is in the library's [`cli`](penstock::cli).

use std::process::ExitCode;

fn main() -> ExitCode {
    penstock::cli::run()
}
