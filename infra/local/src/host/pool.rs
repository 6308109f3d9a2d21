//! The processes of one function and the events that wait for them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::{FunctionError, HostOptions, Invocation, instance};
use crate::{
    kms::uuid,
    proxy::{Callers, KillSwitch},
    template::FunctionSpec,
};

/// An event that waits for a process, and whoever waits for its end.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) reply: oneshot::Sender<Ended>,
}

/// The end of an invocation as its process's keeper saw it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: Result<Bytes, FunctionError>,
    pub(super) elapsed: Duration,
    pub(super) init: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) spec: FunctionSpec,
    pub(super) options: HostOptions,
    pub(super) callers: Arc<Callers>,
    overrides: Mutex<BTreeMap<String, Option<String>>>,
    state: Mutex<State>,
    peak_memory: AtomicU64,
    max: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Pending>,
    /// Processes that wait for an event, the latest used last: that one goes first.
    idle: Vec<(String, oneshot::Sender<Pending>)>,
    alive: HashMap<String, Alive>,
    closed: bool,
}

#[derive(Debug)]
struct Alive {
    switch: KillSwitch,
    process: Option<u32>,
    /// It has asked for an event at least once: its init succeeded.
    asked: bool,
    /// It will ask for an event at any moment: it starts, or has just answered.
    soon: bool,
}

impl Pool {
    pub(super) fn new(
        spec: FunctionSpec,
        options: &HostOptions,
        callers: Arc<Callers>,
    ) -> Arc<Self> {
        let max = spec
            .concurrency
            .unwrap_or(usize::MAX)
            .min(options.max_instances.max(1));
        Arc::new(Self {
            spec,
            options: options.clone(),
            callers,
            overrides: Mutex::default(),
            state: Mutex::default(),
            peak_memory: AtomicU64::new(0),
            max,
        })
    }

    pub(super) async fn invoke(self: &Arc<Self>, payload: Bytes) -> Result<Invocation> {
        loop {
            let (reply, ended) = oneshot::channel();
            let request_id = uuid();
            let payload = payload.clone();
            self.submit(Pending {
                request_id: request_id.clone(),
                payload,
                reply,
            });
            match ended.await {
                Ok(Ended {
                    result,
                    elapsed,
                    init,
                }) => {
                    return Ok(Invocation {
                        request_id,
                        result,
                        elapsed,
                        init,
                    });
                }
                Err(_) if self.lock().closed => {
                    bail!("the host stopped before {} answered", self.spec.name)
                }
                // It was handed to a process that had just died, which never saw it.
                Err(_) => {}
            }
        }
    }

    fn submit(self: &Arc<Self>, mut pending: Pending) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        while let Some((_, idle)) = state.idle.pop() {
            match idle.send(pending) {
                Ok(()) => return,
                // That process died while it waited; its keeper will notice.
                Err(returned) => pending = returned,
            }
        }
        state.waiting.push_back(pending);
        self.start_enough(&mut state);
    }

    /// Starts a process if more events wait than processes are about to ask for one.
    fn start_enough(self: &Arc<Self>, state: &mut State) {
        let soon = state.alive.values().filter(|alive| alive.soon).count();
        if !state.closed && soon < state.waiting.len() && state.alive.len() < self.max {
            self.start_one(state);
        }
    }

    fn start_one(self: &Arc<Self>, state: &mut State) {
        let token = format!("process-{}", uuid());
        let (switch, kills) = KillSwitch::new();
        self.callers.add_process(&token, switch.clone());
        let alive = Alive {
            switch,
            process: None,
            asked: false,
            soon: true,
        };
        state.alive.insert(token.clone(), alive);
        tokio::spawn(instance::run(Arc::clone(self), token, kills));
    }

    /// Called by a process's keeper when it runs.
    pub(super) fn started(&self, token: &str, process: Option<u32>) {
        if let Some(alive) = self.lock().alive.get_mut(token) {
            alive.process = process;
        }
    }

    /// Called when a process has answered.
    pub(super) fn answered(&self, token: &str) {
        if let Some(alive) = self.lock().alive.get_mut(token) {
            alive.soon = true;
        }
    }

    /// The next event for a process; none when the host stops.
    pub(super) async fn next(&self, token: &str) -> Option<Pending> {
        let waits = {
            let mut state = self.lock();
            if let Some(alive) = state.alive.get_mut(token) {
                alive.asked = true;
                alive.soon = false;
            }
            if let Some(pending) = state.waiting.pop_front() {
                return Some(pending);
            }
            let (idle, waits) = oneshot::channel();
            state.idle.push((token.to_owned(), idle));
            waits
        };
        waits.await.ok()
    }

    /// Called when a process is gone. One that never asked for an event fails the event that it
    /// was started for, as Lambda does after a failed init; else a new one is started if events
    /// wait.
    pub(super) fn ended(self: &Arc<Self>, token: &str, error: FunctionError) {
        let mut state = self.lock();
        state.idle.retain(|(idle, _)| idle != token);
        let failed_init = state.alive.remove(token).is_some_and(|alive| !alive.asked);
        if failed_init && let Some(pending) = state.waiting.pop_front() {
            let ended = Ended {
                result: Err(error),
                elapsed: Duration::ZERO,
                init: None,
            };
            // Nobody may be waiting any more.
            drop(pending.reply.send(ended));
        }
        self.start_enough(&mut state);
    }

    pub(super) async fn kill(&self) -> usize {
        let switches: Vec<_> = self
            .lock()
            .alive
            .values()
            .map(|alive| alive.switch.clone())
            .collect();
        self.note_memory();
        for switch in &switches {
            switch.kill().await;
        }
        switches.len()
    }

    pub(super) async fn close(&self) {
        self.abandon();
        self.kill().await;
    }

    /// Takes no more events and asks for the end of all processes, without waiting for it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        for alive in state.alive.values() {
            alive.switch.pull();
        }
    }

    pub(super) fn size(&self) -> usize {
        self.lock().alive.len()
    }

    pub(super) fn set_environment(&self, name: &str, value: Option<&str>) {
        let mut overrides = self
            .overrides
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        overrides.insert(name.to_owned(), value.map(str::to_owned));
    }

    /// The template's environment with what the caller changed.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.spec.environment.clone();
        environment.extend(self.options.environment.clone());
        let overrides = self
            .overrides
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, value) in overrides.iter() {
            match value {
                Some(value) => environment.insert(name.clone(), value.clone()),
                None => environment.remove(name),
            };
        }
        environment
    }

    pub(super) fn peak_memory(&self) -> u64 {
        self.note_memory();
        self.peak_memory.load(Ordering::Relaxed)
    }

    fn note_memory(&self) {
        let processes: Vec<_> = self
            .lock()
            .alive
            .values()
            .filter_map(|alive| alive.process)
            .collect();
        processes
            .into_iter()
            .for_each(|process| self.note_memory_of(process));
    }

    /// Remembers a process's peak before it is gone.
    pub(super) fn note_memory_of(&self, process: u32) {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        });
        self.peak_memory
            .fetch_max(peak.unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.options.logs.join(format!("{}.log", self.spec.name))
    }

    pub(super) fn log_text(&self) -> Result<String> {
        match fs::read(self.log_path()) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).context("reading a function's log"),
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.spec.timeout
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
