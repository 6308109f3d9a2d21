//! The development JWT issuer: an RSA key made at start, its discovery document, and tokens.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use axum::{Json, Router, routing::get};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::runtime_api::now_ms;

/// The audience of the tokens it mints.
pub const AUDIENCE: &str = "passerelle-local";
const KEY_ID: &str = "local-1";

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    serving: JoinHandle<()>,
}

impl Issuer {
    /// Listens on a free port. The key is made once a process.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut jwk = Jwk::from_encoding_key(&key()?, Algorithm::RS256)?;
        jwk.common.key_id = Some(KEY_ID.to_owned());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let keys = json!({"keys": [jwk]});
        let discovery = json!({
            "issuer": url, "jwks_uri": format!("{url}/.well-known/jwks.json"),
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || fixed(discovery.clone())),
            )
            .route("/.well-known/jwks.json", get(move || fixed(keys.clone())));
        let serving = tokio::spawn(async move {
            // It serves until it is aborted.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url, serving })
    }

    /// The `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token for a subject with scopes, valid for `life`.
    pub fn mint(&self, subject: &str, scopes: &[&str], life: Duration) -> Result<String> {
        let now = now_ms() / 1000;
        self.sign(&json!({
            "iss": self.url, "aud": AUDIENCE, "sub": subject, "scope": scopes.join(" "),
            "iat": now, "nbf": now, "exp": now + life.as_secs(), "jti": crate::kms::uuid(),
        }))
    }

    /// A token with just these claims, for tests of what the authorizer refuses.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(KEY_ID.to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &key()?)?)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn fixed(document: Value) -> Json<Value> {
    Json(document)
}

fn key() -> Result<EncodingKey> {
    static KEY: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let made = KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let wrapped: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        // PKCS #8 around a 2048-bit RSA key is a header of 26 bytes; jsonwebtoken signs with the
        // PKCS #1 key inside.
        wrapped.as_ref().get(26..).map(<[u8]>::to_vec)
    });
    let der = made.as_ref().ok_or_else(|| anyhow!("no RSA key"))?;
    Some(EncodingKey::from_rsa_der(der)).context("no RSA key")
}
