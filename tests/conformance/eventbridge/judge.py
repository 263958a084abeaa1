"""Calls every supported operation with boto3, AWS's own client, unchanged but for the endpoint.

usage: judge.py ADDRESS DESTINATION_BASE      one line per row; exit 1 if any fails
"""
import datetime
import json
import os
import sys
import time
import urllib.request
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ADDRESS, BASE = sys.argv[1:3]
KEY = os.environ.get("HF_AWS_KEY_ID", "holdfast")
SECRET = os.environ.get("HF_AWS_SECRET", "holdfast")
TAG = uuid.uuid4().hex[:8]  # so that it can run again on the same router
failures = 0


def client(key=KEY, secret=SECRET, region="us-east-1"):
    return boto3.client("events", endpoint_url=ADDRESS, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
                        config=Config(retries={"max_attempts": 1}, parameter_validation=False))


def row(name, good, detail=""):
    global failures
    failures += not good
    print(f"{'PASS' if good else 'FAIL'} eventbridge {name}{'' if good else ': ' + str(detail)}", flush=True)


def refused(name, code, call, text=""):
    try:
        row(name, False, f"accepted: {call()}")
    except ClientError as error:
        got = error.response["Error"]
        row(name, got["Code"] == code and text in got["Message"], got)


def admin(path):
    with urllib.request.urlopen(ADDRESS + path) as answer:
        return json.load(answer)


events = client()
row("list_event_buses", events.list_event_buses()["EventBuses"][0]["Name"] == "default")
bus = events.describe_event_bus()
row("describe_event_bus by ARN", events.describe_event_bus(Name=bus["Arn"])["Name"] == "default" and "Policy" not in bus)

refused("wrong secret", "InvalidSignatureException", lambda: client(secret="wrong").list_rules())
refused("unknown key", "UnrecognizedClientException", lambda: client(key="nobody").list_rules())
refused("foreign region", "InvalidSignatureException", lambda: client(region="eu-west-1").list_rules(), "valid region")
refused("operation that is not built", "UnknownOperationException", lambda: events.create_archive(ArchiveName="a", EventSourceArn=bus["Arn"]), "not supported yet")

connection = events.create_connection(
    Name=f"c-{TAG}", AuthorizationType="BASIC", AuthParameters={
        "BasicAuthParameters": {"Username": "AC1", "Password": "secret"},
        "InvocationHttpParameters": {"HeaderParameters": [
            {"Key": "Content-Type", "Value": "application/x-www-form-urlencoded", "IsValueSecret": False}]}})
row("create_connection", connection["ConnectionState"] == "AUTHORIZED" and isinstance(connection["CreationTime"], datetime.datetime))
described = events.describe_connection(Name=f"c-{TAG}")
row("describe_connection hides secrets", "Password" not in json.dumps(described, default=str) and
    described["AuthParameters"]["BasicAuthParameters"]["Username"] == "AC1", described)
row("update_connection", events.update_connection(Name=f"c-{TAG}", Description="changed")["ConnectionState"] == "AUTHORIZED")
row("list_connections", [c["Name"] for c in events.list_connections(NamePrefix=f"c-{TAG}")["Connections"]] == [f"c-{TAG}"])
refused("second connection of a name", "ResourceAlreadyExistsException", lambda: events.create_connection(
    Name=f"c-{TAG}", AuthorizationType="BASIC", AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}}))

destination = events.create_api_destination(Name=f"d-{TAG}", ConnectionArn=connection["ConnectionArn"], HttpMethod="POST",
                                            InvocationEndpoint=BASE + "/2010-04-01/Accounts/*/Messages.json",
                                            InvocationRateLimitPerSecond=50)
row("create_api_destination", destination["ApiDestinationState"] == "ACTIVE")
row("describe_api_destination", events.describe_api_destination(Name=f"d-{TAG}")["InvocationRateLimitPerSecond"] == 50)
row("update_api_destination", events.update_api_destination(Name=f"d-{TAG}", InvocationRateLimitPerSecond=100)["ApiDestinationState"] == "ACTIVE")
row("list_api_destinations", len(events.list_api_destinations(ConnectionArn=connection["ConnectionArn"])["ApiDestinations"]) == 1)
refused("endpoint that is not allowed", "ValidationException", lambda: events.update_api_destination(
    Name=f"d-{TAG}", InvocationEndpoint="http://169.254.169.254/"))

