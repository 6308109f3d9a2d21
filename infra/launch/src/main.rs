//! What the cargo aliases run. It has no dependencies, so it is there in a second; it then builds the
//! whole workspace with one set of features (building the tool and the functions apart would compile
//! the AWS SDKs once for each set), and becomes the local tool. Before `verify` it builds the tests
//! with it: their own dependencies add features, and what was built without them would be built again.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2) else {
        return fail("the project's folder is not where it was when this was built");
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tests = arguments.first().is_some_and(|first| first == "verify")
        && !arguments.iter().any(|argument| argument == "--fast");
    let built = Command::new(&cargo)
        .current_dir(root)
        .args(["build", "--workspace"])
        .arg(if tests { "--all-targets" } else { "--bins" })
        .status();
    match built {
        Ok(status) if status.success() => {}
        Ok(_) => return fail("the build failed"),
        Err(error) => return fail(&format!("cargo could not be started: {error}")),
    }
    let Ok(own) = std::env::current_exe() else {
        return fail("the folder of the built programs is unknown");
    };
    let error = Command::new(own.with_file_name("local"))
        .args(arguments)
        .exec();
    fail(&format!("the local tool could not be started: {error}"))
}

fn fail(why: &str) -> ExitCode {
    // A tool for a terminal: there is no log to write to.
    use std::io::Write as _;
    let told = writeln!(std::io::stderr(), "{why}");
    drop(told);
    ExitCode::FAILURE
}
