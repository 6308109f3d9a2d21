//! Schedules, run now: the scheduled function is called as the schedule would, and nobody waits for
//! it. It may run at the same moment as its schedule's own tick; every one of them is made for that.

use std::collections::BTreeMap;

use domain::Act;
use http::StatusCode;
use lambda::{Answer, Problem, Response, responses};
use serde_json::json;

use crate::{Acted, Admin, Ask};

/// The functions that schedules wake, by the names that routes have for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules(BTreeMap<String, String>);

impl Schedules {
    /// Reads `sweeper=<function name>,token-refresh=<function name>`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let pair = |pair: &str| {
            let (name, function) = pair.trim().split_once('=')?;
            let good = !name.is_empty() && !function.is_empty();
            good.then(|| (name.to_owned(), function.to_owned()))
        };
        let pairs = text.split(',').map(pair).collect::<Option<_>>();
        pairs.map(Self).ok_or("not name=function, comma separated")
    }
}

impl Admin {
    pub(crate) fn list_schedules(&self) -> Response {
        let names: Vec<&String> = self.schedules.0.keys().collect();
        responses::json(StatusCode::OK, &json!({ "schedules": names }))
    }

    pub(crate) async fn run_schedule(&self, ask: &Ask<'_>) -> Answer {
        let name: String = ask.request.path_parameter("schedule")?;
        let function = self.schedules.0.get(&name).ok_or_else(Problem::not_found)?;
        let deed = async {
            let started = self.invoker.start(function, "{}").await;
            started.map_err(Problem::unavailable)?;
            let started = json!({ "schedule": name, "status": "started" });
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &started),
                note: None,
            })
        };
        let act = Act::AdminScheduleRun;
        self.act(ask, act, None, Some(&name), deed).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_from_the_template() {
        let read = Schedules::parse("sweeper=s-Sweeper, token-refresh=s-Refresh").unwrap();
        assert_eq!(read.0["token-refresh"], "s-Refresh");
        assert_eq!(read.0.len(), 2);
        for bad in ["", "sweeper", "sweeper=", "=x", "a=b,,c=d"] {
            assert!(Schedules::parse(bad).is_err(), "{bad}");
        }
    }
}
