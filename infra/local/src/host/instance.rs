//! One process of a function, from its start to its end.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot, watch},
};

use super::{
    FunctionError,
    pool::{Ended, Pending, Pool},
};
use crate::{
    aws::REGION,
    proxy::{Callers, SECRET_KEY},
    runtime_api::{self, Event, Runtime, now_ms},
};

/// Lambda's limit on the time before the first request for an event.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// Lambda's limit on an answer.
const ANSWER_LIMIT: usize = 6 * 1024 * 1024;

/// What the runtime API of a process and its keeper both know.
#[derive(Debug)]
struct Process {
    pool: Arc<Pool>,
    token: String,
    born: Instant,
    slot: Mutex<Slot>,
    /// What the keeper waits for: the init's end, or the deadline of the current event.
    due: watch::Sender<Due>,
    init_error: Mutex<Option<FunctionError>>,
    init: Mutex<Option<Duration>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Due {
    Init(Instant),
    Idle,
    Answer(Instant),
}

#[derive(Debug)]
enum Slot {
    Free,
    Busy(Current),
    /// The process is gone; an event that arrives now goes to another.
    Dead,
}

#[derive(Debug)]
struct Current {
    request_id: String,
    reply: oneshot::Sender<Ended>,
    since: Instant,
    init: Option<Duration>,
}

/// Starts a process and keeps it until it ends, by itself or by a kill.
pub(super) async fn run(
    pool: Arc<Pool>,
    token: String,
    mut kills: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let process = Arc::new(Process {
        pool: Arc::clone(&pool),
        token: token.clone(),
        born: Instant::now(),
        slot: Mutex::new(Slot::Free),
        due: watch::Sender::new(Due::Init(Instant::now() + INIT_LIMIT)),
        init_error: Mutex::default(),
        init: Mutex::default(),
    });
    let mut to_tell = Vec::new();
    let error = match keep(&process, &mut kills, &mut to_tell).await {
        Ok(error) => error,
        Err(error) => FunctionError::new("Runtime.InvalidEntrypoint", format!("{error:#}")),
    };
    let own = lock(&process.init_error).take();
    let error = own.unwrap_or(error);
    process.die(&error);
    pool.ended(&token, error);
    // Whoever asked for the kill hears of it when nothing of the process is left.
    kills.close();
    while let Ok(waits) = kills.try_recv() {
        to_tell.push(waits);
    }
    for waits in to_tell {
        waits.send(()).ok();
    }
}

async fn keep(
    process: &Arc<Process>,
    kills: &mut mpsc::Receiver<oneshot::Sender<()>>,
    to_tell: &mut Vec<oneshot::Sender<()>>,
) -> Result<FunctionError> {
    let (address, serving) = runtime_api::serve(Arc::clone(process)).await?;
    let _serving = Abort(serving);
    let mut child = spawn(process, &address)?;
    process.pool.started(&process.token, child.id());
    let mut due = process.due.subscribe();
    loop {
        let limit = *due.borrow_and_update();
        let late = async {
            match limit {
                Due::Idle => std::future::pending().await,
                Due::Init(at) | Due::Answer(at) => tokio::time::sleep_until(at.into()).await,
            }
        };
        tokio::select! {
            status = child.wait() => {
                let status = status.context("waiting for the process")?;
                return Ok(FunctionError::new(
                    "Runtime.ExitError",
                    format!("Runtime exited with error: {status}"),
                ));
            }
            Some(waits) = kills.recv() => {
                to_tell.push(waits);
                kill(process, &mut child).await?;
                return Ok(FunctionError::new(
                    "Runtime.ExitError",
                    "Runtime exited with error: signal: killed",
                ));
            }
            () = late => {
                kill(process, &mut child).await?;
                let seconds = process.pool.spec.timeout.as_secs_f64();
                return Ok(match limit {
                    Due::Answer(_) => FunctionError::new(
                        "Sandbox.Timedout",
                        format!("Error: Task timed out after {seconds:.2} seconds"),
                    ),
                    _ => FunctionError::new("Sandbox.Timedout", "Error: init took over 10 seconds"),
                });
            }
            changed = due.changed() => changed.context("the process's own state went away")?,
        }
    }
}

async fn kill(process: &Process, child: &mut Child) -> Result<()> {
    if let Some(id) = child.id() {
        process.pool.note_memory_of(id);
    }
    child.kill().await.context("killing the process")
}

fn spawn(process: &Process, runtime_api: &str) -> Result<Child> {
    let pool = &process.pool;
    let spec = &pool.spec;
    let binary = pool.options.binaries.join(&spec.name);
    // The log file itself is the process's output: nothing is lost when it is killed, and nothing
    // waits for us to read it.
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(pool.log_path())?;
    Command::new(&binary)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "en_US.UTF-8")
        .env("TZ", ":UTC")
        .env("_HANDLER", "bootstrap")
        .env("LAMBDA_TASK_ROOT", &pool.options.binaries)
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", &spec.physical)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory.to_string())
        .env(
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", spec.physical),
        )
        .env("AWS_LAMBDA_LOG_STREAM_NAME", &process.token)
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", Callers::access_key(&spec.name))
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", &process.token)
        .envs(pool.environment())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))
}

