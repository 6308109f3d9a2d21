//! What a request is: which action of which service on which resources.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use http::{Method, request::Parts};
use serde_json::Value;

use crate::{
    aws::{ACCOUNT, REGION},
    kms::Kms,
};

/// A request, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// The API called, such as `dynamodb:Query`.
    pub(super) action: String,
    /// What IAM asks for.
    pub(super) needs: Vec<(String, String)>,
    pub(super) encryption_context: BTreeMap<String, String>,
    /// Further context keys that conditions may ask for.
    pub(super) keys: BTreeMap<String, String>,
}

/// Understands a request of a JSON-protocol service from its target header and body.
pub(super) fn json(service: &str, target: &str, body: &[u8], kms: &Kms) -> Request {
    let operation = target.rsplit('.').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut request = Request {
        action: format!("{service}:{operation}"),
        ..Request::default()
    };
    request.needs = match service {
        "dynamodb" => dynamodb(operation, &body),
        "events" => buses(&body)
            .into_iter()
            .map(|arn| (request.action.clone(), arn))
            .collect(),
        "sqs" => vec![(format!("sqs:{}", sqs_action(operation)), queue(&body))],
        "kms" => {
            request.encryption_context = ["EncryptionContext", "SourceEncryptionContext"]
                .iter()
                .find_map(|name| serde_json::from_value(body[name].clone()).ok())
                .unwrap_or_default();
            kms_needs(operation, &body, kms)
        }
        "secretsmanager" => {
            let id = body["SecretId"]
                .as_str()
                .or_else(|| body["Name"].as_str())
                .unwrap_or_default();
            let arn = if id.starts_with("arn:") {
                id.to_owned()
            } else {
                format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{id}")
            };
            vec![(request.action.clone(), arn)]
        }
        _ => vec![(request.action.clone(), "*".to_owned())],
    };
    request
}

fn dynamodb(operation: &str, body: &Value) -> Vec<(String, String)> {
    let need = |action: &str, table: &Value, index: &Value| {
        let name = table.as_str().unwrap_or_default();
        let mut arn = match name.strip_prefix("arn:") {
            Some(_) => name.to_owned(),
            None => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"),
        };
        if let Some(index) = index.as_str() {
            arn = format!("{arn}/index/{index}");
        }
        (format!("dynamodb:{action}"), arn)
    };
    match operation {
        "TransactWriteItems" | "TransactGetItems" => list(&body["TransactItems"])
            .iter()
            .filter_map(Value::as_object)
            .flatten()
            .map(|(kind, item)| {
                let action = match kind.as_str() {
                    "Put" => "PutItem",
                    "Update" => "UpdateItem",
                    "Delete" => "DeleteItem",
                    "ConditionCheck" => "ConditionCheckItem",
                    _ => "GetItem",
                };
                need(action, &item["TableName"], &Value::Null)
            })
            .collect(),
        "BatchGetItem" | "BatchWriteItem" => body["RequestItems"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(table, _)| need(operation, &table.clone().into(), &Value::Null))
            .collect(),
        _ => vec![need(operation, &body["TableName"], &body["IndexName"])],
    }
}

/// The buses that the entries of a `PutEvents` name, each once.
fn buses(body: &Value) -> BTreeSet<String> {
    let names = list(&body["Entries"])
        .iter()
        .map(|entry| entry["EventBusName"].as_str().unwrap_or("default"));
    names
        .map(|name| match name.starts_with("arn:") {
            true => name.to_owned(),
            false => format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"),
        })
        .collect()
}

/// IAM has no batch actions for SQS.
fn sqs_action(operation: &str) -> &str {
    operation.strip_suffix("Batch").unwrap_or(operation)
}

