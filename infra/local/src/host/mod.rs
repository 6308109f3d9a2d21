//! Runs functions as Lambda does: real processes, one event at a time each, kept warm, started
//! on demand, killed when they are late.

mod instance;
mod pool;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{proxy::Callers, template::FunctionSpec};
use pool::Pool;

/// Where function processes come from and what they all get.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// The folder with the binaries, named as the functions are.
    pub binaries: PathBuf,
    /// The folder for logs: one file per function.
    pub logs: PathBuf,
    /// Environment of every function beside the template's: endpoints, `HOST_OVERRIDES`.
    pub environment: BTreeMap<String, String>,
    /// At most so many processes of one function (the template's reserved concurrency, if less).
    pub max_instances: usize,
}

/// How an invocation ended.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The request id that the function saw.
    pub request_id: String,
    /// The function's answer, or its error.
    pub result: Result<Bytes, FunctionError>,
    /// From handing the event to a process to its answer.
    pub elapsed: Duration,
    /// From starting the process to its first request for an event; absent when it was warm.
    pub init: Option<Duration>,
}

impl Invocation {
    /// The answer as JSON; a function error becomes an error.
    pub fn json(&self) -> Result<Value> {
        let body = self.result.as_ref().map_err(|error| anyhow!("{error}"))?;
        serde_json::from_slice(body).context("the function's answer is not JSON")
    }
}

/// An invocation that failed, in Lambda's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct FunctionError {
    /// `Sandbox.Timedout`, `Runtime.ExitError`, or the function's own `errorType`.
    pub kind: String,
    /// The sentence.
    pub message: String,
}

impl FunctionError {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            kind: text("errorType").unwrap_or_else(|| "Unhandled".to_owned()),
            message: text("errorMessage").unwrap_or_else(|| value.to_string()),
        }
    }

    /// The payload that Lambda's Invoke gives for the error.
    pub fn payload(&self) -> Value {
        json!({"errorType": self.kind, "errorMessage": self.message})
    }
}

/// All functions of a stack.
#[derive(Debug, Clone)]
pub struct Host {
    pools: Arc<BTreeMap<String, Arc<Pool>>>,
    /// Physical names and ARNs, to the names here.
    physical: Arc<BTreeMap<String, String>>,
}

impl Host {
    /// Makes the functions known; no process starts before its first event.
    pub fn new(
        functions: impl IntoIterator<Item = FunctionSpec>,
        options: &HostOptions,
        callers: &Arc<Callers>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&options.logs)
            .with_context(|| format!("making {}", options.logs.display()))?;
        let mut physical = BTreeMap::new();
        let pools = functions
            .into_iter()
            .map(|spec| {
                callers.add_function(&spec.name);
                for known in [&spec.physical, &spec.arn] {
                    physical.insert(known.clone(), spec.name.clone());
                }
                (
                    spec.name.clone(),
                    Pool::new(spec, options, Arc::clone(callers)),
                )
            })
            .collect();
        Ok(Self {
            pools: Arc::new(pools),
            physical: Arc::new(physical),
        })
    }

    /// The functions' names.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
    }

    /// The function of this physical name or ARN.
    pub fn by_physical(&self, name: &str) -> Option<String> {
        self.physical.get(name).cloned()
    }

    /// Hands an event to a function and waits for its end.
    pub async fn invoke(&self, function: &str, payload: Bytes) -> Result<Invocation> {
        self.pool(function)?.invoke(payload).await
    }

    /// Kills every process of a function; returns when they are gone, with their number.
    pub async fn kill(&self, function: &str) -> Result<usize> {
        Ok(self.pool(function)?.kill().await)
    }

    /// How many processes of a function live.
    pub fn instances(&self, function: &str) -> Result<usize> {
        Ok(self.pool(function)?.size())
    }

    /// Sets or (with `None`) unsets an environment variable for processes started from now on,
    /// and ends the warm ones.
    pub async fn set_environment(
        &self,
        function: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<()> {
        let pool = self.pool(function)?;
        pool.set_environment(name, value);
        pool.kill().await;
        Ok(())
    }

    /// The greatest resident memory that a process of the function had, in KiB.
    pub fn peak_memory(&self, function: &str) -> Result<u64> {
        Ok(self.pool(function)?.peak_memory())
    }

    /// What a function wrote to its standard output and error so far.
    pub fn log_text(&self, function: &str) -> Result<String> {
        self.pool(function)?.log_text()
    }

    /// Asks for the end of all processes without waiting for it, for drops.
    pub(crate) fn abandon(&self) {
        self.pools.values().for_each(|pool| pool.abandon());
    }

    /// Ends all processes.
    pub async fn stop(&self) {
        for pool in self.pools.values() {
            pool.close().await;
        }
    }

    fn pool(&self, function: &str) -> Result<&Arc<Pool>> {
        self.pools
            .get(function)
            .ok_or_else(|| anyhow!("no function is called {function}"))
    }
}
