//! The stand-in for SES: takes what `SendEmail` of its API v2 is given, as strictly as SES does, keeps
//! it, and tells of bounces and complaints by the template's EventBridge rule.
//!
//! Knobs decide what happens to the next mails; addresses of SES's own mailbox simulator
//! (`bounce@simulator.amazonses.com`, `complaint@…`) do the same for themselves.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::{ACCOUNT, Aws, REGION};

/// SES sets these itself and refuses them in simple content.
const OWN_HEADERS: [&str; 12] = [
    "bcc",
    "cc",
    "content-disposition",
    "content-type",
    "date",
    "from",
    "message-id",
    "mime-version",
    "reply-to",
    "return-path",
    "subject",
    "to",
];

/// What happens to a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// Refused: too many requests.
    Throttle,
    /// Refused for good.
    Reject,
    /// Taken, and the address does not exist.
    Bounce,
    /// Taken, and the mailbox is full.
    TransientBounce,
    /// Taken, and its reader calls it spam.
    Complaint,
}

/// One mail as SES was given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// SES's id of it.
    pub id: String,
    /// The sender, with its name.
    pub from: String,
    /// The one address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The page.
    pub html: String,
    /// The text.
    pub text: String,
    /// Headers of the caller's own.
    pub headers: BTreeMap<String, String>,
}

/// The captured mails of one stack.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
    place: OnceLock<Place>,
}

#[derive(Debug, Default)]
struct State {
    mails: Vec<Captured>,
    knobs: VecDeque<Knob>,
}

/// Where a stack's mails belong.
#[derive(Debug)]
struct Place {
    aws: Aws,
    configuration_sets: Vec<String>,
    /// URLs of the queues that the rules for events of SES feed.
    queues: Vec<String>,
    /// Mails are written here as files.
    folder: PathBuf,
}