source = f"judge.{TAG}"
pattern = json.dumps({"source": [source], "detail-type": ["order.confirmed"], "detail": {"customer": {"phone": [{"prefix": "+"}]}}})
rule = events.put_rule(Name=f"r-{TAG}", EventPattern=pattern, Description="judged")
row("put_rule", rule["RuleArn"].endswith(f":rule/r-{TAG}"))
row("describe_rule", events.describe_rule(Name=f"r-{TAG}")["EventPattern"] == pattern)
refused("put_rule with a bad pattern", "InvalidEventPatternException", lambda: events.put_rule(Name="x", EventPattern='{"a":"b"}'), "Reason: ")
refused("two violations in one message", "ValidationException", lambda: events.put_rule(Name="a b", State="ON", EventPattern=pattern), "2 validation errors detected")
target = {"Id": "t", "Arn": destination["ApiDestinationArn"], "RoleArn": "arn:aws:iam::000000000000:role/holdfast-notify",
          "HttpParameters": {"PathParameterValues": ["AC1"]},
          "InputTransformer": {"InputPathsMap": {"to": "$.detail.customer.phone", "n": "$.detail.orderId"},
                               "InputTemplate": '{"To": <to>, "From": "+15005550006", "Body": "Order <n> is confirmed"}'},
          "RetryPolicy": {"MaximumRetryAttempts": 5, "MaximumEventAgeInSeconds": 900}}
row("put_targets", events.put_targets(Rule=f"r-{TAG}", Targets=[target])["FailedEntryCount"] == 0)
row("list_targets_by_rule as sent", events.list_targets_by_rule(Rule=f"r-{TAG}")["Targets"] == [target])
row("list_rule_names_by_target", events.list_rule_names_by_target(TargetArn=target["Arn"])["RuleNames"] == [f"r-{TAG}"])
refused("unknown rule", "ResourceNotFoundException", lambda: events.describe_rule(Name="none"), "does not exist on EventBus default")

entry = {"Source": source, "DetailType": "order.confirmed", "Time": datetime.datetime(2026, 3, 14, 9, 26, 53),
         "Detail": json.dumps({"orderId": "7 & \"8\"", "customer": {"phone": "+15551234567"}})}
put = events.put_events(Entries=[entry, {"DetailType": "x", "Detail": "{}"}, dict(entry, Detail="[1]")])
row("put_events judges each entry", put["FailedEntryCount"] == 2 and put["Entries"][1]["ErrorCode"] == "InvalidArgument" and
    put["Entries"][2]["ErrorCode"] == "MalformedDetail", put)
refused("eleven entries", "ValidationException", lambda: events.put_events(Entries=[entry] * 11), "less than or equal to 10")
event_id = put["Entries"][0]["EventId"]
for _ in range(1500):
    story = admin("/admin/router/events/" + event_id)
    if story["deliveries"] and story["deliveries"][0]["state"] != "pending":
        break
    time.sleep(0.02)
attempt = story["deliveries"][0]["attemptList"][-1] if story["deliveries"] else {}
row("the event is delivered as a form", attempt.get("status") == 201 and attempt.get("answer") ==
    "To=%2B15551234567&From=%2B15005550006&Body=Order%207%20%26%20%228%22%20is%20confirmed", story)
row("test_event_pattern", events.test_event_pattern(EventPattern=pattern, Event=json.dumps(story["event"]))["Result"] is True)

for i in range(12):
    events.put_rule(Name=f"p-{TAG}-{i:02}", EventPattern=pattern, State="DISABLED")
pages = list(events.get_paginator("list_rules").paginate(NamePrefix=f"p-{TAG}", PaginationConfig={"PageSize": 5}))
row("list_rules paginates", len(pages) == 3 and sum(len(p["Rules"]) for p in pages) == 12, pages)
for i in range(12):
    events.delete_rule(Name=f"p-{TAG}-{i:02}")
events.disable_rule(Name=f"r-{TAG}")
row("disable_rule", events.describe_rule(Name=f"r-{TAG}")["State"] == "DISABLED")
events.enable_rule(Name=f"r-{TAG}")
row("enable_rule", events.describe_rule(Name=f"r-{TAG}")["State"] == "ENABLED")
refused("delete_rule with targets", "ValidationException", lambda: events.delete_rule(Name=f"r-{TAG}"), "since it has targets")
row("remove_targets", events.remove_targets(Rule=f"r-{TAG}", Ids=["t", "unknown"])["FailedEntryCount"] == 0)
events.delete_rule(Name=f"r-{TAG}")
events.delete_rule(Name=f"r-{TAG}")
row("delete_rule twice", True)
events.delete_api_destination(Name=f"d-{TAG}")
row("delete_connection", events.delete_connection(Name=f"c-{TAG}")["ConnectionState"] == "DELETING")
sys.exit(1 if failures else 0)
