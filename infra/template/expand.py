"""Expands template.yaml offline, as SAM's transform would in CloudFormation.

    expand.py TEMPLATE                       the expanded template; its parameters stay, with their defaults
    expand.py TEMPLATE --resolved            parameters, conditions and pseudo parameters are put in as well
    expand.py TEMPLATE --stack-part          of that, what a local CloudFormation makes: tables, queues, buckets…
    expand.py TEMPLATE --check               lints the template as written and as expanded; exit code 1 on any finding

`--parameter Name=Value` (any number) gives a parameter its value. Nothing is sent anywhere, and neither a region nor
credentials are needed. In every expanded form a function keeps `Metadata.BuildProperties.Binary`, the name of its
binary; its `Code` is a stand-in.
"""

import argparse
import copy
import json
import os
import pathlib
import re
import sys
import tempfile

# Without a region the translator refuses to start. Its output names none: it writes ${AWS::Region}.
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

# What goes into the stack part, and which attributes of it become outputs. Queue and bucket policies stay out: they
# deny what is not TLS, which a local engine that checks them (ministack with AUTH=true) then does.
STACK_PART = {
    "AWS::DynamoDB::Table": ["Arn", "StreamArn"],
    "AWS::SQS::Queue": ["Arn"],
    "AWS::S3::Bucket": ["Arn"],
    "AWS::SecretsManager::Secret": ["Id"],
}
# A local stack that is deleted takes its data with it.
RETAIN = ("DeletionPolicy", "UpdateReplacePolicy")
NO_VALUE = object()


class Problem(Exception):
    """What the caller gave is wrong; the message says what."""


def expand(template):
    """The expanded template. Parameters stay references: the translator would put defaults in their place."""
    source = copy.deepcopy(template)
    for parameter in source.get("Parameters", {}).values():
        parameter.pop("Default", None)
    for logical_id, resource in source["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            # The translator takes only what was uploaded.
            resource["Properties"]["CodeUri"] = f"s3://local/{logical_id}"
    translator = Translator(managed_policy_map={}, sam_parser=Parser())
    expanded = translator.translate(sam_template=source, parameter_values={}, passthrough_metadata=True)
    expanded["Parameters"] = template.get("Parameters", {})
    return expanded


def parameter_values(template, given):
    """Every parameter's value: as given, or its default; checked as CloudFormation checks it."""
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise Problem(f"no such parameter: {', '.join(unknown)}")
    missing = sorted(name for name, spec in declared.items() if name not in given and "Default" not in spec)
    if missing:
        raise Problem(f"a value is needed for: {', '.join(missing)}")
    return {name: checked_value(name, spec, given.get(name, spec.get("Default"))) for name, spec in declared.items()}


def checked_value(name, spec, value):
    if spec["Type"] == "Number":
        try:
            value = int(value)
        except ValueError:
            raise Problem(f"{name} must be a whole number, not {value!r}") from None
        if not spec.get("MinValue", value) <= value <= spec.get("MaxValue", value):
            raise Problem(f"{name} must be from {spec.get('MinValue')} to {spec.get('MaxValue')}, not {value}")
    else:
        value = str(value)
        if not spec.get("MinLength", 0) <= len(value) <= spec.get("MaxLength", len(value)):
            raise Problem(f"{name} has a wrong length: {len(value)}")
        if "AllowedPattern" in spec and not re.fullmatch(spec["AllowedPattern"], value):
            raise Problem(f"{name} must match {spec['AllowedPattern']}, not {value!r}")
    if "AllowedValues" in spec and value not in spec["AllowedValues"]:
        raise Problem(f"{name} must be one of {spec['AllowedValues']}, not {value!r}")
    return value


class Resolver:
    """Puts parameters and conditions in; references to resources stay for whoever makes the resources."""

    def __init__(self, conditions, values):
        self.conditions = conditions
        self.values = values

    def holds(self, name):
        return self.condition(self.conditions[name])

    def condition(self, node):
        (key, value), = node.items()
        if key == "Condition":
            return self.holds(value)
        if key == "Fn::Equals":
            left, right = (str(self.resolve(side)) for side in value)
            return left == right
        if key == "Fn::Not":
            return not self.condition(value[0])
        if key == "Fn::And":
            return all(self.condition(part) for part in value)
        if key == "Fn::Or":
            return any(self.condition(part) for part in value)
        raise Problem(f"unknown condition function {key}")

    def resolve(self, node):
        if isinstance(node, list):
            return [item for item in map(self.resolve, node) if item is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (key, value), = node.items()
            if key == "Ref" and value == "AWS::NoValue":
                return NO_VALUE
            if key == "Ref":
                return self.values.get(value, node)
            if key == "Fn::If":
                name, yes, no = value
                return self.resolve(yes if self.holds(name) else no)
            if key == "Fn::Sub":
                return self.substitute(value)
            if key == "Fn::Split":
                separator, text = value[0], self.resolve(value[1])
                return text.split(separator) if isinstance(text, str) else {key: [separator, text]}
            if key == "Fn::Join":
                separator, parts = value[0], self.resolve(value[1])
                whole = isinstance(parts, list) and all(not isinstance(part, (dict, list)) for part in parts)
                return separator.join(map(str, parts)) if whole else {key: [separator, parts]}
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NO_VALUE}

    def substitute(self, value):
        text, local = (value, {}) if isinstance(value, str) else value
        known = self.values | {name: self.resolve(item) for name, item in local.items()}
        open_names = {name: item for name, item in known.items() if isinstance(item, (dict, list))}

        def put(match):
            name = match.group(1)
            return match.group(0) if name in open_names else str(known.get(name, match.group(0)))

        text = re.sub(r"\$\{([^!}][^}]*)\}", put, text)
        if not re.search(r"\$\{", text):
            return text
        kept = {name: item for name, item in open_names.items() if name in local}
        return {"Fn::Sub": [text, kept] if kept else text}


def resolved(template, given, pseudo):
    """The expanded template with parameters and conditions put in; what a false condition holds back is gone."""
    expanded = expand(template)
    resolver = Resolver(expanded.get("Conditions", {}), parameter_values(template, given) | pseudo)
    out = {"AWSTemplateFormatVersion": "2010-09-09"}
    for section in ("Resources", "Outputs"):
        out[section] = {}
        for name, entry in expanded.get(section, {}).items():
            entry = dict(entry)
            if "Condition" not in entry or resolver.holds(entry.pop("Condition")):
                out[section][name] = resolver.resolve(entry)
    for resource in out["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            variables = resource["Properties"].get("Environment", {}).get("Variables", {})
            # CloudFormation makes a number a string where one is asked for.
            variables.update({name: str(value) for name, value in variables.items() if isinstance(value, int)})
    return out


def stack_part(whole):
    """A template of the tables, queues, buckets and secrets alone, with their names and ARNs as outputs."""
    out = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}, "Outputs": {}}
    for name, resource in whole["Resources"].items():
        if resource["Type"] not in STACK_PART:
            continue
        out["Resources"][name] = {key: value for key, value in resource.items() if key not in RETAIN}
        out["Outputs"][name] = {"Value": {"Ref": name}}
        for attribute in STACK_PART[resource["Type"]]:
            if attribute != "StreamArn" or "StreamSpecification" in resource["Properties"]:
                out["Outputs"][name + attribute] = {"Value": {"Fn::GetAtt": [name, attribute]}}
    return out


