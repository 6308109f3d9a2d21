//! What the tests share: an app, an account, jobs, answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    Account, Fault, MediaKind, Mode, Platform, PostOptions, Secret, Timestamp, TokenBundle,
};
use http::Response;
use platforms::tiktok::TikTok;
use platforms::{Action, Answer, App, Finish, Job, MediaInfo, Publish, State};
use serde_json::{Value, json};

/// An instant to start from.
pub(crate) const T0: Timestamp = Timestamp::from_secs(1_767_225_600);

pub(crate) fn app() -> App {
    app_with(json!({}))
}

pub(crate) fn app_with(settings: Value) -> App {
    let mut object =
        json!({"client_key": "awexample0001", "client_secret": "tt-client-secret-example"});
    for (name, value) in settings.as_object().unwrap() {
        object[name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

pub(crate) fn bundle(scopes: &[&str]) -> TokenBundle {
    TokenBundle {
        access_token: Secret::new("act.old"),
        refresh_token: Some(Secret::new("rft.old")),
        expires_at: Some(T0),
        refresh_expires_at: Some(T0.plus_secs(1_000)),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        extra: BTreeMap::new(),
    }
}

/// An answer with its instant.
pub(crate) struct Reply {
    response: Response<Bytes>,
    at: Timestamp,
}

impl Reply {
    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer {
            response: &self.response,
            sent_at: self.at,
        }
    }

    pub(crate) fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().unwrap();
        self.response.headers_mut().insert(name, value);
        self
    }
}

pub(crate) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    let body = Bytes::from(body.into());
    let response = Response::builder().status(status).body(body).unwrap();
    Reply { response, at: T0 }
}

pub(crate) fn good(data: Value) -> Reply {
    let error = json!({"code": "ok", "message": "", "log_id": "20261101"});
    reply(200, json!({"data": data, "error": error}).to_string())
}

pub(crate) fn refusal(status: u16, code: &str) -> Reply {
    let error = json!({"code": code, "message": "words of TikTok", "logid": "20261101"});
    reply(status, json!({"data": {}, "error": error}).to_string())
}

/// Everything that a [`Job`] borrows.
pub(crate) struct Post {
    pub(crate) app: App,
    pub(crate) account: Account,
    pub(crate) text: String,
    pub(crate) options: PostOptions,
    pub(crate) media: Vec<MediaInfo>,
}

impl Post {
    pub(crate) fn direct(size: u64) -> Self {
        Self {
            app: app(),
            account: Account {
                platform: Platform::TikTok,
                id: "-000InventedOpenId".into(),
                display_name: "Mara".into(),
                username: Some("mara.cooks".into()),
                profile_url: None,
                other_ids: BTreeMap::new(),
            },
            text: "Soup night #soup".into(),
            options: PostOptions {
                privacy: Some("SELF_ONLY".into()),
                ..PostOptions::default()
            },
            media: vec![MediaInfo::uploaded(MediaKind::Mp4, size)],
        }
    }

    pub(crate) fn inbox(size: u64) -> Self {
        let mut post = Self::direct(size);
        post.text.clear();
        post.options = PostOptions {
            mode: Mode::Inbox,
            ..PostOptions::default()
        };
        post
    }

    pub(crate) fn job(&self) -> Job<'_> {
        Job {
            app: &self.app,
            account: &self.account,
            text: &self.text,
            options: &self.options,
            media: &self.media,
        }
    }

    pub(crate) fn start(&self) -> State {
        TikTok.start(&self.job()).unwrap()
    }

    pub(crate) fn answered(&self, state: &State, reply: &Reply) -> Result<State, Fault> {
        TikTok.answered(&self.job(), state, reply.answer())
    }

    pub(crate) fn next(&self, state: &State, now: Timestamp) -> Action {
        TikTok.next(&self.job(), state, now)
    }

    /// The state right after a good start.
    pub(crate) fn uploading(&self) -> State {
        let begun = good(json!({
            "publish_id": "v_pub_file~v2-1.7000000000000000001",
            "upload_url": "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=t",
        }));
        self.answered(&self.start(), &begun).unwrap()
    }

    /// The state after every chunk was taken.
    pub(crate) fn processing(&self) -> State {
        let mut state = self.uploading();
        while let Action::Upload { range, .. } = self.next(&state, T0) {
            let last = range.end == self.media[0].size;
            let status = if last { 201 } else { 206 };
            state = self.answered(&state, &reply(status, "")).unwrap();
        }
        state
    }

    /// How the machine has ended, if it has.
    pub(crate) fn finish(&self, state: &State) -> Option<Finish> {
        match self.next(state, T0) {
            Action::Finish(finish) => Some(finish),
            _ => None,
        }
    }

    /// The fault that an answer led to, by whichever way.
    pub(crate) fn fault_of(&self, outcome: Result<State, Fault>) -> Option<Fault> {
        match outcome.map(|state| self.finish(&state)) {
            Err(fault) | Ok(Some(Finish::Failed(fault) | Finish::Unknown(fault))) => Some(fault),
            Ok(_) => None,
        }
    }
}