impl Process {
    fn end(&self, result: Result<Bytes, FunctionError>) {
        let slot = std::mem::replace(&mut *lock(&self.slot), Slot::Free);
        self.due.send_replace(Due::Idle);
        if let Slot::Busy(current) = slot {
            self.pool.answered(&self.token);
            current.end(result);
        }
    }

    fn die(&self, error: &FunctionError) {
        let slot = std::mem::replace(&mut *lock(&self.slot), Slot::Dead);
        if let Slot::Busy(current) = slot {
            let message = format!("RequestId: {} {}", current.request_id, error.message);
            current.end(Err(FunctionError {
                message,
                ..error.clone()
            }));
        }
    }

    fn is_current(&self, request_id: &str) -> bool {
        matches!(&*lock(&self.slot), Slot::Busy(current) if current.request_id == request_id)
    }

    fn begin(&self, pending: Pending) -> Option<Event> {
        let mut slot = lock(&self.slot);
        if matches!(*slot, Slot::Dead) {
            return None;
        }
        let event = Event {
            request_id: pending.request_id.clone(),
            payload: pending.payload,
            deadline_ms: now_ms() + self.pool.spec.timeout.as_millis() as u64,
            function_arn: self.pool.spec.arn.clone(),
        };
        *slot = Slot::Busy(Current {
            request_id: pending.request_id,
            reply: pending.reply,
            since: Instant::now(),
            init: lock(&self.init).take(),
        });
        self.due.send_replace(Due::Answer(self.pool.deadline()));
        Some(event)
    }
}

impl Current {
    fn end(self, result: Result<Bytes, FunctionError>) {
        let ended = Ended {
            result,
            elapsed: self.since.elapsed(),
            init: self.init,
        };
        // Nobody may be waiting any more.
        drop(self.reply.send(ended));
    }
}

impl Runtime for Process {
    async fn next(&self) -> Option<Event> {
        if matches!(*self.due.borrow(), Due::Init(_)) {
            *lock(&self.init) = Some(self.born.elapsed());
        }
        self.due.send_replace(Due::Idle);
        let pending = self.pool.next(&self.token).await?;
        self.begin(pending)
    }

    fn succeeded(&self, request_id: &str, body: Bytes) {
        if !self.is_current(request_id) {
            return;
        }
        if body.len() > ANSWER_LIMIT {
            let message = format!(
                "Response payload size exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes)."
            );
            return self.end(Err(FunctionError::new(
                "Function.ResponseSizeTooLarge",
                message,
            )));
        }
        self.end(Ok(body));
    }

    fn failed(&self, request_id: &str, error: Value) {
        if self.is_current(request_id) {
            self.end(Err(FunctionError::from_json(&error)));
        }
    }

    fn init_failed(&self, error: Value) {
        *lock(&self.init_error) = Some(FunctionError::from_json(&error));
    }
}

/// Ends a task when its owner goes.
struct Abort(tokio::task::JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
