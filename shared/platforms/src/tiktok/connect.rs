//! The exchange: code → tokens → who it is.

use domain::{Account, Environment, Fault, FaultKind, Platform, TokenBundle};

use super::{scope, token, user};
use crate::{Answer, App, Call, CodeGrant, Connect, Linked, Step};

/// The machine of one exchange.
pub(super) struct Exchange {
    stage: Stage,
    /// See [`CodeGrant::scopes`].
    scopes: Vec<String>,
}

enum Stage {
    /// The token request is ready. Boxed: it holds the code, and is spent once.
    Ready(Box<Result<Call, Fault>>),
    /// The token request is under way.
    Exchanging,
    /// User info is under way.
    Identifying {
        open_id: Option<String>,
        bundle: TokenBundle,
        fields: Vec<&'static str>,
        again: bool,
    },
    /// Nothing is left to do.
    Ended,
}

impl Exchange {
    pub(super) fn new(app: &App, grant: CodeGrant) -> Self {
        Self {
            stage: Stage::Ready(Box::new(token::exchange(app, &grant))),
            scopes: grant.scopes,
        }
    }
}

impl Connect for Exchange {
    fn next(&mut self, answer: Option<Answer<'_>>) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let (stage, step) = match (stage, answer) {
            (Stage::Ready(call), None) => match *call {
                Ok(call) => (Stage::Exchanging, Step::Send(call)),
                Err(fault) => (Stage::Ended, Step::Failed(fault)),
            },
            (Stage::Exchanging, Some(answer)) => match token::read_exchange(answer, &self.scopes) {
                Ok((open_id, bundle)) => identify(open_id, bundle),
                Err(fault) => (Stage::Ended, Step::Failed(fault)),
            },
            (
                Stage::Identifying {
                    open_id,
                    bundle,
                    fields,
                    again,
                },
                Some(answer),
            ) => match user::read(answer) {
                Ok(user) => (Stage::Ended, done(open_id, bundle, user)),
                Err(fault) if again => (Stage::Ended, Step::Failed(fault)),
                Err(fault) => again_or_failed(fault, open_id, bundle, fields),
            },
            _ => (Stage::Ended, Step::Failed(Fault::new(FaultKind::OurBug))),
        };
        self.stage = stage;
        step
    }
}

/// Only fields whose scope was granted are asked for (tiktok.md §3.1). Without the basic scope the
/// account has no name, but the token's answer still says whose it is.
fn identify(open_id: Option<String>, bundle: TokenBundle) -> (Stage, Step) {
    if open_id.is_some() && !bundle.scopes.iter().any(|granted| granted == scope::BASIC) {
        let step = done(open_id, bundle, user::User::default());
        return (Stage::Ended, step);
    }
    let fields = user::fields(&bundle.scopes);
    ask(open_id, bundle, fields, false)
}

/// The tokens are held by now, and asking who it is changes nothing: so it is asked twice before the
/// creator has to start over, the second time without the fields that a scope may be missing for.
fn again_or_failed(
    fault: Fault,
    open_id: Option<String>,
    bundle: TokenBundle,
    fields: Vec<&'static str>,
) -> (Stage, Step) {
    match fault.kind {
        FaultKind::PlatformDown => ask(open_id, bundle, fields, true),
        FaultKind::ScopeMissing | FaultKind::OurBug => {
            ask(open_id, bundle, user::fields(&[]), true)
        }
        _ => (Stage::Ended, Step::Failed(fault)),
    }
}

fn ask(
    open_id: Option<String>,
    bundle: TokenBundle,
    fields: Vec<&'static str>,
    again: bool,
) -> (Stage, Step) {
    match user::request(&bundle, &fields) {
        Ok(call) => {
            let stage = Stage::Identifying {
                open_id,
                bundle,
                fields,
                again,
            };
            (stage, Step::Send(call))
        }
        Err(fault) => (Stage::Ended, Step::Failed(fault)),
    }
}

/// The token's answer and user info must speak of the same account, or one person's tokens would be
/// shown under another's name.
fn done(open_id: Option<String>, bundle: TokenBundle, user: user::User) -> Step {
    let id = match (open_id, user.open_id) {
        (Some(ours), Some(theirs)) if ours != theirs => None,
        (ours, theirs) => ours.or(theirs),
    };
    let Some(id) = id else {
        return Step::Failed(
            Fault::new(FaultKind::OurBug)
                .sentence("TikTok did not say which account was connected. Start again."),
        );
    };
    let account = Account {
        platform: Platform::TikTok,
        environment: Environment::default(),
        id,
        display_name: user.display_name.unwrap_or_default(),
        username: user.username,
        profile_url: user.profile_url,
        other_ids: user
            .union_id
            .map(|id| ("union_id".to_owned(), id))
            .into_iter()
            .collect(),
    };
    Step::Done(vec![Linked { account, bundle }])
}
