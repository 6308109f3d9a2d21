//! The environment, read once and complained about once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::variables::Variable;

/// The environment variables of this process. The getters note every variable that is missing or
/// malformed and go on; [`Env::finish`] reports all of them together. An empty value counts as
/// absent, since a template cannot leave a variable out.
pub struct Env {
    values: BTreeMap<String, String>,
    wrong: Mutex<Vec<WrongVariable>>,
}

/// One variable that cannot be used. Never shows its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongVariable {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What it is for.
    pub meaning: &'static str,
}

/// Everything that is wrong with the environment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<WrongVariable>);

impl Env {
    /// The variables of this process: the one place that reads them.
    pub fn of_process() -> Self {
        // Values that are no Unicode cannot be ours.
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_values(texts)
    }

    /// These variables, for tests.
    pub fn from_values<N: Into<String>, V: Into<String>>(
        values: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self {
            values: values
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            wrong: Mutex::default(),
        }
    }

    /// The value or its default; empty, and noted as missing, where there is neither.
    pub fn text(&self, variable: &'static Variable) -> String {
        self.optional(variable).unwrap_or_else(|| {
            self.note(variable, "is missing");
            String::new()
        })
    }

    /// The value or its default, where there is one.
    pub fn optional(&self, variable: &'static Variable) -> Option<String> {
        self.raw(variable.name)
            .or(variable.default)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// A whole number.
    pub fn number(&self, variable: &'static Variable) -> u64 {
        self.parsed(variable, "is no whole number", |text| text.parse().ok())
    }

    /// A number of whole seconds.
    pub fn seconds(&self, variable: &'static Variable) -> Duration {
        Duration::from_secs(self.number(variable))
    }

    /// A comma-separated list without empty members; an empty one where there is no value.
    pub fn list(&self, variable: &'static Variable) -> Vec<String> {
        let whole = self.optional(variable).unwrap_or_default();
        whole
            .split(',')
            .map(str::trim)
            .filter(|member| !member.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// An absolute http(s) URL without query, without a slash at its end; `None` where it is absent.
    pub fn url(&self, variable: &'static Variable) -> Option<String> {
        let text = self.optional(variable)?;
        let good = text.parse::<::http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("https" | "http"))
                && url.host().is_some_and(|host| !host.is_empty())
                && url
                    .authority()
                    .is_some_and(|part| !part.as_str().contains('@'))
                && url.query().is_none()
                && !text.contains('#')
        });
        if !good {
            self.note(variable, "is no plain http(s) URL");
            return None;
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    /// A value in a shape of the caller's own; the error's text must not show the value.
    pub fn parse<T, E: fmt::Display>(
        &self,
        variable: &'static Variable,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&self.optional(variable)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(variable, &format!("cannot be used: {error}"));
                None
            }
        }
    }

    /// `value`, unless a variable that was asked for is missing or malformed.
    pub fn finish<T>(&self, value: T) -> Result<T, ConfigErrors> {
        let wrong = std::mem::take(&mut *self.noted());
        if wrong.is_empty() {
            Ok(value)
        } else {
            Err(ConfigErrors(wrong))
        }
    }

    /// Notes a problem that a caller found in a value, to be reported by [`Env::finish`].
    pub fn note(&self, variable: &'static Variable, problem: &str) {
        let wrong = WrongVariable {
            name: variable.name,
            problem: problem.to_owned(),
            meaning: variable.meaning,
        };
        let mut noted = self.noted();
        if !noted.contains(&wrong) {
            noted.push(wrong);
        }
    }

    /// The value of a variable whose name is not known at compile time (`AWS_ENDPOINT_URL_KMS`).
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variables whose names start so, empty ones left out.
    pub(crate) fn starting_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values
            .iter()
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn parsed<T: Default>(
        &self,
        variable: &'static Variable,
        problem: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.optional(variable) else {
            self.note(variable, "is missing");
            return T::default();
        };
        parse(&text).unwrap_or_else(|| {
            self.note(variable, problem);
            T::default()
        })
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Vec<WrongVariable>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows names alone: values may be credentials.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment is not usable: ")?;
        for (index, wrong) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let WrongVariable {
                name,
                problem,
                meaning,
            } = wrong;
            write!(f, "{separator}{name} {problem} ({meaning})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::{
        FLOW_SECONDS, HOST_OVERRIDES, PUBLIC_BASE_URL, RETURN_TO_ORIGINS, SETTLE_SECONDS,
        TABLE_FLOWS,
    };

    #[test]
    fn everything_wrong_is_told_at_once() {
        let env = Env::from_values([
            ("TABLE_FLOWS", ""),
            ("FLOW_SECONDS", "ten"),
            ("PUBLIC_BASE_URL", "passerelle.test"),
            ("HOST_OVERRIDES", "secret-looking"),
        ]);
        env.text(&TABLE_FLOWS);
        env.text(&TABLE_FLOWS);
        env.number(&FLOW_SECONDS);
        env.url(&PUBLIC_BASE_URL);
        env.parse(&HOST_OVERRIDES, |_| Err::<(), _>("it must be JSON"));
        let told = env.finish(()).unwrap_err().to_string();
        insta::assert_snapshot!(told, @"the environment is not usable: TABLE_FLOWS is missing (name of the table of OAuth attempts); FLOW_SECONDS is no whole number (how long a creator may take to come back from the platform, in seconds); PUBLIC_BASE_URL is no plain http(s) URL (where browsers and platforms reach this deployment; empty: the gateway's own address); HOST_OVERRIDES cannot be used: it must be JSON (set by the local host alone: JSON from host pattern to loopback base URL)");
    }

    #[test]
    fn values_and_defaults_are_read() {
        let env = Env::from_values([
            (
                "RETURN_TO_ORIGINS",
                " https://a.example, ,https://b.example",
            ),
            ("PUBLIC_BASE_URL", "https://passerelle.test/"),
            ("FLOW_SECONDS", "5"),
        ]);
        assert_eq!(env.seconds(&FLOW_SECONDS), Duration::from_secs(5));
        assert_eq!(env.seconds(&SETTLE_SECONDS), Duration::from_secs(120));
        assert_eq!(
            env.url(&PUBLIC_BASE_URL).unwrap(),
            "https://passerelle.test"
        );
        let origins = env.list(&RETURN_TO_ORIGINS);
        assert_eq!(origins, ["https://a.example", "https://b.example"]);
        assert!(env.finish(()).is_ok());
    }

    #[test]
    fn values_are_never_shown() {
        let env = Env::from_values([("AWS_SECRET_ACCESS_KEY", "hush")]);
        assert!(!format!("{env:?}").contains("hush"));
    }

    #[test]
    fn urls_are_plain() {
        for (text, good) in [
            ("http://127.0.0.1:3000", true),
            ("https://a.example/base/", true),
            ("https://a.example?x", false),
            ("https://a.example/#x", false),
            ("https://u@a.example", false),
            ("ftp://a.example", false),
            ("/a", false),
        ] {
            let env = Env::from_values([("PUBLIC_BASE_URL", text)]);
            assert_eq!(env.url(&PUBLIC_BASE_URL).is_some(), good, "{text}");
        }
    }
}
