//! Brings up what template.yaml declares: keys in our KMS, tables, queues, buckets and secrets by
//! CloudFormation, then what that CloudFormation leaves out.
//!
//! Functions, routes, mappings, schedules, roles and log groups only get names here; the host
//! serves them. Bucket and queue policies stay out: they refuse what is not TLS, and nothing
//! local is.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};

use crate::{
    aws::{ACCOUNT, Aws, REGION, tag},
    kms::Kms,
    template::{Physical, Resolver, Template, Values},
};

const CREATED: [&str; 4] = [
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
];
const CREATED_WITHIN: Duration = Duration::from_secs(60);

/// Creates the stack's resources and fills `values.physical` with every resource's names.
/// `api_url` is what the HTTP API's attributes say of its address.
pub async fn deploy(
    aws: &Aws,
    kms: &Kms,
    template: &Template,
    values: &mut Values,
    api_url: &str,
) -> Result<()> {
    name_the_rest(template, values, api_url)?;
    create_keys(kms, template, values)?;
    let part = part(template, values)?;
    let mut fields = vec![
        ("Action".to_owned(), "CreateStack".to_owned()),
        ("StackName".to_owned(), values.stack.clone()),
        ("TemplateBody".to_owned(), part.to_string()),
    ];
    for (i, (name, value)) in values.parameters.iter().enumerate() {
        fields.push((
            format!("Parameters.member.{}.ParameterKey", i + 1),
            name.clone(),
        ));
        fields.push((
            format!("Parameters.member.{}.ParameterValue", i + 1),
            value.clone(),
        ));
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    aws.query("cloudformation", &fields)
        .await
        .context("creating the stack")?;
    wait_created(aws, &values.stack).await?;
    let names = resource_names(aws, &values.stack).await?;
    for (logical, physical) in names {
        let kind = template.resource(&logical)["Type"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let described = describe(aws, &kind, &physical)
            .await
            .with_context(|| format!("describing {logical}"))?;
        values.physical.insert(logical, described);
    }
    apply_left_out(aws, template, values).await
}

/// Removes the stack's resources. Best effort: the process behind keeps all in memory anyway.
pub async fn remove(aws: &Aws, stack: &str) -> Result<()> {
    aws.query(
        "cloudformation",
        &[("Action", "DeleteStack"), ("StackName", stack)],
    )
    .await?;
    Ok(())
}

fn create_keys(kms: &Kms, template: &Template, values: &mut Values) -> Result<()> {
    let snapshot = values.clone();
    let resolver = Resolver::new(template, &snapshot);
    for (logical, properties) in resolver.of_type("AWS::KMS::Key")? {
        let description = properties
            .get("Description")
            .map(|d| resolver.text(d))
            .transpose()?;
        let (id, arn) = kms.create_key(&description.unwrap_or_default());
        let attributes =
            BTreeMap::from([("Arn".to_owned(), arn), ("KeyId".to_owned(), id.clone())]);
        values.physical.insert(
            logical.to_owned(),
            Physical {
                reference: id,
                attributes,
            },
        );
    }
    let snapshot = values.clone();
    let resolver = Resolver::new(template, &snapshot);
    for (logical, properties) in resolver.of_type("AWS::KMS::Alias")? {
        let alias = resolver.text(&properties["AliasName"])?;
        kms.create_alias(&alias, &resolver.text(&properties["TargetKeyId"])?)?;
        values.physical.insert(
            logical.to_owned(),
            Physical {
                reference: alias,
                attributes: BTreeMap::new(),
            },
        );
    }
    Ok(())
}

/// Gives names to what the host itself serves.
fn name_the_rest(template: &Template, values: &mut Values, api_url: &str) -> Result<()> {
    let snapshot = values.clone();
    let resolver = Resolver::new(template, &snapshot);
    for (logical, body) in template.resources() {
        if !resolver.exists(body)? {
            continue;
        }
        let kind = body["Type"].as_str().unwrap_or_default();
        let generated = format!("{}-{logical}", values.stack);
        let named = |property: &str| {
            body["Properties"]
                .get(property)
                .and_then(|name| resolver.text(name).ok())
        };
        let mut attributes = BTreeMap::new();
        let arn = |rest: String| format!("arn:aws:{rest}");
        let reference = match kind {
            "AWS::Lambda::Function" => {
                let name = named("FunctionName").unwrap_or(generated);
                attributes.insert(
                    "Arn".to_owned(),
                    arn(format!("lambda:{REGION}:{ACCOUNT}:function:{name}")),
                );
                name
            }
            "AWS::IAM::Role" => {
                let name = named("RoleName").unwrap_or(generated);
                attributes.insert("Arn".to_owned(), arn(format!("iam::{ACCOUNT}:role/{name}")));
                name
            }
            "AWS::IAM::ManagedPolicy" => arn(format!("iam::{ACCOUNT}:policy/{generated}")),
            "AWS::Logs::LogGroup" => {
                let name = named("LogGroupName").unwrap_or(generated);
                attributes.insert(
                    "Arn".to_owned(),
                    arn(format!("logs:{REGION}:{ACCOUNT}:log-group:{name}:*")),
                );
                name
            }
            "AWS::ApiGatewayV2::Api" => {
                attributes.insert("ApiEndpoint".to_owned(), api_url.to_owned());
                "local".to_owned()
            }
            "AWS::ApiGatewayV2::Stage" => "$default".to_owned(),
            "AWS::SNS::Topic" => arn(format!("sns:{REGION}:{ACCOUNT}:{generated}")),
            _ => {
                let service = kind.split("::").nth(1).unwrap_or_default().to_lowercase();
                attributes.insert(
                    "Arn".to_owned(),
                    arn(format!("{service}:{REGION}:{ACCOUNT}:{generated}")),
                );
                generated
            }
        };
        values.physical.insert(
            logical.clone(),
            Physical {
                reference,
                attributes,
            },
        );
    }
    Ok(())
}

/// The part of the template that CloudFormation creates. References to anything outside it are
/// replaced by values; parameters lose their patterns, which speak of production addresses.
fn part(template: &Template, values: &Values) -> Result<Value> {
    let mut resources = Map::new();
    for (logical, body) in template.resources() {
        let kind = body["Type"].as_str().unwrap_or_default();
        if CREATED.contains(&kind) {
            let mut kept = Map::new();
            for field in ["Type", "Condition", "Properties"] {
                if let Some(value) = body.get(field) {
                    kept.insert(field.to_owned(), value.clone());
                }
            }
            resources.insert(logical.clone(), kept.into());
        }
    }
    let inside: Vec<String> = resources.keys().cloned().collect();
    let outside: BTreeMap<_, _> = values
        .physical
        .iter()
        .filter(|(logical, _)| !inside.contains(logical))
        .collect();
    let mut resources = Value::Object(resources);
    replace(&mut resources, &outside);
    let mut part = json!({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources});
    let mut parameters = Map::new();
    for (name, body) in template.section("Parameters").into_iter().flatten() {
        let mut kept = json!({"Type": body["Type"]});
        if let Some(default) = body.get("Default") {
            kept["Default"] = default.clone();
        } else if !values.parameters.contains_key(name) {
            bail!("parameter {name} has no default and was not given");
        }
        parameters.insert(name.clone(), kept);
    }
    for name in values.parameters.keys() {
        if !parameters.contains_key(name) {
            bail!("the template has no parameter {name}");
        }
    }
    if !parameters.is_empty() {
        part["Parameters"] = parameters.into();
    }
    for section in ["Conditions", "Mappings"] {
        if let Some(body) = template.section(section) {
            part[section] = body.clone().into();
        }
    }
    Ok(part)
}

fn replace(value: &mut Value, outside: &BTreeMap<&String, &Physical>) {
    let known = |name: &str| -> Option<String> {
        let (logical, attribute) = name.split_once('.').unwrap_or((name, ""));
        let physical = outside.get(&logical.to_owned())?;
        if attribute.is_empty() {
            return Some(physical.reference.clone());
        }
        physical.attributes.get(attribute).cloned()
    };
    match value {
        Value::Object(map) => {
            let name = match (map.get("Ref"), map.get("Fn::GetAtt")) {
                (Some(Value::String(name)), _) | (_, Some(Value::String(name))) => {
                    Some(name.clone())
                }
                (_, Some(Value::Array(parts))) => Some(
                    parts
                        .iter()
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join("."),
                ),
                _ => None,
            };
            if let Some(text) = name.and_then(|name| known(&name)) {
                *value = text.into();
                return;
            }
            if let Some(Value::String(text)) = map.get_mut("Fn::Sub") {
                for logical in outside.keys() {
                    for reference in references(text, logical) {
                        if let Some(found) = known(&reference) {
                            *text = text.replace(&format!("${{{reference}}}"), &found);
                        }
                    }
                }
            }
            map.values_mut().for_each(|inner| replace(inner, outside));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| replace(inner, outside)),
        _ => {}
    }
}

/// The `Logical` and `Logical.Attribute` references to one resource in a `Fn::Sub` text.
fn references(text: &str, logical: &str) -> Vec<String> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .filter(|name| name.split('.').next() == Some(logical))
        .map(str::to_owned)
        .collect()
}

async fn wait_created(aws: &Aws, stack: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + CREATED_WITHIN;
    loop {
        let text = aws
            .query(
                "cloudformation",
                &[("Action", "DescribeStacks"), ("StackName", stack)],
            )
            .await?;
        match tag(&text, "StackStatus").unwrap_or_default() {
            "CREATE_COMPLETE" => return Ok(()),
            "CREATE_IN_PROGRESS" if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            status => bail!(
                "stack {stack} ended as {status}: {}",
                tag(&text, "StackStatusReason").unwrap_or_default()
            ),
        }
    }
}

async fn resource_names(aws: &Aws, stack: &str) -> Result<BTreeMap<String, String>> {
    let fields = [("Action", "DescribeStackResources"), ("StackName", stack)];
    let text = aws.query("cloudformation", &fields).await?;
    text.split("<member>")
        .skip(1)
        .map(|member| {
            let logical = tag(member, "LogicalResourceId");
            let physical = tag(member, "PhysicalResourceId");
            logical
                .zip(physical)
                .map(|(l, p)| (l.to_owned(), p.to_owned()))
                .ok_or_else(|| anyhow!("unreadable stack resource: {member}"))
        })
        .collect()
}

async fn describe(aws: &Aws, kind: &str, name: &str) -> Result<Physical> {
    let mut attributes = BTreeMap::new();
    let mut reference = name.to_owned();
    match kind {
        "AWS::DynamoDB::Table" => {
            let target = "DynamoDB_20120810.DescribeTable";
            let table = aws
                .json("dynamodb", target, &json!({"TableName": name}))
                .await?;
            let text = |field: &str| table["Table"][field].as_str().map(str::to_owned);
            attributes.extend(text("TableArn").map(|arn| ("Arn".to_owned(), arn)));
            attributes.extend(text("LatestStreamArn").map(|arn| ("StreamArn".to_owned(), arn)));
        }
        "AWS::SQS::Queue" => {
            let queue = name.rsplit('/').next().unwrap_or(name);
            attributes.insert(
                "Arn".to_owned(),
                format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"),
            );
            attributes.insert("QueueName".to_owned(), queue.to_owned());
            attributes.insert("QueueUrl".to_owned(), name.to_owned());
        }
        "AWS::S3::Bucket" => {
            attributes.insert("Arn".to_owned(), format!("arn:aws:s3:::{name}"));
            attributes.insert("DomainName".to_owned(), format!("{name}.s3.amazonaws.com"));
            let regional = format!("{name}.s3.{REGION}.amazonaws.com");
            attributes.insert("RegionalDomainName".to_owned(), regional);
        }
        "AWS::SecretsManager::Secret" => {
            let target = "secretsmanager.DescribeSecret";
            let secret = aws
                .json("secretsmanager", target, &json!({"SecretId": name}))
                .await?;
            // On AWS a secret's Ref is its ARN, and policies are judged against that.
            reference = secret["ARN"].as_str().unwrap_or(name).to_owned();
            attributes.insert("Id".to_owned(), reference.clone());
        }
        _ => {}
    }
    Ok(Physical {
        reference,
        attributes,
    })
}

/// CloudFormation here forgets the TTL of tables.
async fn apply_left_out(aws: &Aws, template: &Template, values: &Values) -> Result<()> {
    let resolver = Resolver::new(template, values);
    for (logical, properties) in resolver.of_type("AWS::DynamoDB::Table")? {
        let ttl = resolver.value(&properties["TimeToLiveSpecification"])?;
        if ttl.is_object() {
            let table = &values.physical[logical].reference;
            let request = json!({"TableName": table, "TimeToLiveSpecification": ttl});
            aws.json("dynamodb", "DynamoDB_20120810.UpdateTimeToLive", &request)
                .await
                .with_context(|| format!("TTL of {logical}"))?;
        }
    }
    Ok(())
}
