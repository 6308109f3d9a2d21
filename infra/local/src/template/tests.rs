use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Physical, Resolver, Template, Values};

fn template() -> Template {
    let text = json!({
        "Parameters": {
            "Name": {"Type": "String", "Default": "x"},
            "Days": {"Type": "Number", "Default": 7},
            "Empty": {"Type": "String", "Default": ""},
            "Needed": {"Type": "String"},
            "List": {"Type": "CommaDelimitedList", "Default": "a, b"},
        },
        "Conditions": {
            "IsX": {"Fn::Equals": [{"Ref": "Name"}, "x"]},
            "Not": {"Fn::Not": [{"Condition": "IsX"}]},
            "Both": {"Fn::And": [{"Condition": "IsX"}, {"Fn::Equals": [{"Ref": "Days"}, 7]}]},
            "Either": {"Fn::Or": [{"Condition": "Not"}, {"Condition": "Both"}]},
        },
        "Mappings": {"M": {"a": {"b": "c"}}},
        "Resources": {"Table": {"Type": "AWS::DynamoDB::Table"}},
    });
    Template::from_json(&text.to_string()).unwrap()
}

fn values() -> Values {
    let attributes = BTreeMap::from([("Arn".to_owned(), "arn:table".to_owned())]);
    let table = Physical {
        reference: "s-Table".to_owned(),
        attributes,
    };
    Values {
        stack: "s".to_owned(),
        parameters: BTreeMap::new(),
        physical: BTreeMap::from([("Table".to_owned(), table)]),
    }
}

#[test]
fn intrinsics() {
    let (template, values) = (template(), values());
    let resolver = Resolver::new(&template, &values);
    for (given, expected) in [
        (json!({"Ref": "Name"}), json!("x")),
        (json!({"Ref": "Days"}), json!("7")),
        (json!({"Ref": "List"}), json!(["a", "b"])),
        (json!({"Ref": "Table"}), json!("s-Table")),
        (json!({"Ref": "AWS::StackName"}), json!("s")),
        (json!({"Fn::GetAtt": ["Table", "Arn"]}), json!("arn:table")),
        (json!({"Fn::GetAtt": "Table.Arn"}), json!("arn:table")),
        (
            json!({"Fn::Sub": "${Table.Arn}/index/${!raw}-${AWS::Region}"}),
            json!("arn:table/index/${raw}-us-east-1"),
        ),
        (
            json!({"Fn::Sub": ["${A}-${Name}", {"A": {"Ref": "Table"}}]}),
            json!("s-Table-x"),
        ),
        (
            json!({"Fn::Join": ["/", ["a", {"Ref": "Name"}]]}),
            json!("a/x"),
        ),
        (json!({"Fn::Split": [",", "p,q"]}), json!(["p", "q"])),
        (
            json!({"Fn::Select": [1, {"Fn::Split": [",", "p,q"]}]}),
            json!("q"),
        ),
        (json!({"Fn::FindInMap": ["M", "a", "b"]}), json!("c")),
        (json!({"Fn::If": ["IsX", 1, 2]}), json!(1)),
        (json!({"Fn::If": ["Not", 1, 2]}), json!(2)),
        (json!({"Fn::If": ["Either", 1, 2]}), json!(1)),
        (
            json!({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}),
            json!({"b": [1]}),
        ),
        (json!({"Ref": "AWS::NoValue"}), Value::Null),
        (
            json!({"Condition": {"StringEquals": {"k": {"Ref": "Name"}}}}),
            json!({"Condition": {"StringEquals": {"k": "x"}}}),
        ),
    ] {
        assert_eq!(resolver.value(&given).unwrap(), expected, "{given}");
    }
    for given in [
        json!({"Ref": "Nothing"}),
        json!({"Ref": "Needed"}),
        json!({"Fn::GetAtt": ["Table", "StreamArn"]}),
        json!({"Fn::Sub": "${Nothing}"}),
        json!({"Fn::If": ["Nothing", 1, 2]}),
        json!({"Fn::Cidr": []}),
    ] {
        assert!(resolver.value(&given).is_err(), "{given}");
    }
}

#[test]
fn parameters_given_win_over_defaults() {
    let template = template();
    let mut values = values();
    values.parameters.insert("Name".to_owned(), "y".to_owned());
    let resolver = Resolver::new(&template, &values);
    assert!(!resolver.condition("IsX").unwrap());
    assert_eq!(
        resolver
            .text(&json!({"Fn::If": ["Not", {"Ref": "Name"}, 2]}))
            .unwrap(),
        "y"
    );
}

#[test]
fn functions_are_named_by_their_binary() {
    for (logical, body, expected) in [
        ("OauthStartFunction", json!({}), "oauth-start"),
        ("Webhook", json!({}), "webhook"),
        (
            "AFunction",
            json!({"Metadata": {"BuildProperties": {"Binary": "token-refresh"}}}),
            "token-refresh",
        ),
    ] {
        assert_eq!(super::functions::binary_name(logical, &body), expected);
    }
}
