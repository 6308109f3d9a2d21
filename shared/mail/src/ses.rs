//! Handing a mail to SES: one signed request, sent once.

use std::time::Duration;

use lambda::{Aws, Signed, SignedAnswer, SignedError};
use serde_json::{Value, json};

use crate::Mail;

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// How long SES may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A sender.
#[derive(Debug)]
pub struct Ses {
    signed: Signed,
    from: String,
    configuration_set: String,
}

/// What SES said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It took the mail; its id of it.
    Taken(String),
    /// It surely did not take it, and may later: a quota, a pause, a sender that is not verified, our
    /// own permission. The error's type.
    Later(String),
    /// It surely did not take it and never will. The error's type.
    Never(String),
    /// Nobody knows whether it took it.
    Unknown,
}

impl Ses {
    /// From an address, with the product's name beside it. The configuration set tells of bounces and
    /// complaints.
    pub fn new(aws: &Aws, product: &str, address: &str, configuration_set: String) -> Self {
        Self {
            signed: Signed::new(aws, "ses", "email", "SES", TIMEOUT),
            from: format!("{} <{address}>", encoded_words(product)),
            configuration_set,
        }
    }

    /// Sends a mail to one address.
    pub async fn send(&self, to: &str, mail: &Mail) -> Answered {
        let body = self.request(to, mail).to_string();
        let answer = self
            .signed
            .post("/v2/email/outbound-emails", JSON, &body)
            .await;
        match answer {
            Ok(answer) => read(&answer),
            // Not sent at all.
            Err(SignedError::Unsignable(_)) => Answered::Later("Unsignable".to_owned()),
            Err(SignedError::NoAnswer) => Answered::Unknown,
        }
    }

    fn request(&self, to: &str, mail: &Mail) -> Value {
        let content = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        json!({
            "FromEmailAddress": self.from,
            "Destination": { "ToAddresses": [to] },
            "ConfigurationSetName": self.configuration_set,
            "EmailTags": [{ "Name": "kind", "Value": mail.kind.as_str() }],
            "Content": { "Simple": {
                "Subject": content(&mail.subject),
                "Body": { "Html": content(&mail.html), "Text": content(&mail.text) },
                // RFC 8058: mail programs end the subscription by one POST, without a page.
                "Headers": [
                    { "Name": "List-Unsubscribe", "Value": format!("<{}>", mail.unsubscribe) },
                    { "Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click" },
                    { "Name": "Auto-Submitted", "Value": "auto-generated" },
                ],
            } },
        })
    }
}

/// A 4xx is a definite no. A 5xx may come after SES took the mail.
fn read(answer: &SignedAnswer) -> Answered {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let told = answer.headers.get("x-amzn-errortype").map(String::as_str);
    let told = told.or(body["__type"].as_str()).or(body["code"].as_str());
    // `Type:http://…` and `namespace#Type` are both in use.
    let kind = told.unwrap_or_default();
    let kind = kind.split(':').next().unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default().to_owned();
    match answer.status {
        200..300 => {
            let id = body["MessageId"].as_str().unwrap_or_default();
            Answered::Taken(id.to_owned())
        }
        400 | 404 | 413 | 422
            if matches!(
                kind.as_str(),
                "MessageRejected" | "BadRequestException" | "InvalidParameterValue"
            ) =>
        {
            Answered::Never(kind)
        }
        400..500 => Answered::Later(kind),
        _ => Answered::Unknown,
    }
}

/// A display name as a header takes it: quoted, or as encoded words (RFC 2047) where it is not ASCII.
fn encoded_words(name: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if name.chars().all(plain) {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("\"{escaped}\"");
    }
    // 45 bytes are 60 characters of base64; with the marks, an encoded word has at most 75.
    let mut words = vec![String::new()];
    for c in name.chars().filter(|c| !c.is_control()) {
        if words
            .last()
            .is_some_and(|word| word.len() + c.len_utf8() > 45)
        {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let word = |word: &String| {
        let text = data_encoding::BASE64.encode(word.as_bytes());
        format!("=?UTF-8?B?{text}?=")
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_definite_no_is_tried_again() {
        let answer = |status: u16, kind: &str, body: &str| SignedAnswer {
            status,
            headers: [("x-amzn-errortype".to_owned(), kind.to_owned())].into(),
            body: body.as_bytes().to_vec(),
        };
        let later = |kind: &str| Answered::Later(kind.to_owned());
        for (status, kind, expected) in [
            (
                429,
                "TooManyRequestsException",
                later("TooManyRequestsException"),
            ),
            (
                400,
                "LimitExceededException:http://x",
                later("LimitExceededException"),
            ),
            (
                400,
                "com.amazonaws.ses#SendingPausedException",
                later("SendingPausedException"),
            ),
            (
                400,
                "MailFromDomainNotVerifiedException",
                later("MailFromDomainNotVerifiedException"),
            ),
            (404, "NotFoundException", later("NotFoundException")),
            (403, "AccessDeniedException", later("AccessDeniedException")),
            (
                400,
                "MessageRejected",
                Answered::Never("MessageRejected".to_owned()),
            ),
            (
                400,
                "BadRequestException",
                Answered::Never("BadRequestException".to_owned()),
            ),
            (500, "InternalServiceErrorException", Answered::Unknown),
            (503, "", Answered::Unknown),
        ] {
            assert_eq!(
                read(&answer(status, kind, "{}")),
                expected,
                "{status} {kind}"
            );
        }
        let taken = read(&answer(200, "", r#"{"MessageId":"m-1"}"#));
        assert_eq!(taken, Answered::Taken("m-1".to_owned()));
    }

    #[test]
    fn names_cannot_break_out_of_the_header() {
        assert_eq!(encoded_words("Soup \"Kitchen\""), r#""Soup \"Kitchen\"""#);
        assert_eq!(encoded_words("Aurore é"), "=?UTF-8?B?QXVyb3JlIMOp?=");
        let long = encoded_words(&"é".repeat(60));
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
        assert!(!encoded_words("a\r\nBcc: x").contains(['\r', '\n']));
    }
}
