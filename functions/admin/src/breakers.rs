//! An app's circuit breaker, by hand. Functions that run remember what they read of it for 15
//! seconds.

use std::time::Duration;

use domain::{Act, AppRef, Environment, Fault, FaultKind, Platform, Timestamp};
use http::StatusCode;
use lambda::{Answer, Problem, responses};
use serde::{Deserialize, Serialize};
use store::Breaker;

use crate::{Acted, Admin, Ask};

const MOST_BODY_BYTES: usize = 1_024;
const USUAL_MINUTES: u64 = 60;
const MOST_MINUTES: u64 = 24 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Closed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: State,
    /// Of the app of this environment; the production's where nothing is said.
    #[serde(default)]
    environment: Environment,
    /// For how long it is open.
    #[serde(default)]
    minutes: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct BreakerView {
    platform: Platform,
    environment: Environment,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_until: Option<String>,
    /// How often in a row it was opened.
    trips: u32,
    /// The code of what opened it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
}

impl BreakerView {
    pub(crate) fn of(breaker: &Breaker, now: Timestamp) -> Self {
        let open = breaker.open_until > now;
        Self {
            platform: breaker.app.platform,
            environment: breaker.app.environment,
            state: if open { State::Open } else { State::Closed },
            open_until: open.then(|| breaker.open_until.rfc3339()),
            trips: breaker.trips,
            fault: breaker.fault.as_ref().map(|fault| fault.kind.code()),
        }
    }
}

impl Admin {
    pub(crate) async fn set_breaker(&self, ask: &Ask<'_>) -> Answer {
        let platform: Platform = ask.request.path_parameter("platform")?;
        let wish: Wish = ask.request.json(MOST_BODY_BYTES)?;
        let minutes = wish.minutes.unwrap_or(USUAL_MINUTES);
        if wish.state == State::Closed && wish.minutes.is_some() {
            let sentence = "Only an open breaker has a time.";
            return Err(Problem::invalid("minutes", "not_allowed", sentence));
        }
        if !(1..=MOST_MINUTES).contains(&minutes) {
            let sentence = "Give a number from 1 to 1440.";
            return Err(Problem::invalid("minutes", "out_of_range", sentence));
        }
        let app = AppRef::new(platform, wish.environment);
        let attempt = self.attempt();
        let (act, note) = match wish.state {
            State::Open => (Act::AdminBreakerOpened, Some(format!("{minutes} min"))),
            State::Closed => (Act::AdminBreakerClosed, None),
        };
        let deed = async {
            let set = match wish.state {
                State::Open => {
                    let until = ask.now + Duration::from_secs(minutes * 60);
                    let fault = Fault::new(FaultKind::AppRefused)
                        .sentence("An operator has stopped calls to this platform.");
                    self.platforms
                        .open_by_hand(app, &fault, until, &attempt)
                        .await
                }
                State::Closed => {
                    self.platforms
                        .close(app, Timestamp::default(), &attempt)
                        .await
                }
            };
            set.map_err(Problem::unavailable)?;
            let breaker = self.platforms.breaker(app).await;
            let breaker = breaker.map_err(Problem::unavailable)?;
            Ok(Acted {
                answer: responses::json(StatusCode::OK, &BreakerView::of(&breaker, ask.now)),
                note,
            })
        };
        self.act(ask, act, None, Some(&app.to_string()), deed).await
    }
}