/// An error as SES answers it.
type Refusal = (u16, &'static str, String);

impl Mailbox {
    /// Binds it to a stack. Without this it refuses every mail.
    pub fn open(
        &self,
        aws: &Aws,
        configuration_sets: Vec<String>,
        queues: Vec<String>,
        folder: &Path,
    ) -> Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).context("removing the mails of an earlier run")?;
        }
        let place = Place {
            aws: aws.clone(),
            configuration_sets,
            queues,
            folder: folder.to_owned(),
        };
        drop(self.place.set(place));
        Ok(())
    }

    /// What was taken so far, oldest first.
    pub fn mails(&self) -> Vec<Captured> {
        self.lock().mails.clone()
    }

    /// Decides over the next `times` mails, after those that are decided already.
    pub fn turn(&self, knob: Knob, times: usize) {
        self.lock().knobs.extend(std::iter::repeat_n(knob, times));
    }

    /// Answers one `SendEmail`: status and body.
    pub async fn send(&self, body: &[u8]) -> (u16, String) {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        match self.take(&request).await {
            Ok(id) => (200, json!({ "MessageId": id }).to_string()),
            Err((status, code, message)) => {
                let error = json!({ "__type": code, "message": message });
                (status, error.to_string())
            }
        }
    }

    async fn take(&self, request: &Value) -> Result<String, Refusal> {
        let bad = |message: &str| (400, "BadRequestException", message.to_owned());
        let place = self
            .place
            .get()
            .ok_or_else(|| bad("no stack sends mails"))?;
        let set = request["ConfigurationSetName"].as_str().unwrap_or_default();
        if !place.configuration_sets.iter().any(|known| known == set) {
            let message = format!("Configuration set <{set}> does not exist.");
            return Err((404, "NotFoundException", message));
        }
        let mut mail = read(request).map_err(|message| bad(&message))?;
        let knob = self.lock().knobs.pop_front();
        let knob = knob.or(match mail.to.as_str() {
            "bounce@simulator.amazonses.com" => Some(Knob::Bounce),
            "complaint@simulator.amazonses.com" => Some(Knob::Complaint),
            _ => None,
        });
        match knob {
            Some(Knob::Throttle) => {
                let message = "Maximum sending rate exceeded.".to_owned();
                return Err((429, "TooManyRequestsException", message));
            }
            Some(Knob::Reject) => {
                let message = "Email address is on the suppression list.".to_owned();
                return Err((400, "MessageRejected", message));
            }
            _ => {}
        }
        let number = {
            let mut state = self.lock();
            mail.id = format!("0102019{:09}-local", state.mails.len() + 1);
            state.mails.push(mail.clone());
            state.mails.len()
        };
        let failed =
            |error: anyhow::Error| (500, "InternalServiceErrorException", format!("{error:#}"));
        write(&place.folder, number, &mail).map_err(failed)?;
        if let Some(event) = knob.and_then(|knob| event(knob, set, &mail)) {
            for queue in &place.queues {
                let message = json!({ "QueueUrl": queue, "MessageBody": event.to_string() });
                let told = place
                    .aws
                    .json("sqs", "AmazonSQS.SendMessage", &message)
                    .await;
                told.map_err(failed)?;
            }
        }
        Ok(mail.id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a request as strictly as SES; an error is its sentence.
fn read(request: &Value) -> Result<Captured, String> {
    let text = |value: &Value, what: &str| {
        let found = value.as_str().filter(|text| !text.is_empty());
        found
            .map(str::to_owned)
            .ok_or_else(|| format!("{what} is missing"))
    };
    let from = text(&request["FromEmailAddress"], "FromEmailAddress")?;
    let [to] = request["Destination"]["ToAddresses"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
    else {
        return Err("one address, please".to_owned());
    };
    let to = text(to, "ToAddresses")?;
    if !from.is_ascii() || !to.is_ascii() || !to.contains('@') || to.contains([',', '\r', '\n']) {
        return Err("Local address contains control or whitespace, or is not ASCII".to_owned());
    }
    let content = &request["Content"]["Simple"];
    let mut headers = BTreeMap::new();
    for header in content["Headers"].as_array().into_iter().flatten() {
        let (name, value) = (
            text(&header["Name"], "Name")?,
            text(&header["Value"], "Value")?,
        );
        let printable = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b));
        let own = OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
        if own || !printable(&name) || !printable(&value) || value.len() > 870 {
            return Err(format!("Header {name} is not allowed"));
        }
        headers.insert(name, value);
    }
    if headers.len() > 15 {
        return Err("too many headers".to_owned());
    }
    Ok(Captured {
        id: String::new(),
        from,
        to,
        subject: text(&content["Subject"]["Data"], "Subject")?,
        html: text(&content["Body"]["Html"]["Data"], "Html")?,
        text: text(&content["Body"]["Text"]["Data"], "Text")?,
        headers,
    })
}

/// The event that SES publishes to the default bus.
fn event(knob: Knob, set: &str, mail: &Captured) -> Option<Value> {
    let bounce = |kind: &str, sub: &str| {
        let recipient = json!({ "emailAddress": mail.to, "action": "failed", "status": "5.1.1" });
        let bounce =
            json!({ "bounceType": kind, "bounceSubType": sub, "bouncedRecipients": [recipient] });
        ("Email Bounced", "Bounce", "bounce", bounce)
    };
    let (detail_type, kind, name, told) = match knob {
        Knob::Bounce => bounce("Permanent", "General"),
        Knob::TransientBounce => bounce("Transient", "MailboxFull"),
        Knob::Complaint => {
            let complaint = json!({ "complainedRecipients": [{ "emailAddress": mail.to }],
                "complaintFeedbackType": "abuse" });
            (
                "Email Complaint Received",
                "Complaint",
                "complaint",
                complaint,
            )
        }
        Knob::Throttle | Knob::Reject => return None,
    };
    let sent = json!({ "messageId": mail.id, "destination": [mail.to],
        "tags": { "ses:configuration-set": [set] } });
    Some(json!({
        "version": "0", "id": crate::kms::uuid(), "source": "aws.ses", "detail-type": detail_type,
        "account": ACCOUNT, "region": REGION, "resources": [],
        "detail": { "eventType": kind, name: told, "mail": sent },
    }))
}

fn write(folder: &Path, number: usize, mail: &Captured) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let head = format!(
        "From: {}\nTo: {}\nSubject: {}\n",
        mail.from, mail.to, mail.subject
    );
    let more: String = mail
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    let text = format!("{head}{more}\n{}", mail.text);
    std::fs::write(folder.join(format!("{number:03}.txt")), text)?;
    std::fs::write(folder.join(format!("{number:03}.html")), &mail.html)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(to: &str) -> Value {
        json!({
            "FromEmailAddress": "\"Soup\" <mail@soup.example>",
            "Destination": { "ToAddresses": [to] },
            "ConfigurationSetName": "set",
            "Content": { "Simple": {
                "Subject": { "Data": "Your week" },
                "Body": { "Html": { "Data": "<p>" }, "Text": { "Data": "t" } },
                "Headers": [{ "Name": "List-Unsubscribe", "Value": "<https://x.example/u>" }],
            } },
        })
    }

    async fn sent(mailbox: &Mailbox, request: &Value) -> (u16, String) {
        let (status, body) = mailbox.send(request.to_string().as_bytes()).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (
            status,
            body["__type"].as_str().unwrap_or_default().to_owned(),
        )
    }

    #[tokio::test]
    async fn what_ses_would_refuse_is_refused() {
        let folder = std::env::temp_dir().join(format!("mailbox-{}", std::process::id()));
        let mailbox = Mailbox::default();
        let aws = Aws::new("http://127.0.0.1:9").unwrap();
        let bad = (400, "BadRequestException".to_owned());
        assert_eq!(sent(&mailbox, &request("a@b.example")).await, bad);
        mailbox
            .open(&aws, vec!["set".to_owned()], Vec::new(), &folder)
            .unwrap();
        let good = (200, String::new());
        assert_eq!(sent(&mailbox, &request("a@b.example")).await, good);
        let mut unknown = request("a@b.example");
        unknown["ConfigurationSetName"] = json!("other");
        assert_eq!(sent(&mailbox, &unknown).await.0, 404);
        for (what, value) in [
            (
                "/Destination/ToAddresses/0",
                json!("a@b.example,c@d.example"),
            ),
            ("/Destination/ToAddresses/0", json!("é@b.example")),
            ("/FromEmailAddress", json!("Aurore é <a@b.example>")),
            ("/Content/Simple/Headers/0/Name", json!("Subject")),
            ("/Content/Simple/Headers/0/Value", json!("a\r\nBcc: x")),
            ("/Content/Simple/Subject/Data", json!("")),
        ] {
            let mut odd = request("a@b.example");
            *odd.pointer_mut(what).unwrap() = value;
            assert_eq!(sent(&mailbox, &odd).await, bad, "{what}");
        }
        mailbox.turn(Knob::Throttle, 1);
        mailbox.turn(Knob::Reject, 1);
        let refused = |status, code: &str| (status, code.to_owned());
        let next = sent(&mailbox, &request("a@b.example")).await;
        assert_eq!(next, refused(429, "TooManyRequestsException"));
        let next = sent(&mailbox, &request("a@b.example")).await;
        assert_eq!(next, refused(400, "MessageRejected"));
        assert_eq!(mailbox.mails().len(), 1);
        let text = std::fs::read_to_string(folder.join("001.txt")).unwrap();
        assert!(
            text.contains("List-Unsubscribe: <https://x.example/u>\n"),
            "{text}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
