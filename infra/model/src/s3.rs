//! S3, path-style: objects, ranges, multipart uploads.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::Refusal;
use crate::answer::Answer;
use crate::aws::Wire;

/// The operation's name in IAM's manner, for faults and the record.
pub(crate) fn operation(request: &Wire) -> &'static str {
    let has = |name: &str| request.query.contains_key(name);
    match (request.method.as_str(), has("uploadId"), has("uploads")) {
        ("GET", true, _) => "ListParts",
        ("GET", ..) => "GetObject",
        ("HEAD", ..) => "HeadObject",
        ("PUT", true, _) => "UploadPart",
        ("PUT", ..) => "PutObject",
        ("DELETE", true, _) => "AbortMultipartUpload",
        ("DELETE", ..) => "DeleteObject",
        ("POST", _, true) => "CreateMultipartUpload",
        ("POST", true, _) => "CompleteMultipartUpload",
        _ => "Unknown",
    }
}

/// All buckets; a bucket is there once something is put into it.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// By `bucket/key`.
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, Upload>,
    counter: u64,
}

#[derive(Debug, Default)]
struct Upload {
    object: String,
    parts: BTreeMap<u64, Bytes>,
}

impl Buckets {
    pub(crate) fn put(&mut self, bucket: &str, key: &str, bytes: Bytes) {
        self.objects.insert(format!("{bucket}/{key}"), bytes);
    }

    pub(crate) fn run(&mut self, request: &Wire) -> Result<Answer, Refusal> {
        let object = decoded(request.path.trim_start_matches('/'));
        match operation(request) {
            "GetObject" => self.get(&object, request.range.as_deref()),
            "HeadObject" => match self.objects.get(&object) {
                // HEAD has no body, so S3 sends no code either.
                None => Ok(Answer::empty(404)),
                Some(bytes) => Ok(Answer::empty(200)
                    .with("content-length", bytes.len())
                    .with("etag", etag(bytes))),
            },
            "PutObject" => {
                self.objects.insert(object, request.body.clone());
                Ok(Answer::empty(200).with("etag", etag(&request.body)))
            }
            "DeleteObject" => {
                self.objects.remove(&object);
                Ok(Answer::empty(204))
            }
            "CreateMultipartUpload" => {
                self.counter += 1;
                let id = format!("upload-{}", self.counter);
                let upload = Upload {
                    object,
                    ..Upload::default()
                };
                self.uploads.insert(id.clone(), upload);
                Ok(Answer::xml(
                    200,
                    format!(
                        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
                         </InitiateMultipartUploadResult>"
                    ),
                ))
            }
            "UploadPart" => {
                let number = number(request, "partNumber")?;
                let upload = self.upload(request)?;
                upload.parts.insert(number, request.body.clone());
                Ok(Answer::empty(200).with("etag", etag(&request.body)))
            }
            "ListParts" => self.list(request),
            "CompleteMultipartUpload" => self.complete(request),
            "AbortMultipartUpload" => {
                self.upload(request)?;
                self.uploads.remove(&request.query["uploadId"]);
                Ok(Answer::empty(204))
            }
            _ => Err(Refusal::unknown(format!(
                "s3 {} {}",
                request.method, request.path
            ))),
        }
    }

    fn get(&self, object: &str, range: Option<&str>) -> Result<Answer, Refusal> {
        let bytes = self.objects.get(object).ok_or_else(|| {
            let sentence = "The specified key does not exist.";
            Refusal::new(404, "NoSuchKey", sentence)
        })?;
        let whole = bytes.len();
        let answer = |status, bytes: Bytes| Answer {
            status,
            headers: vec![
                ("content-length", bytes.len().to_string()),
                ("etag", etag(&bytes)),
            ],
            body: bytes,
        };
        let Some(range) = range else {
            return Ok(answer(200, bytes.clone()));
        };
        let span = range.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
        let (first, last) = span
            .and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<usize>().ok()?)))
            .ok_or_else(|| Refusal::unknown(format!("the range {range}")))?;
        if first >= whole || last < first {
            let sentence = "The requested range is not satisfiable";
            return Err(Refusal::new(416, "InvalidRange", sentence));
        }
        let last = last.min(whole - 1);
        let part = bytes.slice(first..=last);
        Ok(answer(206, part).with("content-range", format!("bytes {first}-{last}/{whole}")))
    }

    fn list(&mut self, request: &Wire) -> Result<Answer, Refusal> {
        let after = number(request, "part-number-marker").unwrap_or(0);
        let most = number(request, "max-parts").unwrap_or(1_000).min(1_000);
        let upload = self.upload(request)?;
        let wanted = upload.parts.range(after + 1..);
        let wanted: Vec<_> = wanted.take(usize::try_from(most).unwrap_or(0)).collect();
        let more = wanted
            .last()
            .is_some_and(|(last, _)| upload.parts.range(*last + 1..).next().is_some());
        let parts: String = wanted
            .iter()
            .map(|(number, bytes)| {
                format!(
                    "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag><Size>{}</Size></Part>",
                    etag(bytes),
                    bytes.len()
                )
            })
            .collect();
        Ok(Answer::xml(
            200,
            format!("<ListPartsResult><IsTruncated>{more}</IsTruncated>{parts}</ListPartsResult>"),
        ))
    }

    fn complete(&mut self, request: &Wire) -> Result<Answer, Refusal> {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let upload = self.upload(request)?;
        let mut whole = BytesMut::new();
        for part in text.split("<Part>").skip(1) {
            let number = tag(part, "PartNumber").and_then(|number| number.parse().ok());
            let stored = number.and_then(|number: u64| upload.parts.get(&number));
            let given = tag(part, "ETag").map(|given| given.replace("&quot;", "\""));
            let stored = stored.filter(|bytes| given.as_deref() == Some(etag(bytes).as_str()));
            let Some(stored) = stored else {
                let sentence = "One or more of the specified parts could not be found.";
                return Err(Refusal::new(400, "InvalidPart", sentence));
            };
            whole.extend_from_slice(stored);
        }
        let object = upload.object.clone();
        self.uploads.remove(&request.query["uploadId"]);
        self.objects.insert(object, whole.freeze());
        Ok(Answer::xml(
            200,
            "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>".to_owned(),
        ))
    }

    fn upload(&mut self, request: &Wire) -> Result<&mut Upload, Refusal> {
        let id = request.query.get("uploadId").cloned().unwrap_or_default();
        self.uploads.get_mut(&id).ok_or_else(|| {
            let sentence = "The specified multipart upload does not exist.";
            Refusal::new(404, "NoSuchUpload", sentence)
        })
    }
}

fn number(request: &Wire, name: &str) -> Result<u64, Refusal> {
    let text = request.query.get(name).map(String::as_str);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Refusal::new(400, "InvalidArgument", format!("{name} is no number")))
}

/// Nothing reads more out of an ETag than that equal bytes have equal ones.
fn etag(bytes: &Bytes) -> String {
    let hash = bytes.iter().step_by(997).fold(bytes.len() as u64, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

fn decoded(path: &str) -> String {
    // A plus in a path is a plus; form decoding would make it a space.
    let path = path.replace('+', "%2B");
    let pair = form_urlencoded::parse(path.as_bytes()).next();
    pair.map(|(name, _)| name.into_owned()).unwrap_or_default()
}

fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = xml[start..].find(&format!("</{name}>"))? + start;
    Some(&xml[start..end])
}
