//! Who an account is (tiktok.md §3.1).

use domain::{Fault, FaultKind, TokenBundle};
use serde_json::Value;

use super::errors::{self, Place};
use super::{API, limits, scope, wire};
use crate::{Answer, Call};

/// What user info told. Avatars are left out: their addresses expire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) open_id: Option<String>,
    pub(super) union_id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) username: Option<String>,
    pub(super) profile_url: Option<String>,
}

/// The fields that may be asked for under these scopes; the basic ones always.
pub(super) fn fields(scopes: &[String]) -> Vec<&'static str> {
    let mut fields = vec!["open_id", "union_id", "display_name"];
    if scopes.iter().any(|granted| granted == scope::PROFILE) {
        fields.extend(["username", "profile_deep_link"]);
    }
    fields
}

pub(super) fn request(bundle: &TokenBundle, fields: &[&str]) -> Result<Call, Fault> {
    let url = format!("{API}/v2/user/info/?fields={}", fields.join(","));
    Ok(wire::get("tiktok.user.info", &url, bundle)?.within([limits::USER_INFO]))
}

pub(super) fn read(answer: Answer<'_>) -> Result<User, Fault> {
    let data = wire::data(answer.response)
        .map_err(|problem| errors::fault(Place::Identify, &problem, answer.sent_at))?;
    let user = data.get("user").ok_or(Fault::new(FaultKind::OurBug))?;
    let text = |name: &str| {
        let value = user.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Ok(User {
        open_id: user.get("open_id").and_then(wire::id),
        union_id: user.get("union_id").and_then(wire::id),
        display_name: text("display_name"),
        username: text("username"),
        profile_url: text("profile_deep_link").filter(|url| url.starts_with("https://")),
    })
}
