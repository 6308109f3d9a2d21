//! The JWT authorizer: RS256 only, issuer, audience, life time, any one of the route's scopes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Map, Value, json};

use crate::template::Authorizer;

/// Why a request may not pass; the text is for the challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    Unauthorized(String),
    Forbidden(String),
}

impl Denial {
    /// The `WWW-Authenticate` header.
    pub(super) fn challenge(&self) -> String {
        match self {
            Self::Unauthorized(why) if why.is_empty() => "Bearer".to_owned(),
            Self::Unauthorized(why) => {
                format!("Bearer error=\"invalid_token\" error_description=\"{why}\"")
            }
            Self::Forbidden(scopes) => {
                format!("Bearer scope=\"{scopes}\" error=\"insufficient_scope\"")
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Authorizers {
    by_name: BTreeMap<String, Authorizer>,
    keys: Mutex<BTreeMap<String, Arc<JwkSet>>>,
    http: reqwest::Client,
}

impl Authorizers {
    pub(super) fn new(by_name: BTreeMap<String, Authorizer>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self {
            by_name,
            keys: Mutex::default(),
            http,
        })
    }

    /// Checks a request; gives the `jwt` part of the event's authorizer.
    pub(super) async fn check(
        &self,
        name: &str,
        scopes: &[String],
        parts: &Parts,
    ) -> Result<Value, Denial> {
        let invalid = |why: &str| Denial::Unauthorized(why.to_owned());
        let authorizer = self
            .by_name
            .get(name)
            .ok_or_else(|| invalid("no such authorizer"))?;
        let header = parts
            .headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| invalid(""))?;
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or(header, |(_, token)| token.trim());
        let head = decode_header(token).map_err(|_| invalid("the token is malformed"))?;
        if head.alg != Algorithm::RS256 {
            return Err(invalid("signing method is invalid"));
        }
        let kid = head.kid.ok_or_else(|| invalid("kid is missing"))?;
        let key = self
            .key(&authorizer.issuer, &kid)
            .await
            .map_err(|_| invalid("unknown key"))?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_issuer(&[&authorizer.issuer]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        let claims = decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| invalid(why(&error)))?
            .claims;
        // A token without `aud` may name its audience as `client_id` (Cognito's access tokens).
        let audience = claims.get("aud").or_else(|| claims.get("client_id"));
        if !texts(audience)
            .iter()
            .any(|name| authorizer.audience.contains(name))
        {
            return Err(invalid("invalid audience"));
        }
        let held: Vec<String> = ["scope", "scp"]
            .iter()
            .flat_map(|name| texts(claims.get(*name)))
            .flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let granted: Vec<_> = scopes.iter().filter(|scope| held.contains(scope)).collect();
        if !scopes.is_empty() && granted.is_empty() {
            return Err(Denial::Forbidden(scopes.join(" ")));
        }
        let scopes = if scopes.is_empty() {
            Value::Null
        } else {
            json!(granted)
        };
        Ok(json!({"claims": as_text(&claims), "scopes": scopes}))
    }

    async fn key(&self, issuer: &str, kid: &str) -> Result<DecodingKey> {
        let kept = self.lock().get(issuer).cloned();
        let keys = match kept.filter(|keys| keys.find(kid).is_some()) {
            Some(keys) => keys,
            None => {
                let fetched = Arc::new(self.fetch(issuer).await?);
                self.lock().insert(issuer.to_owned(), Arc::clone(&fetched));
                fetched
            }
        };
        let jwk = keys.find(kid).ok_or_else(|| anyhow!("no key {kid}"))?;
        DecodingKey::from_jwk(jwk).context("unusable key")
    }

    async fn fetch(&self, issuer: &str) -> Result<JwkSet> {
        let base = issuer.trim_end_matches('/');
        let discovery = self
            .get(&format!("{base}/.well-known/openid-configuration"))
            .await?;
        let uri = discovery["jwks_uri"].as_str().context("no jwks_uri")?;
        Ok(serde_json::from_value(self.get(uri).await?)?)
    }

    async fn get(&self, url: &str) -> Result<Value> {
        let bytes = self
            .http
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<JwkSet>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn why(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet",
        ErrorKind::InvalidIssuer => "invalid issuer",
        ErrorKind::InvalidSignature => "the signature is invalid",
        _ => "the token is invalid",
    }
}

/// Claims as API Gateway passes them: every value a text, lists as `[a b]`.
fn as_text(claims: &Map<String, Value>) -> Map<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect();
            format!("[{}]", items.join(" "))
        }
        other => other.to_string(),
    };
    claims
        .iter()
        .map(|(name, value)| (name.clone(), text(value).into()))
        .collect()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
