//! The IAM statements that each function's role carries.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Resolver;
use crate::iam::{Policy, Statement};

/// The statements of every role, by role ARN: inline policies, policy resources, and the managed
/// policies that SAM attaches by itself. Another managed policy is an error, since nobody could
/// check what it allows.
pub fn policies(resolver: &Resolver<'_>) -> Result<BTreeMap<String, Policy>> {
    let mut own = BTreeMap::new();
    for (logical, properties) in resolver.of_type("AWS::IAM::ManagedPolicy")? {
        let p = resolver
            .value(properties)
            .with_context(|| format!("policy {logical}"))?;
        own.insert(
            resolver.values.physical[logical].reference.clone(),
            p["PolicyDocument"].clone(),
        );
    }
    let mut roles: BTreeMap<String, Policy> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (logical, properties) in resolver.of_type("AWS::IAM::Role")? {
        let physical = &resolver.values.physical[logical];
        names.insert(
            physical.reference.clone(),
            physical.attributes["Arn"].clone(),
        );
        let policy = roles.entry(physical.attributes["Arn"].clone()).or_default();
        let p = resolver
            .value(properties)
            .with_context(|| format!("role {logical}"))?;
        for inline in list(&p["Policies"]) {
            add(policy, &inline["PolicyDocument"])?;
        }
        for arn in list(&p["ManagedPolicyArns"])
            .iter()
            .filter_map(Value::as_str)
        {
            match own.get(arn) {
                Some(document) => add(policy, document)?,
                None => policy.statements.push(managed_policy(arn)?),
            }
        }
    }
    for (logical, properties) in resolver.of_type("AWS::IAM::Policy")? {
        let p = resolver
            .value(properties)
            .with_context(|| format!("policy {logical}"))?;
        for role in list(&p["Roles"]).iter().filter_map(Value::as_str) {
            if let Some(policy) = names.get(role).and_then(|arn| roles.get_mut(arn)) {
                add(policy, &p["PolicyDocument"])?;
            }
        }
    }
    Ok(roles)
}

fn add(policy: &mut Policy, document: &Value) -> Result<()> {
    let statements = match &document["Statement"] {
        one @ Value::Object(_) => std::slice::from_ref(one),
        other => list(other),
    };
    for statement in statements {
        policy.statements.push(Statement::read(statement)?);
    }
    Ok(())
}

fn managed_policy(arn: &str) -> Result<Statement> {
    let actions: &[&str] = match arn.rsplit('/').next().unwrap_or_default() {
        "AWSLambdaBasicExecutionRole" => &["logs:*"],
        "AWSLambdaSQSQueueExecutionRole" => &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "logs:*",
        ],
        "AWSLambdaDynamoDBExecutionRole" => &[
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
            "logs:*",
        ],
        "AWSXRayDaemonWriteAccess" | "AWSXrayWriteOnlyAccess" => &["xray:*"],
        other => anyhow::bail!("managed policy {other} is not known to the local IAM check"),
    };
    Statement::read(&json!({"Effect": "Allow", "Action": actions, "Resource": "*"}))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
