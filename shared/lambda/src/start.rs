//! A function's `main`.

use std::future::Future;
use std::process::ExitCode;

use crate::config::Env;
use crate::logging;

/// Why a function cannot start or go on.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs a function: logs as JSON lines, one thread, and whatever stops the function logged once. A
/// start that fails ends the process, so that Lambda reports it and tries a new one.
pub fn start<F, Fut>(run: F) -> ExitCode
where
    F: FnOnce(Env) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let env = Env::of_process();
    logging::start(&env);
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match built {
        Ok(runtime) => runtime.block_on(run(env)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %logging::chain(&*error), "the function stopped");
            ExitCode::FAILURE
        }
    }
}
