//! EventBridge rules and Scheduler schedules: `rate(…)` and `cron(…)`, fired by the clock or on
//! demand.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use jiff::{Timestamp, ToSpan as _, Zoned, tz::TimeZone};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    aws::{ACCOUNT, REGION},
    host::{Host, Invocation},
    template::Schedule,
};

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Every so often, first after one period.
    Rate(Duration),
    /// At the minutes that match.
    Cron(Box<Cron>),
}

/// A parsed cron expression of AWS's six fields. Years are compared, `L`, `W` and `#` refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<i16>,
    hours: Vec<i16>,
    days: Option<Vec<i16>>,
    months: Vec<i16>,
    /// 1 is Sunday, as AWS counts.
    weekdays: Option<Vec<i16>>,
    years: Vec<i16>,
}

impl FromStr for Expression {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let inner = |name: &str| {
            text.trim()
                .strip_prefix(name)?
                .trim()
                .strip_prefix('(')?
                .strip_suffix(')')
        };
        if let Some(rate) = inner("rate") {
            let (count, unit) = rate.trim().split_once(' ').context("rate(<n> <unit>)")?;
            let count: u64 = count.parse().context("rate takes a number")?;
            let seconds = match unit.trim() {
                "minute" | "minutes" => 60,
                "hour" | "hours" => 3_600,
                "day" | "days" => 86_400,
                other => bail!("unknown unit {other}"),
            };
            if count == 0 {
                bail!("a rate of 0 never ends");
            }
            return Ok(Self::Rate(Duration::from_secs(count * seconds)));
        }
        let cron = inner("cron").ok_or_else(|| anyhow!("neither rate(…) nor cron(…): {text}"))?;
        let [minutes, hours, days, months, weekdays, years] =
            cron.split_whitespace().collect::<Vec<_>>()[..]
        else {
            bail!("cron takes six fields: {text}");
        };
        let optional = |field: &str, low, high, names: &[&str]| match field {
            "?" => Ok(None),
            other => values(other, low, high, names).map(Some),
        };
        let days = optional(days, 1, 31, &[])?;
        let weekdays = optional(weekdays, 1, 7, &WEEKDAYS)?;
        if days.is_none() == weekdays.is_none() {
            bail!("one of day-of-month and day-of-week must be ?: {text}");
        }
        Ok(Self::Cron(Box::new(Cron {
            minutes: values(minutes, 0, 59, &[])?,
            hours: values(hours, 0, 23, &[])?,
            days,
            months: values(months, 1, 12, &MONTHS)?,
            weekdays,
            years: values(years, 1970, 2199, &[])?,
        })))
    }
}

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

fn values(field: &str, low: i16, high: i16, names: &[&str]) -> Result<Vec<i16>> {
    let number = |text: &str| -> Result<i16> {
        let named = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(at) => low + i16::try_from(at)?,
            None => text
                .parse()
                .with_context(|| format!("{text} is not understood"))?,
        };
        if !(low..=high).contains(&value) {
            bail!("{value} is not within {low} to {high}");
        }
        Ok(value)
    };
    let mut all = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().context("a step is a number")?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if range == "*" => (low, high),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        all.extend((from..=to).step_by(step.max(1)));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

impl Cron {
    fn day_fits(&self, at: &Zoned) -> bool {
        self.years.contains(&at.year())
            && self.months.contains(&i16::from(at.month()))
            && self
                .days
                .as_ref()
                .is_none_or(|days| days.contains(&i16::from(at.day())))
            && self.weekdays.as_ref().is_none_or(|weekdays| {
                weekdays.contains(&i16::from(at.weekday().to_sunday_one_offset()))
            })
    }

    /// The first matching minute after `after`, in its zone; none within eight years.
    pub fn next(&self, after: &Zoned) -> Option<Zoned> {
        let mut day = after.start_of_day().ok()?;
        for _ in 0..8 * 366 {
            if self.day_fits(&day) {
                for hour in &self.hours {
                    for minute in &self.minutes {
                        let time = jiff::civil::time(
                            i8::try_from(*hour).ok()?,
                            i8::try_from(*minute).ok()?,
                            0,
                            0,
                        );
                        // A time that a clock change skips is moved behind the gap, as AWS runs it.
                        let at = day
                            .date()
                            .to_datetime(time)
                            .to_zoned(day.time_zone().clone())
                            .ok()?;
                        if at > *after {
                            return Some(at);
                        }
                    }
                }
            }
            day = day.checked_add(1.day()).ok()?.start_of_day().ok()?;
        }
        None
    }
}

/// The schedules of a stack.
#[derive(Debug)]
pub struct Schedules {
    schedules: Vec<Schedule>,
    host: Host,
    running: Vec<JoinHandle<()>>,
}

