//! Alarms and the dashboard name what the code writes, watch what the template holds, and lead to the
//! operator's page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::metric::{self, Dimension};
use local::cloud;
use local::template::Template;
use serde_json::Value;

/// AWS's own metrics that are used, with the dimensions under which AWS keeps them.
const OF_AWS: &[(&str, &[&str], &[&str])] = &[
    (
        "AWS/SQS",
        &["QueueName"],
        &[
            "ApproximateNumberOfMessagesVisible",
            "ApproximateAgeOfOldestMessage",
        ],
    ),
    (
        "AWS/Lambda",
        &["FunctionName"],
        &[
            "Errors",
            "Throttles",
            "Invocations",
            "Duration",
            "IteratorAge",
        ],
    ),
    (
        "AWS/ApiGateway",
        &["ApiId", "Stage"],
        &["Count", "4xx", "5xx"],
    ),
    (
        "AWS/DynamoDB",
        &["TableName"],
        &["ReadThrottleEvents", "WriteThrottleEvents"],
    ),
];

/// A math alarm takes so many metrics at most.
const MOST_METRICS: usize = 10;

fn template() -> Template {
    let root = cloud::project_root().unwrap();
    Template::expand(
        &cloud::python(&root).unwrap(),
        &root.join("infra/template/expand.py"),
        &root.join("template.yaml"),
        &root.join(".local/cache"),
    )
    .unwrap()
}

fn of_type<'a>(template: &'a Template, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    template
        .resources()
        .filter(|(_, body)| body["Type"] == kind)
        .map(|(logical, body)| (logical.as_str(), &body["Properties"]))
        .collect()
}

fn alarms(template: &Template) -> BTreeMap<&str, &Value> {
    let alarms = of_type(template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() > 40, "{}", alarms.len());
    alarms
}

/// One metric as an alarm or the dashboard names it: namespace, name, dimensions with their values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    namespace: String,
    name: String,
    dimensions: BTreeMap<String, Value>,
}

/// The metrics of an alarm, those of its expression included.
fn metrics_of(alarm: &Value) -> Vec<Named> {
    let read = |metric: &Value| Named {
        namespace: metric["Namespace"].as_str().unwrap().to_owned(),
        name: metric["MetricName"].as_str().unwrap().to_owned(),
        dimensions: metric["Dimensions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["Name"].as_str().unwrap().to_owned(),
                    one["Value"].clone(),
                )
            })
            .collect(),
    };
    match alarm["Metrics"].as_array() {
        Some(all) => all
            .iter()
            .filter_map(|one| one.get("MetricStat"))
            .map(|stat| read(&stat["Metric"]))
            .collect(),
        None => vec![read(alarm)],
    }
}

/// The widgets of the dashboards (what may not be there has one of its own), with their references
/// left as they are written.
fn dashboard(template: &Template) -> Value {
    let boards = of_type(template, "AWS::CloudWatch::Dashboard");
    let mut widgets = Vec::new();
    for board in boards.values() {
        let body = board["DashboardBody"]["Fn::Sub"].as_str().unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        widgets.extend(body["widgets"].as_array().unwrap().clone());
    }
    serde_json::json!({ "widgets": widgets })
}

