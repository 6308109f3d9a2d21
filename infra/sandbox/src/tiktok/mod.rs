//! The stand-in TikTok (Login Kit, Display API, Content Posting, webhooks).
//!
//! Four path roots: `www` (www.tiktok.com), `open` (open.tiktokapis.com), `upload`
//! (open-upload.tiktokapis.com) and `_control`, which TikTok does not have. Section numbers in the
//! comments are those of the sheet, tiktok.md.

mod app;
mod authorize;
mod call;
mod cancel;
mod choices;
mod config;
mod consent;
mod control;
mod creator;
mod errors;
mod init;
mod input;
mod inspect;
mod knobs;
mod listing;
mod people;
mod plan;
mod post_info;
mod probe;
mod processing;
mod publish;
mod pull;
mod rules;
mod settings;
mod source;
mod state;
mod status;
mod text;
mod things;
mod token;
mod upload;
mod user;
mod videos;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::response::Response;
use axum::routing::{get, post, put};
use serde_json::Map;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

pub use app::App;
pub use choices::{
    CancelEffect, IdType, LimitBy, Megabyte, Pace, PendingRelease, PostIdSpelling, ProgressHeader,
    PullFault, RevokeBody, Rotation, Toggles, WebPkce, WebhookOrder,
};
pub use config::{Config, SCOPES};
pub use people::User;
pub use settings::Settings;
pub use text::sign;

use crate::clock::Clock;
use crate::in_process::Carrier;
use crate::socket::Switch;
use call::{Call, Endpoint};
use errors::refuse;
use state::State;

/// The stand-in: its memory, its clock, and what it does in the background.
#[derive(Debug)]
pub(crate) struct World {
    /// `http://127.0.0.1:{port}/tiktok`.
    base_url: String,
    clock: Clock,
    initial: Config,
    state: Mutex<State>,
    /// Bumped when settings change or a delivery was tried, for deliveries that wait for it.
    changed: watch::Sender<u64>,
    tasks: Mutex<JoinSet<()>>,
    http: reqwest::Client,
    /// Takes webhooks in the network's place.
    carrier: Option<Carrier>,
}

impl World {
    pub(crate) fn new(config: Config, base_url: String) -> anyhow::Result<Arc<Self>> {
        for app in &config.apps {
            app.check()?;
        }
        config.settings.check()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Self::over(config, base_url, Clock::new(), http, None)
    }

    /// A world with a clock and a carrier of its own.
    pub(crate) fn over(
        config: Config,
        base_url: String,
        clock: Clock,
        http: reqwest::Client,
        carrier: Option<Carrier>,
    ) -> anyhow::Result<Arc<Self>> {
        for app in &config.apps {
            app.check()?;
        }
        Ok(Arc::new(Self {
            base_url,
            clock,
            state: Mutex::new(State::new(&config)),
            initial: config,
            changed: watch::Sender::new(0),
            tasks: Mutex::new(JoinSet::new()),
            http,
            carrier,
        }))
    }

    /// The memory; held for one step, never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something in the background until it ends or the stand-in does.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task)
    }

    /// Ends background work, and lets held calls go.
    pub(crate) fn end_tasks(&self) {
        self.tasks().abort_all();
        self.release(None);
    }

    /// Back to the start: the configuration's apps, users and settings, and nothing else.
    fn reset(&self) {
        self.end_tasks();
        self.clock.reset();
        *self.state() = State::new(&self.initial);
        self.changed.send_modify(|count| *count += 1);
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routes below `/tiktok`. Paths end with a slash exactly where TikTok's do.
pub(crate) fn router(world: Arc<World>) -> Router {
    let open = Router::new()
        .route("/v2/oauth/token/", post(token::token))
        .route("/v2/oauth/revoke/", post(token::revoke))
        .route("/v2/user/info/", get(user::info))
        .route("/v2/post/publish/creator_info/query/", post(creator::info))
        .route("/v2/post/publish/video/init/", post(init::direct))
        .route("/v2/post/publish/inbox/video/init/", post(init::inbox))
        .route("/v2/post/publish/content/init/", post(init::photos))
        .route("/v2/post/publish/status/fetch/", post(status::fetch))
        .route("/v2/post/publish/cancel/", post(cancel::cancel))
        .route("/v2/video/list/", post(listing::list))
        .route("/v2/video/query/", post(listing::query));
    Router::new()
        .route(
            "/www/v2/auth/authorize/",
            get(authorize::page).post(authorize::decide),
        )
        .nest("/open", open)
        .route("/upload/video/", put(upload::chunk))
        .nest("/_control", control::router())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(world)
}

/// Any other path or method, a missing trailing slash included.
async fn unknown(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let call = Call {
        endpoint: Endpoint::Unknown,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        fields: Map::new(),
        switch,
    };
    call::serve(world, call, |_, _| async {
        refuse("unsupported_path", "Unsupported path")
            .answer(Endpoint::Unknown, Some(axum::http::StatusCode::NOT_FOUND))
    })
    .await
}
