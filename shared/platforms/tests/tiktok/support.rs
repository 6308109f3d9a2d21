//! What the tests share: an app, an account, jobs, answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    Account, Fault, MediaKind, Mode, Platform, PostOptions, Secret, Timestamp, TokenBundle,
    Transfer,
};
use http::Response;
use platforms::tiktok::TikTok;
use platforms::{Action, Answer, App, Finish, Job, MediaInfo, Publish, Repeat, State};
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

const REPEATABLE: Action = Action::Call(Repeat::Repeatable);

/// What TikTok tells of a creator, with some of it changed.
pub(crate) fn creator(changes: &Value) -> Reply {
    let mut data = json!({
        "creator_avatar_url": "https://media.example.com/avatar.webp",
        "creator_username": "mara.cooks",
        "creator_nickname": "Mara",
        "privacy_level_options": ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
        "comment_disabled": false,
        "duet_disabled": false,
        "stitch_disabled": false,
        "max_video_post_duration_sec": 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        data[name] = value.clone();
    }
    good(data)
}

/// A file that has an address.
pub(crate) fn fetched(kind: MediaKind, size: u64, path: &str) -> MediaInfo {
    MediaInfo {
        address: Some(Secret::new(format!("https://media.example.com/{path}"))),
        ..MediaInfo::uploaded(kind, size)
    }
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
                environment: Default::default(),
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

    /// As a post begins.
    pub(crate) fn fresh(&self) -> State {
        TikTok.start(&self.job()).unwrap()
    }

    /// Before its start: with what there is to learn of the creator.
    pub(crate) fn start(&self) -> State {
        self.checked(&self.fresh(), T0)
    }

    /// Past the question about the creator, if that is what it stands before.
    pub(crate) fn checked(&self, state: &State, now: Timestamp) -> State {
        match state.data["phase"] == "init" && self.next(state, now) == REPEATABLE {
            true => self.answered(state, &creator(&json!({})).at(now)).unwrap(),
            false => state.clone(),
        }
    }

    /// A video that TikTok fetches.
    pub(crate) fn pull(mode: Mode) -> Self {
        let mut post = match mode {
            Mode::Direct => Self::direct(4_000_000),
            Mode::Inbox => Self::inbox(4_000_000),
        };
        post.options.transfer = Some(Transfer::Pull);
        post.media = vec![fetched(MediaKind::Mp4, 4_000_000, "a/1.mp4")];
        post
    }

    /// Two photos.
    pub(crate) fn photos(mode: Mode) -> Self {
        let mut post = match mode {
            Mode::Direct => Self::direct(1),
            Mode::Inbox => Self::inbox(1),
        };
        post.text = "Thick and thin".into();
        post.options.title = Some("Three soups".into());
        post.media = vec![
            fetched(MediaKind::WebP, 400_000, "a/1.webp"),
            fetched(MediaKind::Jpeg, 500_000, "a/2.jpg"),
        ];
        post
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
            Action::Finish(finish) | Action::Follow(finish, _) => Some(finish),
            _ => None,
        }
    }

    /// The state right after a good start of what TikTok fetches.
    pub(crate) fn fetching(&self) -> State {
        let begun = good(json!({"publish_id": "v_pub_url~v2-1.7"}));
        self.answered(&self.start(), &begun).unwrap()
    }

    /// The fault that an answer led to, by whichever way.
    pub(crate) fn fault_of(&self, outcome: Result<State, Fault>) -> Option<Fault> {
        match outcome.map(|state| self.finish(&state)) {
            Err(fault) | Ok(Some(Finish::Failed(fault) | Finish::Unknown(fault))) => Some(fault),
            Ok(_) => None,
        }
    }
}
