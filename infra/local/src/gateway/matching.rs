//! Which route a request takes: the most specific one, as API Gateway ranks them.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::template::Route;

/// Routes, the most specific first.
#[derive(Debug)]
pub(super) struct Matcher {
    routes: Vec<(Vec<Segment>, Route)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    Variable(String),
    Greedy(String),
}

/// A route that fits, with the values of its variables.
#[derive(Debug)]
pub(super) struct Match<'a> {
    pub(super) route: &'a Route,
    pub(super) parameters: BTreeMap<String, String>,
}

impl Match<'_> {
    /// The route's name in events and logs.
    pub(super) fn route_key(&self) -> String {
        if self.route.path == "/$default" || self.route.path == "$default" {
            return "$default".to_owned();
        }
        format!("{} {}", self.route.method, self.route.path)
    }
}

impl Matcher {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        let mut routes: Vec<_> = routes
            .into_iter()
            .map(|route| (segments(&route.path), route))
            .collect();
        // Fixed segments beat variables, variables beat greedy ones, from the left; a named
        // method beats ANY; `$default` comes last.
        routes.sort_by_key(|(segments, route)| {
            let ranks: Vec<u8> = segments
                .iter()
                .map(|segment| match segment {
                    Segment::Fixed(_) => 0,
                    Segment::Variable(_) => 1,
                    Segment::Greedy(_) => 2,
                })
                .collect();
            let default = route.path.ends_with("$default");
            (
                default,
                ranks,
                Reverse(segments.len()),
                route.method == "ANY",
            )
        });
        Self { routes }
    }

    pub(super) fn find(&self, method: &str, path: &str) -> Option<Match<'_>> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        self.routes.iter().find_map(|(segments, route)| {
            if route.path.ends_with("$default") {
                return Some(Match {
                    route,
                    parameters: BTreeMap::new(),
                });
            }
            if route.method != "ANY" && route.method != method {
                return None;
            }
            let parameters = fit(segments, &parts)?;
            Some(Match { route, parameters })
        })
    }
}

fn segments(path: &str) -> Vec<Segment> {
    path.trim_start_matches('/')
        .split('/')
        .map(|part| {
            match part
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
            {
                Some(name) => match name.strip_suffix('+') {
                    Some(name) => Segment::Greedy(name.to_owned()),
                    None => Segment::Variable(name.to_owned()),
                },
                None => Segment::Fixed(part.to_owned()),
            }
        })
        .collect()
}

fn fit(segments: &[Segment], parts: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let mut rest = parts;
    for segment in segments {
        let (first, later) = rest.split_first()?;
        match segment {
            Segment::Fixed(text) if text == first => {}
            Segment::Variable(name) if !first.is_empty() => {
                parameters.insert(name.clone(), (*first).to_owned());
            }
            Segment::Greedy(name) if !first.is_empty() => {
                parameters.insert(name.clone(), rest.join("/"));
                return Some(parameters);
            }
            _ => return None,
        }
        rest = later;
    }
    rest.is_empty().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_route_wins() {
        let route = |key: &str| {
            let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
            Route {
                method: method.to_owned(),
                path: path.to_owned(),
                function: key.to_owned(),
                authorizer: None,
            }
        };
        let keys = [
            "ANY /{proxy+}",
            "GET /v1/posts/{id}",
            "GET /v1/posts/new",
            "ANY /v1/posts/{id}",
            "GET /v1/{a}/{b}",
            "POST /v1/posts",
            "GET /v1/{rest+}",
        ];
        let matcher = Matcher::new(keys.iter().map(|key| route(key)).collect());
        for (method, path, expected, parameters) in [
            ("GET", "/v1/posts/new", "GET /v1/posts/new", ""),
            ("GET", "/v1/posts/7", "GET /v1/posts/{id}", "id=7"),
            ("PUT", "/v1/posts/7", "ANY /v1/posts/{id}", "id=7"),
            ("GET", "/v1/media/7", "GET /v1/{a}/{b}", "a=media b=7"),
            ("GET", "/v1/a/b/c", "GET /v1/{rest+}", "rest=a/b/c"),
            ("POST", "/v1/posts", "POST /v1/posts", ""),
            ("DELETE", "/v1/posts", "ANY /{proxy+}", "proxy=v1/posts"),
            ("GET", "/", "", ""),
            ("GET", "/v1/posts/7/", "GET /v1/{rest+}", "rest=posts/7/"),
        ] {
            let found = matcher.find(method, path);
            let name = found
                .as_ref()
                .map_or("", |found| found.route.function.as_str());
            let pairs: Vec<_> = found
                .iter()
                .flat_map(|found| &found.parameters)
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(
                (name, pairs.join(" ").as_str()),
                (expected, parameters),
                "{method} {path}"
            );
        }
    }
}