fn queue(body: &Value) -> String {
    let name = body["QueueUrl"]
        .as_str()
        .or_else(|| body["QueueName"].as_str())
        .unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn kms_needs(operation: &str, body: &Value, kms: &Kms) -> Vec<(String, String)> {
    let named = |field: &str| body[field].as_str().and_then(|name| kms.key_arn(name));
    let by_blob = || {
        let blob = BASE64
            .decode(body["CiphertextBlob"].as_str()?.as_bytes())
            .ok()?;
        kms.key_of_blob(&blob)
    };
    let unknown = || format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/unknown");
    match operation {
        "ReEncrypt" => vec![
            (
                "kms:ReEncryptFrom".to_owned(),
                by_blob().unwrap_or_else(unknown),
            ),
            (
                "kms:ReEncryptTo".to_owned(),
                named("DestinationKeyId").unwrap_or_else(unknown),
            ),
        ],
        _ => {
            let key = named("KeyId").or_else(by_blob).unwrap_or_else(unknown);
            vec![(format!("kms:{operation}"), key)]
        }
    }
}

/// Understands a call of Lambda's Invoke: `/2015-03-31/functions/NAME/invocations`, the name being a
/// physical name or an ARN.
pub(super) fn lambda(parts: &Parts) -> Request {
    let name = function(parts.uri.path()).unwrap_or_else(|| "unknown".to_owned());
    let arn = if name.starts_with("arn:") {
        name
    } else {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
    };
    let action = "lambda:InvokeFunction".to_owned();
    Request {
        needs: vec![(action.clone(), arn)],
        action,
        ..Request::default()
    }
}

/// Understands a call of SES's API v2: `SendEmail` asks for the sender's identity, here its domain, and
/// for the configuration set.
pub(super) fn ses(parts: &Parts, body: &[u8]) -> Request {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let from = body["FromEmailAddress"].as_str().unwrap_or_default();
    let address = from.rsplit('<').next().unwrap_or_default();
    let address = address.trim_end_matches('>').to_owned();
    let domain = address.rsplit('@').next().unwrap_or_default();
    let set = body["ConfigurationSetName"].as_str().unwrap_or_default();
    let action = match parts.uri.path() {
        "/v2/email/outbound-emails" => "ses:SendEmail",
        _ => "ses:Unknown",
    };
    let need = |rest: String| {
        let arn = format!("arn:aws:ses:{REGION}:{ACCOUNT}:{rest}");
        (action.to_owned(), arn)
    };
    Request {
        needs: vec![
            need(format!("identity/{domain}")),
            need(format!("configuration-set/{set}")),
        ],
        action: action.to_owned(),
        keys: BTreeMap::from([("ses:FromAddress".to_owned(), address)]),
        ..Request::default()
    }
}

/// The function that a path of Invoke names.
pub(super) fn function(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/2015-03-31/functions/")?;
    Some(decode(rest.strip_suffix("/invocations")?))
}

/// Understands an S3 request in path style from its method, path and query.
pub(super) fn s3(parts: &Parts) -> Request {
    let path = parts.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let has = |name: &str| query.contains_key(name);
    let copy = parts
        .headers
        .get("x-amz-copy-source")
        .and_then(|value| value.to_str().ok());
    let object = !key.is_empty();
    let (operation, permission) = match parts.method {
        Method::GET if object && has("uploadId") => ("ListParts", "ListMultipartUploadParts"),
        Method::GET if object && has("tagging") => ("GetObjectTagging", "GetObjectTagging"),
        Method::GET if object => ("GetObject", "GetObject"),
        Method::HEAD if object => ("HeadObject", "GetObject"),
        Method::PUT if has("partNumber") => ("UploadPart", "PutObject"),
        Method::PUT if has("tagging") => ("PutObjectTagging", "PutObjectTagging"),
        Method::PUT if object && copy.is_some() => ("CopyObject", "PutObject"),
        Method::PUT if object => ("PutObject", "PutObject"),
        Method::POST if has("uploads") => ("CreateMultipartUpload", "PutObject"),
        Method::POST if has("uploadId") => ("CompleteMultipartUpload", "PutObject"),
        Method::POST if has("delete") => ("DeleteObjects", "DeleteObject"),
        Method::DELETE if has("uploadId") => ("AbortMultipartUpload", "AbortMultipartUpload"),
        Method::DELETE if object => ("DeleteObject", "DeleteObject"),
        Method::GET if has("uploads") => ("ListMultipartUploads", "ListBucketMultipartUploads"),
        Method::GET if has("location") => ("GetBucketLocation", "GetBucketLocation"),
        Method::GET | Method::HEAD => ("ListObjectsV2", "ListBucket"),
        _ => ("Unknown", "Unknown"),
    };
    let mut arn = format!("arn:aws:s3:::{bucket}");
    if object || operation == "DeleteObjects" {
        arn = format!(
            "{arn}/{}",
            if object { decode(key) } else { "*".to_owned() }
        );
    }
    let mut needs = vec![(format!("s3:{permission}"), arn)];
    if let Some(source) = copy {
        let source = decode(source.trim_start_matches('/'));
        needs.push(("s3:GetObject".to_owned(), format!("arn:aws:s3:::{source}")));
    }
    Request {
        action: format!("s3:{operation}"),
        needs,
        ..Request::default()
    }
}

/// Percent-decodes a path.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match pair
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|_| bytes[at] == b'%')
        {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn s3_of(method: &str, uri: &str) -> (String, String) {
        let (parts, ()) = http::Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .unwrap()
            .into_parts();
        let request = s3(&parts);
        (
            request.action,
            format!("{} {}", request.needs[0].0, request.needs[0].1),
        )
    }

    #[test]
    fn s3_requests() {
        for (method, uri, action, need) in [
            (
                "GET",
                "/b/k%20x/y",
                "s3:GetObject",
                "s3:GetObject arn:aws:s3:::b/k x/y",
            ),
            (
                "HEAD",
                "/b/k",
                "s3:HeadObject",
                "s3:GetObject arn:aws:s3:::b/k",
            ),
            (
                "PUT",
                "/b/k?x-id=PutObject",
                "s3:PutObject",
                "s3:PutObject arn:aws:s3:::b/k",
            ),
            (
                "PUT",
                "/b/k?partNumber=1&uploadId=u",
                "s3:UploadPart",
                "s3:PutObject arn:aws:s3:::b/k",
            ),
            (
                "POST",
                "/b/k?uploads",
                "s3:CreateMultipartUpload",
                "s3:PutObject arn:aws:s3:::b/k",
            ),
            (
                "POST",
                "/b/k?uploadId=u",
                "s3:CompleteMultipartUpload",
                "s3:PutObject arn:aws:s3:::b/k",
            ),
            (
                "DELETE",
                "/b/k?uploadId=u",
                "s3:AbortMultipartUpload",
                "s3:AbortMultipartUpload arn:aws:s3:::b/k",
            ),
            (
                "GET",
                "/b/k?uploadId=u",
                "s3:ListParts",
                "s3:ListMultipartUploadParts arn:aws:s3:::b/k",
            ),
            (
                "DELETE",
                "/b/k",
                "s3:DeleteObject",
                "s3:DeleteObject arn:aws:s3:::b/k",
            ),
            (
                "GET",
                "/b?list-type=2",
                "s3:ListObjectsV2",
                "s3:ListBucket arn:aws:s3:::b",
            ),
            (
                "POST",
                "/b?delete",
                "s3:DeleteObjects",
                "s3:DeleteObject arn:aws:s3:::b/*",
            ),
        ] {
            assert_eq!(
                s3_of(method, uri),
                (action.to_owned(), need.to_owned()),
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn lambda_requests() {
        let request = |path: &str| {
            let request = http::Request::post(path).body(()).unwrap();
            lambda(&request.into_parts().0).needs.remove(0)
        };
        let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:s-F");
        let expected = ("lambda:InvokeFunction".to_owned(), arn.clone());
        for name in ["s-F", &arn] {
            let path = format!("/2015-03-31/functions/{name}/invocations");
            assert_eq!(request(&path), expected);
        }
        assert!(request("/2015-03-31/functions").1.ends_with("unknown"));
    }

    #[test]
    fn ses_requests() {
        let (parts, ()) = http::Request::post("/v2/email/outbound-emails")
            .body(())
            .unwrap()
            .into_parts();
        let body = json!({ "FromEmailAddress": "\"Soup\" <mail@soup.example>", "ConfigurationSetName": "s" });
        let request = ses(&parts, body.to_string().as_bytes());
        let arn = |rest: &str| format!("arn:aws:ses:{REGION}:{ACCOUNT}:{rest}");
        let send = "ses:SendEmail".to_owned();
        assert_eq!(request.action, send);
        assert_eq!(
            request.needs,
            [
                (send.clone(), arn("identity/soup.example")),
                (send, arn("configuration-set/s"))
            ]
        );
        assert_eq!(request.keys["ses:FromAddress"], "mail@soup.example");
    }

    #[test]
    fn json_requests() {
        let kms = Kms::default();
        let (key, key_arn) = kms.create_key("");
        let table = |rest: &str| format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{rest}");
        for (service, target, body, needs) in [
            (
                "dynamodb",
                "DynamoDB_20120810.Query",
                json!({"TableName": "t", "IndexName": "due"}),
                vec![("dynamodb:Query", table("t/index/due"))],
            ),
            (
                "dynamodb",
                "DynamoDB_20120810.TransactWriteItems",
                json!({"TransactItems": [
                {"Put": {"TableName": "a"}}, {"ConditionCheck": {"TableName": "b"}}, {"Update": {"TableName": "c"}}]}),
                vec![
                    ("dynamodb:PutItem", table("a")),
                    ("dynamodb:ConditionCheckItem", table("b")),
                    ("dynamodb:UpdateItem", table("c")),
                ],
            ),
            (
                "dynamodb",
                "DynamoDB_20120810.BatchGetItem",
                json!({"RequestItems": {"a": {}}}),
                vec![("dynamodb:BatchGetItem", table("a"))],
            ),
            (
                "sqs",
                "AmazonSQS.SendMessageBatch",
                json!({"QueueUrl": "http://x/0/q"}),
                vec![(
                    "sqs:SendMessage",
                    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:q"),
                )],
            ),
            (
                "kms",
                "TrentService.GenerateDataKey",
                json!({"KeyId": key}),
                vec![("kms:GenerateDataKey", key_arn)],
            ),
            (
                "secretsmanager",
                "secretsmanager.GetSecretValue",
                json!({"SecretId": "arn:aws:x"}),
                vec![("secretsmanager:GetSecretValue", "arn:aws:x".to_owned())],
            ),
        ] {
            let request = json(service, target, body.to_string().as_bytes(), &kms);
            let expected: Vec<_> = needs.into_iter().map(|(a, r)| (a.to_owned(), r)).collect();
            assert_eq!(request.needs, expected, "{target}");
        }
    }
}
