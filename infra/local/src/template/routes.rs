//! The HTTP API's routes and its JWT authorizers, from the generated OpenAPI body.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Resolver;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// HTTP method in capitals, or `ANY`.
    pub method: String,
    /// Path pattern, such as `/v1/posts/{post_id}` or `/{proxy+}`.
    pub path: String,
    /// The function's short name.
    pub function: String,
    /// The authorizer's name and the scopes of which a token must carry one.
    pub authorizer: Option<(String, Vec<String>)>,
}

/// A JWT authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorizer {
    /// The issuer, whose discovery document names the keys.
    pub issuer: String,
    /// Accepted audiences.
    pub audience: Vec<String>,
}

/// All routes of the HTTP API.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// In the template's order; matching ranks them.
    pub routes: Vec<Route>,
    /// Authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// The API's CORS settings as the OpenAPI body has them.
    pub cors: Option<Value>,
}

const METHODS: [&str; 8] = [
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "x-amazon-apigateway-any-method",
];

pub(super) fn read(resolver: &Resolver<'_>, by_arn: &BTreeMap<String, String>) -> Result<Routes> {
    let mut routes = Routes::default();
    for (logical, properties) in resolver.of_type("AWS::ApiGatewayV2::Api")? {
        let body = resolver
            .value(&properties["Body"])
            .with_context(|| format!("OpenAPI body of {logical}"))?;
        authorizers(&body, &mut routes);
        routes.cors = body.get("x-amazon-apigateway-cors").cloned();
        for (path, operations) in body["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let Some(operation) = operations.get(method) else {
                    continue;
                };
                routes.routes.push(
                    route(path, method, operation, &body, by_arn)
                        .with_context(|| format!("{method} {path}"))?,
                );
            }
        }
    }
    Ok(routes)
}

fn route(
    path: &str,
    method: &str,
    operation: &Value,
    body: &Value,
    by_arn: &BTreeMap<String, String>,
) -> Result<Route> {
    let integration = &operation["x-amazon-apigateway-integration"];
    let uri = integration["uri"].as_str().unwrap_or_default();
    if integration["payloadFormatVersion"] != "2.0" {
        bail!("only payload format 2.0 is served");
    }
    // arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/FUNCTION-ARN/invocations
    let arn = uri
        .split("/functions/")
        .nth(1)
        .and_then(|rest| rest.strip_suffix("/invocations"));
    let function = arn
        .and_then(|arn| by_arn.get(arn))
        .with_context(|| format!("no function behind {uri:?}"))?;
    let security = operation.get("security").or_else(|| body.get("security"));
    let authorizer = security
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flatten()
        .find(|(name, _)| *name != "NONE")
        .map(|(name, scopes)| (name.clone(), texts(scopes)));
    Ok(Route {
        method: match method {
            "x-amazon-apigateway-any-method" => "ANY".to_owned(),
            other => other.to_ascii_uppercase(),
        },
        path: path.to_owned(),
        function: function.clone(),
        authorizer,
    })
}

fn authorizers(body: &Value, routes: &mut Routes) {
    for (name, scheme) in body["components"]["securitySchemes"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let jwt = &scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"];
        if let Some(issuer) = jwt["issuer"].as_str() {
            let audience = texts(&jwt["audience"]);
            routes.authorizers.insert(
                name.clone(),
                Authorizer {
                    issuer: issuer.to_owned(),
                    audience,
                },
            );
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        other => other
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}
