//! Who calls, by the token that the gateway checked.

use std::collections::BTreeMap;

use domain::{Role, UserId, Who};
use http::HeaderValue;

use crate::problem::{Code, Problem};

/// The header in which a service token names its user.
pub(super) const USER_HEADER: &str = "passerelle-user";

/// A token's claims, as texts.
pub type Claims = BTreeMap<String, String>;

/// What a token may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The user's connections.
    Connections,
    /// The user's media and posts.
    Posts,
    /// The user's figures.
    Stats,
    /// What platforms told of the user's accounts: fans, messages, comments, media, earnings.
    Records,
    /// The operator's routes.
    Admin,
    /// Everything of every user: the product's own backend.
    Service,
}

impl Scope {
    /// The name, without the deployment's prefix.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Posts => "posts",
            Self::Stats => "stats",
            Self::Records => "records",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

/// Who calls. The gateway lets a token with any one of a route's scopes pass; the rest is decided
/// here. A *service* token carries the scope `service` and names its user in `Passerelle-User`; any
/// other token is its `sub`, and that header gives it 403.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    subject: String,
    user: Option<UserId>,
    scopes: Vec<String>,
    service: bool,
}

impl Caller {
    pub(super) fn read(
        claims: &Claims,
        header: Option<&HeaderValue>,
        prefix: &str,
    ) -> Result<Self, Problem> {
        let scopes = scopes(claims, prefix);
        let service = scopes.iter().any(|scope| scope == Scope::Service.as_str());
        let subject = claims.get("sub").cloned().unwrap_or_default();
        let user = match (service, header) {
            (true, None) => None,
            (true, Some(value)) => Some(user_of(value)?),
            (false, Some(_)) => {
                return Err(Problem::forbidden(
                    "Only a service token may name its user in Passerelle-User.",
                ));
            }
            (false, None) => {
                let user = UserId::try_from(subject.clone());
                Some(user.map_err(|_| {
                    Problem::forbidden("The token's subject is not a usable user id.")
                })?)
            }
        };
        Ok(Self {
            subject,
            user,
            scopes,
            service,
        })
    }

    /// Whether this is the product's own backend.
    pub fn is_service(&self) -> bool {
        self.service
    }

    /// Whether the token carries this very scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| held == scope.as_str())
    }

    /// The user whom the call is for; a service token that names none gets 400.
    pub fn user(&self) -> Result<&UserId, Problem> {
        self.user.as_ref().ok_or_else(|| {
            let sentence = "A service token must name its user in this header.";
            Problem::bad_request("Passerelle-User", "missing", sentence)
        })
    }

    /// The user, if the token carries `scope` or is a service token; 403 otherwise.
    pub fn user_with(&self, scope: Scope) -> Result<&UserId, Problem> {
        if self.service || self.has(scope) {
            self.user()
        } else {
            Err(lacking(scope))
        }
    }

    /// Who acts, for the audit trail: the user, or the product's backend by its token's subject.
    pub fn who(&self) -> Who {
        let role = if self.service {
            Role::Service
        } else {
            Role::User
        };
        Who::subject(role, &self.subject)
    }

    /// The operator who acts; 403 unless the token carries `admin`, and for every service token,
    /// whatever else it carries: a product's backend is no operator.
    pub fn operator(&self) -> Result<Who, Problem> {
        self.require(Scope::Admin)?;
        if self.service {
            return Err(Problem::forbidden(
                "A service token may not use the operator's routes.",
            ));
        }
        Ok(Who::subject(Role::Operator, &self.subject))
    }

    /// 403 unless the token carries this very scope: for `POST /v1/sessions` and the admin routes.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.has(scope) {
            Ok(())
        } else {
            Err(lacking(scope))
        }
    }
}

fn lacking(scope: Scope) -> Problem {
    Problem::new(Code::Forbidden).detail(format!(
        "The token does not carry the scope `{}`.",
        scope.as_str()
    ))
}

