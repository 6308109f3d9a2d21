//! A connection as the product sees it. Never a token, sealed or not.

use domain::{
    Account, ConnectionId, ConnectionStatus, Environment, Fault, Platform, ReauthReason, Revocation,
};
use serde::Serialize;
use serde_json::{Value, json};
use statistics::HandleView;
use store::Connection;

/// A connection in lists.
#[derive(Serialize)]
pub(crate) struct ConnectionView {
    id: ConnectionId,
    platform: Platform,
    environment: Environment,
    account: Account,
    status: ConnectionStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReauthReason>,
    scopes: Vec<String>,
    missing_scopes: Vec<String>,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<RevocationView>,
}

#[derive(Serialize)]
struct RevocationView {
    state: Revocation,
    sentence: &'static str,
}

impl ConnectionView {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            id: connection.connection_id.clone(),
            platform: connection.platform,
            environment: connection.account.environment,
            account: connection.account.clone(),
            status: connection.status,
            reason: connection.reason,
            scopes: connection.scopes.clone(),
            missing_scopes: connection.missing_scopes.clone(),
            created_at: connection.created_at.rfc3339(),
            updated_at: connection.updated_at.rfc3339(),
            revocation: connection.revocation.map(|state| RevocationView {
                state,
                sentence: sentence(state),
            }),
        }
    }
}

/// How a connection fares: what an operator or a support person asks first.
pub(crate) fn status(connection: &Connection) -> Value {
    let time = |at: Option<domain::Timestamp>| at.map(domain::Timestamp::rfc3339);
    json!({
        "id": connection.connection_id,
        "platform": connection.platform,
        "environment": connection.account.environment,
        "status": connection.status,
        "reason": connection.reason,
        "token": {
            "version": connection.token_version,
            "issued_at": connection.issued_at.rfc3339(),
            "expires_at": time(connection.expires_at),
            "refresh_expires_at": time(connection.refresh_expires_at),
            "ends_at": time(connection.lifetime().ends_at()),
            "next_refresh_at": time(connection.due_at),
            "refreshing": connection.lease_holder.is_some(),
        },
        "failures": connection.failures,
        "last_fault": connection.last_fault.as_ref().map(fault),
        "missing_scopes": connection.missing_scopes,
        "last_used_at": connection.used_at.rfc3339(),
        "statistics": {
            "last_read_at": time(connection.stats_read_at),
            "last_sync_at": time(connection.stats_ended_at),
            "next_sync_at": time(connection.stats_due_at),
            "failures": connection.stats_failures,
            "last_fault": connection.stats_fault.as_ref().map(fault),
            "off": connection.stats_off,
        },
    })
}

/// What became of syncs that were asked for.
pub(crate) fn sync(handle: &HandleView) -> Value {
    let time = |at: Option<domain::Timestamp>| at.map(domain::Timestamp::rfc3339);
    let connections: Vec<Value> = handle
        .request
        .connections
        .iter()
        .map(|(id, platform)| match handle.logs.get(id) {
            None => json!({ "connection_id": id, "platform": platform, "state": "queued" }),
            Some(log) => json!({
                "connection_id": id,
                "platform": platform,
                "state": log.state,
                "started_at": log.started_at.rfc3339(),
                "ended_at": time(log.ended_at),
                "rows": log.rows,
                "fault": log.fault.as_ref().map(fault),
                "off": log.off,
            }),
        })
        .collect();
    json!({
        "id": handle.request.sync_id,
        "state": handle.state(),
        "asked_at": handle.request.asked_at.rfc3339(),
        "connections": connections,
    })
}

fn fault(fault: &Fault) -> Value {
    json!({
        "code": fault.kind.code(),
        "sentence": fault.explain(),
        "actor": fault.kind.actor(),
        "platform_code": fault.platform_code,
        "until": fault.until.map(domain::Timestamp::rfc3339),
    })
}

const fn sentence(state: Revocation) -> &'static str {
    match state {
        Revocation::Done => "The platform has ended the app's access to this account.",
        Revocation::Pending => {
            "The platform has not confirmed yet; it is asked again for 24 hours."
        }
        Revocation::Failed => {
            "The platform could not be told for 24 hours. The creator can remove the app in the platform's own settings."
        }
        Revocation::KeptForOtherConnections => {
            "Other connections still use this account, so the app's access at the platform was kept."
        }
        Revocation::NotNeeded => "There was nothing left to end at the platform.",
    }
}
