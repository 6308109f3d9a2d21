//! Lambda's Invoke, by the host's own processes: `Event` answers before the function runs,
//! `RequestResponse` with what it answered.

use bytes::Bytes;
use http::{HeaderValue, request::Parts};

use super::{Answer, identify, refuse, respond};
use crate::host::Host;

pub(super) async fn answer(host: Option<&Host>, parts: &Parts, event: Bytes) -> Answer {
    let name = identify::function(parts.uri.path());
    let found = host.and_then(|host| Some((host, host.by_physical(name.as_deref()?)?)));
    let Some((host, function)) = found else {
        return refuse(
            "lambda",
            404,
            "ResourceNotFoundException",
            "Function not found",
        );
    };
    let kind = parts.headers.get("x-amz-invocation-type");
    if kind.is_some_and(|kind| kind == "Event") {
        let host = host.clone();
        // As on AWS, nobody waits for it: its log tells how it ended.
        tokio::spawn(async move { host.invoke(&function, event).await });
        return respond("lambda", 202, String::new());
    }
    match host.invoke(&function, event).await {
        Ok(done) => match done.result {
            Ok(body) => respond("lambda", 200, String::from_utf8_lossy(&body).into_owned()),
            Err(error) => {
                let mut answer = respond("lambda", 200, error.payload().to_string());
                let unhandled = HeaderValue::from_static("Unhandled");
                answer
                    .headers_mut()
                    .insert("x-amz-function-error", unhandled);
                answer
            }
        },
        Err(error) => refuse("lambda", 500, "ServiceException", &error.to_string()),
    }
}