fn user_of(value: &HeaderValue) -> Result<UserId, Problem> {
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            let sentence = "A user id is 1 to 128 visible ASCII characters.";
            Problem::bad_request("Passerelle-User", "malformed", sentence)
        })
}

/// `scope` is a text with spaces (RFC 9068); some issuers send a list, `scp`, which the gateway
/// writes as `[a b]`. Scopes without the prefix are another resource's.
fn scopes(claims: &Claims, prefix: &str) -> Vec<String> {
    let text = claims.get("scope").or_else(|| claims.get("scp"));
    text.map(String::as_str)
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .split([' ', ','])
        .filter_map(|scope| scope.trim_matches('"').strip_prefix(prefix))
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(sub: &str, scope: &str, user: Option<&str>, prefix: &str) -> Result<Caller, Problem> {
        let claims = Claims::from_iter([
            ("sub".to_owned(), sub.to_owned()),
            ("scope".to_owned(), scope.to_owned()),
        ]);
        let header = user.map(|user| HeaderValue::from_str(user).unwrap());
        Caller::read(&claims, header.as_ref(), prefix)
    }

    /// What a route with scope `posts|service` makes of each token.
    #[test]
    fn tokens_act_for_the_right_user_only() {
        for (sub, scope, header, prefix, expected) in [
            ("u-1", "posts", None, "", Ok("u-1")),
            ("u-1", "posts", Some("u-2"), "", Err(403)),
            ("u-1", "connections", None, "", Err(403)),
            ("svc", "service", Some("u-2"), "", Ok("u-2")),
            ("svc", "service posts", Some("u-2"), "", Ok("u-2")),
            ("svc", "service", None, "", Err(400)),
            ("svc", "service", Some("a b"), "", Err(400)),
            ("", "posts", None, "", Err(403)),
            ("u-1", "p/posts", None, "p/", Ok("u-1")),
            ("u-1", "posts service", Some("u-2"), "p/", Err(403)),
            ("u-1", "[posts stats]", None, "", Ok("u-1")),
            (
                "u-1",
                "[\"p/service\",\"p/posts\"]",
                Some("u-2"),
                "p/",
                Ok("u-2"),
            ),
            ("u-1", "postscript services", Some("u-2"), "", Err(403)),
            ("u-1", "", None, "", Err(403)),
        ] {
            let user = caller(sub, scope, header, prefix).and_then(|caller| {
                let user = caller.user_with(Scope::Posts)?;
                Ok(user.as_str().to_owned())
            });
            let got = user.as_deref().map_err(|problem| problem.status());
            assert_eq!(
                got.map(str::to_owned),
                expected.map(str::to_owned),
                "{sub} {scope} {header:?}"
            );
        }
    }

    #[test]
    fn operators_are_no_services() {
        for (scope, header, expected) in [
            ("admin", None, Ok("op-1")),
            ("admin connections", None, Ok("op-1")),
            ("connections", None, Err(403)),
            ("service", None, Err(403)),
            ("service admin", None, Err(403)),
            ("service admin", Some("u-1"), Err(403)),
        ] {
            let who = caller("op-1", scope, header, "").and_then(|caller| caller.operator());
            let got = who.map(|who| {
                assert_eq!(who.role, Role::Operator);
                who.subject.unwrap_or_default()
            });
            let got = got.as_deref().map_err(|problem| problem.status());
            assert_eq!(got, expected, "{scope}");
        }
        let service = caller("svc", "service", Some("u-1"), "").unwrap();
        assert_eq!(service.who(), Who::subject(Role::Service, "svc"));
        let user = caller("u-1", "posts", None, "").unwrap();
        assert_eq!(user.who(), Who::subject(Role::User, "u-1"));
    }

    #[test]
    fn service_routes_need_the_service_scope() {
        let service = caller("svc", "service", None, "").unwrap();
        assert!(service.is_service() && service.require(Scope::Service).is_ok());
        assert!(service.require(Scope::Admin).is_err());
        let user = caller("u-1", "connections", None, "").unwrap();
        assert_eq!(user.require(Scope::Service).unwrap_err().status(), 403);
    }
}