impl Schedules {
    /// Knows the schedules; with `automatic` they also fire by the clock.
    pub fn start(schedules: Vec<Schedule>, host: &Host, automatic: bool) -> Result<Self> {
        let mut running = Vec::new();
        for schedule in &schedules {
            let expression: Expression = schedule
                .expression
                .parse()
                .with_context(|| format!("schedule {}", schedule.logical))?;
            let zone = TimeZone::get(&schedule.zone)
                .with_context(|| format!("zone of schedule {}", schedule.logical))?;
            if automatic && schedule.enabled {
                let clock = run(schedule.clone(), expression, zone, host.clone());
                running.push(tokio::spawn(clock));
            }
        }
        Ok(Self {
            schedules,
            host: host.clone(),
            running,
        })
    }

    /// Fires every schedule of a function now and waits for the answers.
    pub async fn fire(&self, function: &str) -> Result<Vec<Invocation>> {
        let mut answers = Vec::new();
        for schedule in self
            .schedules
            .iter()
            .filter(|schedule| schedule.function == function)
        {
            answers.push(self.host.invoke(function, event(schedule)).await?);
        }
        if answers.is_empty() {
            bail!("no schedule fires {function}");
        }
        Ok(answers)
    }
}

impl Drop for Schedules {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

async fn run(schedule: Schedule, expression: Expression, zone: TimeZone, host: Host) {
    loop {
        let pause = match &expression {
            Expression::Rate(period) => *period,
            Expression::Cron(cron) => {
                let now = Timestamp::now().to_zoned(zone.clone());
                let Some(next) = cron.next(&now) else { return };
                let millis = next.timestamp().as_millisecond() - now.timestamp().as_millisecond();
                Duration::from_millis(u64::try_from(millis).unwrap_or(0))
            }
        };
        tokio::time::sleep(pause).await;
        let host = host.clone();
        let (function, payload) = (schedule.function.clone(), event(&schedule));
        // Not awaited: the clock goes on, and a failed run shows in the function's log.
        tokio::spawn(async move { host.invoke(&function, payload).await.map(drop) });
    }
}

fn event(schedule: &Schedule) -> Bytes {
    let event: Value = schedule.input.clone().unwrap_or_else(|| {
        json!({
            "version": "0", "id": crate::kms::uuid(), "detail-type": "Scheduled Event",
            "source": "aws.events", "account": ACCOUNT, "region": REGION, "detail": {},
            "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{}", schedule.logical)],
        })
    });
    Bytes::from(event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, seconds) in [
            ("rate(1 minute)", Some(60)),
            ("rate(5 minutes)", Some(300)),
            ("rate(2 hours)", Some(7_200)),
            ("rate(1 day)", Some(86_400)),
            ("rate(0 minutes)", None),
            ("rate(1 week)", None),
            ("every minute", None),
        ] {
            let rate = text.parse::<Expression>().ok();
            let expected = seconds.map(|seconds| Expression::Rate(Duration::from_secs(seconds)));
            assert_eq!(rate, expected, "{text}");
        }
    }

    #[test]
    fn cron_times() {
        for (text, zone, after, expected) in [
            (
                "cron(0 4 * * ? *)",
                "UTC",
                "2026-03-01T04:00",
                "2026-03-02T04:00",
            ),
            (
                "cron(*/15 * * * ? *)",
                "UTC",
                "2026-03-01T04:01",
                "2026-03-01T04:15",
            ),
            (
                "cron(5/20 8-9 * * ? *)",
                "UTC",
                "2026-03-01T08:46",
                "2026-03-01T09:05",
            ),
            (
                "cron(0 9 ? * MON-FRI *)",
                "UTC",
                "2026-03-06T10:00",
                "2026-03-09T09:00",
            ),
            (
                "cron(0 9 ? * 1 *)",
                "UTC",
                "2026-03-02T00:00",
                "2026-03-08T09:00",
            ),
            (
                "cron(30 6 29 FEB ? *)",
                "UTC",
                "2026-03-01T00:00",
                "2028-02-29T06:30",
            ),
            // 02:30 does not exist in Paris on the day the clocks go forward.
            (
                "cron(30 2 * * ? *)",
                "Europe/Paris",
                "2026-03-28T03:00",
                "2026-03-29T03:30",
            ),
        ] {
            let Expression::Cron(cron) = text.parse().unwrap() else {
                panic!("{text} is no cron")
            };
            let after: jiff::civil::DateTime = after.parse().unwrap();
            let after = after.to_zoned(TimeZone::get(zone).unwrap()).unwrap();
            let next = cron
                .next(&after)
                .unwrap()
                .strftime("%Y-%m-%dT%H:%M")
                .to_string();
            assert_eq!(next, expected, "{text} after {after}");
        }
        for text in [
            "cron(0 4 * * * *)",
            "cron(0 4 ? * ? *)",
            "cron(60 * * * ? *)",
            "cron(0 4 L * ? *)",
            "cron(0 4 * * ?)",
        ] {
            assert!(text.parse::<Expression>().is_err(), "{text}");
        }
    }
}
