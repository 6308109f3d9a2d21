//! An endpoint as the product sees it. Its secret is in the answer that makes it, and in no other.

use domain::{EndpointId, Secret, Timestamp};
use serde::Serialize;
use store::Endpoint;
use store::endpoints::{DisabledFor, EndpointState};

#[derive(Serialize)]
pub(crate) struct EndpointView<'a> {
    id: &'a EndpointId,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    types: &'a [String],
    state: EndpointState,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<DisabledView>,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Serialize)]
struct DisabledView {
    reason: DisabledFor,
    at: String,
}

/// How it answers of late; absent while it accepts.
#[derive(Serialize)]
struct TroubleView<'a> {
    since: String,
    failures: u32,
    last_failure: Option<&'a str>,
    last_failure_at: Option<String>,
    rest_until: Option<String>,
}

impl<'a> EndpointView<'a> {
    pub(crate) fn of(endpoint: &'a Endpoint) -> Self {
        let disabled = endpoint.disabled_for.zip(endpoint.disabled_at);
        let trouble = endpoint.failing_since.map(|since| TroubleView {
            since: since.rfc3339(),
            failures: endpoint.failures,
            last_failure: endpoint.last_failure.as_deref(),
            last_failure_at: endpoint.last_failure_at.map(Timestamp::rfc3339),
            rest_until: endpoint.rest_until.map(Timestamp::rfc3339),
        });
        Self {
            id: &endpoint.endpoint_id,
            url: &endpoint.url,
            description: endpoint.description.as_deref(),
            types: &endpoint.types,
            state: endpoint.state,
            disabled: disabled.map(|(reason, at)| DisabledView {
                reason,
                at: at.rfc3339(),
            }),
            created_at: endpoint.created_at.rfc3339(),
            updated_at: endpoint.updated_at.rfc3339(),
            trouble,
            secret: None,
        }
    }

    /// The same with the secret, which is shown this once.
    pub(crate) fn with(self, secret: &'a Secret) -> Self {
        Self {
            secret: Some(secret.expose()),
            ..self
        }
    }
}
