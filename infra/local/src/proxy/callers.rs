//! Who may call: access keys of functions and the tokens of their running processes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::mpsc;

/// Asks the owner of a process to kill it; the acknowledgement comes when it is dead.
#[derive(Debug, Clone)]
pub struct KillSwitch(mpsc::Sender<tokio::sync::oneshot::Sender<()>>);

impl KillSwitch {
    /// A switch and the end on which its process's owner listens.
    pub fn new() -> (Self, mpsc::Receiver<tokio::sync::oneshot::Sender<()>>) {
        let (sender, receiver) = mpsc::channel(4);
        (Self(sender), receiver)
    }

    /// Asks for the kill without waiting for it.
    pub fn pull(&self) {
        // A full or closed channel means that it is being killed, or dead, already.
        drop(self.0.try_send(tokio::sync::oneshot::channel().0));
    }

    /// Kills the process and returns once it is gone.
    pub async fn kill(&self) {
        let (done, gone) = tokio::sync::oneshot::channel();
        if self.0.send(done).await.is_ok() {
            // An error means that the owner ended first: the process is gone as well.
            drop(gone.await);
        }
    }
}

/// The known callers of one stack.
#[derive(Debug, Default)]
pub struct Callers {
    functions: Mutex<HashMap<String, String>>,
    processes: Mutex<HashMap<String, KillSwitch>>,
}

/// The secret that goes with every access key of a function. Fixed: it guards nothing.
pub const SECRET_KEY: &str = "local-secret-access-key-of-a-function";

impl Callers {
    /// The access key of a function: `LOCAL` and its name in capitals without dashes.
    pub fn access_key(function: &str) -> String {
        format!("LOCAL{}", function.replace('-', "").to_uppercase())
    }

    /// Makes a function known.
    pub fn add_function(&self, function: &str) {
        lock(&self.functions).insert(Self::access_key(function), function.to_owned());
    }

    /// Makes a process known by its session token.
    pub fn add_process(&self, token: &str, switch: KillSwitch) {
        lock(&self.processes).insert(token.to_owned(), switch);
    }

    pub(super) fn function(&self, access_key: &str) -> Option<String> {
        lock(&self.functions).get(access_key).cloned()
    }

    pub(super) fn process(&self, token: &str) -> Option<KillSwitch> {
        lock(&self.processes).get(token).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
