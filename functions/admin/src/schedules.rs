//! Schedules, run now: the scheduled function is called as the schedule would, and nobody waits for
//! it. It may run at the same moment as its schedule's own tick; every one of them is made for that.

use std::collections::BTreeMap;

use domain::Act;
use http::StatusCode;
use lambda::{Answer, Problem, Response, responses};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Acted, Admin, Ask};

/// What schedules wake, by the names that routes have for them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Schedules(BTreeMap<String, Wake>);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wake {
    function: String,
    /// What the schedule hands to the function, where it matters.
    #[serde(default)]
    input: Map<String, Value>,
}

impl Schedules {
    /// Reads `{"<name>": {"function": "<function name>", "input": {…}}, …}`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const PROBLEM: &str = "not JSON of names with their functions";
        let read: Self = serde_json::from_str(text).map_err(|_| PROBLEM)?;
        let good = |(name, wake): (&String, &Wake)| !name.is_empty() && !wake.function.is_empty();
        let whole = !read.0.is_empty() && read.0.iter().all(good);
        whole.then_some(read).ok_or(PROBLEM)
    }
}

impl Admin {
    pub(crate) fn list_schedules(&self) -> Response {
        let names: Vec<&String> = self.schedules.0.keys().collect();
        responses::json(StatusCode::OK, &json!({ "schedules": names }))
    }

    pub(crate) async fn run_schedule(&self, ask: &Ask<'_>) -> Answer {
        let name: String = ask.request.path_parameter("schedule")?;
        let wake = self.schedules.0.get(&name).ok_or_else(Problem::not_found)?;
        let input = serde_json::to_string(&wake.input).map_err(Problem::internal)?;
        let deed = async {
            let started = self.invoker.start(&wake.function, &input).await;
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
        let text = r#"{"sweeper": {"function": "s-Sweeper"},
            "due": {"function": "s-Insights", "input": {"pass": "due"}}}"#;
        let read = Schedules::parse(text).unwrap();
        assert_eq!(read.0["sweeper"].function, "s-Sweeper");
        assert!(read.0["sweeper"].input.is_empty());
        assert_eq!(read.0["due"].input["pass"], "due");
        for bad in [
            "",
            "{}",
            "sweeper=s-Sweeper",
            r#"{"": {"function": "f"}}"#,
            r#"{"sweeper": {"function": ""}}"#,
            r#"{"sweeper": {"function": "f", "inputs": {}}}"#,
            r#"{"sweeper": {"function": "f", "input": "due"}}"#,
        ] {
            assert!(Schedules::parse(bad).is_err(), "{bad}");
        }
    }
}