fn metrics_of_dashboard(board: &Value) -> Vec<Named> {
    let mut found = Vec::new();
    for widget in board["widgets"].as_array().unwrap() {
        for line in widget["properties"]["metrics"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let texts: Vec<&str> = line
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            if let [namespace, name, rest @ ..] = &texts[..] {
                let pairs = rest
                    .chunks(2)
                    .map(|pair| (pair[0].to_owned(), pair[1].into()));
                found.push(Named {
                    namespace: (*namespace).to_owned(),
                    name: (*name).to_owned(),
                    dimensions: pairs.collect(),
                });
            } else {
                let search = line[0]["expression"].as_str().unwrap();
                found.push(searched(search));
            }
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    found
}

/// `SEARCH('{Namespace,dimension,…} … MetricName="Name"', …)`.
fn searched(expression: &str) -> Named {
    let between = |open: &str, close: &str| {
        let rest = expression.split_once(open).unwrap().1;
        rest.split_once(close).unwrap().0
    };
    let mut schema = between("{", "}").split(',').map(str::to_owned);
    Named {
        namespace: schema.next().unwrap(),
        name: between("MetricName=\"", "\"").to_owned(),
        dimensions: schema.map(|name| (name, Value::Null)).collect(),
    }
}

/// Whether somebody writes this metric under these dimensions.
fn is_written(named: &Named) -> bool {
    let dimensions: BTreeSet<&str> = named.dimensions.keys().map(String::as_str).collect();
    if named.namespace == "Passerelle" {
        return metric::ALL
            .iter()
            .filter(|metric| metric.name == named.name)
            .flat_map(|metric| metric.sets)
            .any(|set| {
                let told = set.iter().copied().map(Dimension::as_str);
                told.chain(["stack"]).collect::<BTreeSet<_>>() == dimensions
            });
    }
    OF_AWS.iter().any(|(namespace, by, names)| {
        *namespace == named.namespace
            && names.contains(&named.name.as_str())
            && by.iter().copied().collect::<BTreeSet<_>>() == dimensions
    })
}

#[test]
fn every_metric_that_is_watched_is_one_that_is_written() {
    let template = template();
    let mut watched = BTreeSet::new();
    for (logical, alarm) in alarms(&template) {
        let metrics = metrics_of(alarm);
        assert!((1..=MOST_METRICS).contains(&metrics.len()), "{logical}");
        for named in metrics {
            assert!(is_written(&named), "{logical}: nobody writes {named:?}");
            watched.insert(named.name);
        }
    }
    for named in metrics_of_dashboard(&dashboard(&template)) {
        assert!(is_written(&named), "dashboard: nobody writes {named:?}");
        watched.insert(named.name);
    }
    for metric in metric::ALL {
        assert!(
            watched.contains(metric.name),
            "nobody looks at {}",
            metric.name
        );
    }
}

/// A metric of the table that no code puts would keep its alarm silent for ever.
#[test]
fn every_metric_is_put_somewhere() {
    let root = cloud::project_root().unwrap();
    let table = std::fs::read_to_string(root.join("shared/domain/src/metric.rs")).unwrap();
    let mut sources = String::new();
    for folder in ["functions", "shared"] {
        read_sources(&root.join(folder), &mut sources);
    }
    let mut constants = 0;
    for line in table.lines() {
        let Some((constant, _)) = line.trim().split_once(" = \"") else {
            continue;
        };
        constants += 1;
        let put = sources.contains(&format!("&{constant}"));
        assert!(put, "nobody puts {constant}");
    }
    assert_eq!(constants, metric::ALL.len());
}

fn read_sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("metric.rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_alarm_has_its_section_on_the_operators_page() {
    let template = template();
    let root = cloud::project_root().unwrap();
    let page = std::fs::read_to_string(root.join("infra/docs/alarms.md")).unwrap();
    let mut sections = BTreeSet::new();
    for (logical, alarm) in alarms(&template) {
        let name = alarm["AlarmName"]["Fn::Sub"].as_str().unwrap();
        let name = name.strip_prefix("${AWS::StackName}-").unwrap();
        let described = alarm["AlarmDescription"]["Fn::Sub"].as_str().unwrap();
        let (says, section) = described.split_once(" ${OperatorsPage}#").unwrap();
        assert!(says.ends_with('.') && says.len() > 15, "{logical}: {says}");
        let heading = format!("\n### {section}\n");
        let (_, body) = page
            .split_once(&heading)
            .unwrap_or_else(|| panic!("{logical}: {heading}"));
        let body = body.split("\n### ").next().unwrap();
        assert!(
            body.contains(&format!("`{name}`")),
            "### {section} does not name `{name}`"
        );
        for part in [
            "**Means**",
            "**A creator notices**",
            "**Look**",
            "**Do**",
            "**Ignore it**",
        ] {
            assert!(body.contains(part), "### {section} lacks {part}");
        }
        sections.insert(section);
    }
    let headings: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(headings, sections, "sections without an alarm");
}

#[test]
fn alarms_say_what_missing_figures_mean_and_whom_to_tell() {
    let template = template();
    for (logical, alarm) in alarms(&template) {
        let missing = alarm["TreatMissingData"].as_str().unwrap_or_default();
        let silence_is_bad = logical.ends_with("SilentAlarm");
        let expected = if silence_is_bad {
            "breaching"
        } else {
            "notBreaching"
        };
        assert_eq!(missing, expected, "{logical}");
        for actions in ["AlarmActions", "OKActions"] {
            let first = &alarm[actions]["Fn::If"][0];
            assert_eq!(first, "HasAlarmTopic", "{logical} {actions}");
        }
        let periods = alarm["EvaluationPeriods"].as_u64().unwrap();
        let needed = alarm
            .get("DatapointsToAlarm")
            .map_or(periods, |n| n.as_u64().unwrap());
        assert!((1..=periods).contains(&needed), "{logical}");
        // CloudWatch looks back a day at most.
        let period = alarm["Period"].as_u64().unwrap_or_else(|| {
            let stats = alarm["Metrics"].as_array().unwrap().iter();
            let all: BTreeSet<u64> = stats
                .filter_map(|one| one["MetricStat"]["Period"].as_u64())
                .collect();
            assert_eq!(all.len(), 1, "{logical}: periods of one expression");
            all.into_iter().next().unwrap()
        });
        assert!(period * periods <= 86_400, "{logical}");
    }
}

/// What is added to the template is watched from the start.
#[test]
fn everything_that_can_fail_is_watched() {
    let template = template();
    let mut watched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alarm in alarms(&template).values() {
        for named in metrics_of(alarm) {
            for value in named.dimensions.values() {
                watched
                    .entry(named.name.clone())
                    .or_default()
                    .insert(value.to_string());
            }
        }
    }
    let is_watched = |metric: &str, logical: &str| {
        let values = watched
            .get(metric)
            .unwrap_or_else(|| panic!("no alarm on {metric}"));
        assert!(
            values
                .iter()
                .any(|value| value.contains(&format!("\"{logical}\""))),
            "no alarm on {metric} of {logical}"
        );
    };
    for logical in of_type(&template, "AWS::SQS::Queue").keys() {
        if logical.ends_with("DeadLetters") {
            is_watched("ApproximateNumberOfMessagesVisible", logical);
        } else {
            is_watched("ApproximateAgeOfOldestMessage", logical);
        }
    }
    let board = dashboard(&template).to_string();
    for logical in of_type(&template, "AWS::Lambda::Function").keys() {
        is_watched("Errors", logical);
        is_watched("Throttles", logical);
        assert!(
            board.contains(&format!("${{{logical}}}")),
            "the dashboard lacks {logical}"
        );
    }
    let schedules = of_type(&template, "AWS::Scheduler::Schedule");
    assert!(schedules.len() >= 3, "{}", schedules.len());
    for schedule in schedules.values() {
        let target = schedule["Target"]["Arn"]["Fn::GetAtt"][0].as_str().unwrap();
        is_watched("Invocations", target);
    }
    for logical in of_type(&template, "AWS::DynamoDB::Table").keys() {
        is_watched("ReadThrottleEvents", logical);
        is_watched("WriteThrottleEvents", logical);
    }
}