def check(path, template):
    """Prints what cfn-lint finds in both forms of the template; the number of findings."""
    from cfnlint.api import lint_file
    from cfnlint.config import ManualArgs

    findings = 0
    with tempfile.TemporaryDirectory() as folder:
        expanded = os.path.join(folder, "expanded.json")
        with open(expanded, "w", encoding="utf-8") as file:
            json.dump(expand(template), file, indent=1)
        for title, target in (("as written", path), ("as expanded", expanded)):
            for match in lint_file(pathlib.Path(target), config=ManualArgs(regions=["us-east-1"])):
                findings += 1
                where = "/".join(str(part) for part in match.path or []) or f"line {match.linenumber}"
                print(f"{title}: {match.rule.id} at {where}: {match.message}")
    return findings


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("template")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--stack-name", default="passerelle")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="000000000000")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--resolved", action="store_true")
    form.add_argument("--stack-part", action="store_true")
    form.add_argument("--check", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    with open(options.template, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    given = {}
    for pair in options.parameter:
        name, separator, value = pair.partition("=")
        if not separator:
            raise Problem(f"--parameter takes NAME=VALUE, not {pair!r}")
        given[name] = value
    pseudo = {
        "AWS::StackName": options.stack_name,
        "AWS::Region": options.region,
        "AWS::AccountId": options.account,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
    }
    if options.check:
        findings = check(options.template, template)
        print(f"{options.template}: {findings or 'no'} findings")
        return 1 if findings else 0
    if options.resolved:
        out = resolved(template, given, pseudo)
    elif options.stack_part:
        out = stack_part(resolved(template, given, pseudo))
    else:
        out = expand(template)
        for name, value in given.items():
            if name not in out["Parameters"]:
                raise Problem(f"no such parameter: {name}")
            out["Parameters"][name]["Default"] = checked_value(name, out["Parameters"][name], value)
    json.dump(out, sys.stdout, indent=1, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Problem as problem:
        sys.exit(f"expand.py: {problem}")
