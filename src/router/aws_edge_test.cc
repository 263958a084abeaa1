#include "router/aws_edge.h"

#include <boost/json/serialize.hpp>

#include "router/router_fixture.h"

namespace hf::router {
namespace {

class AwsEdgeTest : public RouterTest {
 protected:
  void SetUp() override { start(); }
  std::string make_connection(std::string name) {
    const Reply made =
        call("CreateConnection", fmt::format(R"({{"Name":"{}","AuthorizationType":"BASIC","AuthParameters":)"
                                             R"({{"BasicAuthParameters":{{"Username":"AC1","Password":"p"}}}}}})",
                                             name));
    EXPECT_EQ(made.status, 200) << made.text;
    return made.at("ConnectionArn");
  }
  std::string make_destination(std::string name, std::string connection_arn, std::string path = "/hook") {
    const Reply made =
        call("CreateApiDestination",
             fmt::format(R"({{"Name":"{}","ConnectionArn":"{}","HttpMethod":"POST","InvocationEndpoint":"{}{}"}})",
                         name, connection_arn, config_.notifier_url, path));
    EXPECT_EQ(made.status, 200) << made.text;
    return made.at("ApiDestinationArn");
  }
  Reply put_target(std::string_view rule, std::string_view id, std::string_view arn, std::string_view more = "") {
    return call("PutTargets", fmt::format(R"({{"Rule":"{}","Targets":[{{"Id":"{}","Arn":"{}","RoleArn":"{}"{}}}]}})",
                                          rule, id, arn, router_->control().role_arn("holdfast-notify"), more));
  }
};

/// A5: connection, destination, rule, target, event; and the event arrives.
TEST_F(AwsEdgeTest, FromConnectionToDelivery) {
  const std::string connection = make_connection("c");
  const std::string destination = make_destination("d", connection);
  const Reply rule =
      call("PutRule",
           R"({"Name":"r","EventPattern":"{\"source\":[\"test\"],\"detail\":{\"n\":[{\"numeric\":[\">\",1]}]}}"})");
  EXPECT_EQ(rule.at("RuleArn"), "arn:aws:events:us-east-1:000000000000:rule/r");
  EXPECT_EQ(put_target("r", "t", destination).text, R"({"FailedEntryCount":0,"FailedEntries":[]})");
  const Reply put = call(
      "PutEvents", R"({"Entries":[{"Source":"test","DetailType":"x","Detail":"{\"n\": 1.50}","Time":1773480413.9},)"
                   R"({"Source":"test","DetailType":"x","Detail":"{\"n\":1}"}]})");
  ASSERT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.body.at("FailedEntryCount").as_int64(), 0);
  const std::string id(put.body.at("Entries").at(0).at("EventId").as_string());
  const EventStory story = settled(id);
  EXPECT_EQ(story.deliveries.size(), 1u);
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_EQ(seen_[0].body,
            fmt::format(R"({{"version":"0","id":"{}","detail-type":"x","source":"test","account":"000000000000",)"
                        R"("time":"2026-03-14T09:26:53Z","region":"us-east-1","resources":[],"detail":{{"n":1.50}}}})",
                        id));
  EXPECT_TRUE(settled(std::string(put.body.at("Entries").at(1).at("EventId").as_string())).deliveries.empty());
}

TEST_F(AwsEdgeTest, ProtocolErrors) {
  net::HttpRequest plain = request("ListRules", "{}");
  EXPECT_EQ(send(plain).type(), "MissingAuthenticationTokenException");
  net::HttpRequest wrong = request("PutEvents", R"({"Entries":[{"Source":"test","DetailType":"x","Detail":"{}"}]})");
  sign(wrong, {config_.access_keys[0].id, "wrong"}, {config_.region}, world_.clock.wall());
  EXPECT_EQ(send(wrong).type(), "InvalidSignatureException");
  EXPECT_EQ(loop_.run_until_done(router_->counts())->events, 0) << "nothing is stored";

  EXPECT_EQ(call("Nonsense", "{}").type(), "UnknownOperationException");
  EXPECT_EQ(call("CreateArchive", "{}").message(), "CreateArchive is not supported yet.");
  EXPECT_EQ(call("ListRules", "{").type(), "SerializationException");
  EXPECT_EQ(call("ListRules", "[]").type(), "SerializationException");
  EXPECT_EQ(call("ListRules", R"({"Limit":"5"})").type(), "SerializationException");
  EXPECT_EQ(call("ListRules", R"({"Limit":101})").type(), "ValidationException");
  EXPECT_EQ(call("ListRules", R"({"Limit":null,"Unknown":1})").status, 200);
  EXPECT_EQ(call("ListRules", "").status, 200);
}

TEST_F(AwsEdgeTest, Rules) {
  const std::string text = R"({ \"source\" : [ \"a\" ] })";
  ASSERT_EQ(
      call("PutRule", fmt::format(R"({{"Name":"r","EventPattern":"{}","Description":"d","State":"DISABLED"}})", text))
          .status,
      200);
  Reply described = call("DescribeRule", R"({"Name":"r"})");
  EXPECT_EQ(described.at("EventPattern"), R"({ "source" : [ "a" ] })") << "byte for byte";
  EXPECT_EQ(described.at("State"), "DISABLED");
  EXPECT_EQ(described.at("Description"), "d");
  EXPECT_EQ(described.at("CreatedBy"), "000000000000");
  ASSERT_EQ(call("PutRule", fmt::format(R"({{"Name":"r","EventPattern":"{}"}})", text)).status, 200);
  described =
      call("DescribeRule", R"({"Name":"r","EventBusName":"arn:aws:events:us-east-1:000000000000:event-bus/default"})");
  EXPECT_EQ(described.at("State"), "ENABLED");
  EXPECT_FALSE(described.body.as_object().contains("Description"));

  EXPECT_EQ(call("DisableRule", R"({"Name":"r"})").text, "");
  EXPECT_EQ(call("DescribeRule", R"({"Name":"r"})").at("State"), "DISABLED");
  EXPECT_EQ(call("EnableRule", R"({"Name":"none"})").message(), "Rule none does not exist on EventBus default.");
  EXPECT_EQ(call("PutRule", R"({"Name":"r"})").message(),
            "Parameter(s) EventPattern or ScheduleExpression must be specified.");
  EXPECT_EQ(call("PutRule", R"j({"Name":"r","ScheduleExpression":"rate(1 day)"})j").type(), "ValidationException");
  EXPECT_EQ(call("PutRule", R"({"Name":"r","EventBusName":"other","EventPattern":"{\"a\":[1]}"})").message(),
            "Event bus other does not exist.");
  const Reply bad = call("PutRule", R"({"Name":"r","EventPattern":"{\"a\":\"x\"}"})");
  EXPECT_EQ(bad.type(), "InvalidEventPatternException");
  EXPECT_EQ(bad.message(), "Event pattern is not valid. Reason: \"a\" must be an object or an array");
  EXPECT_EQ(
      call("PutRule", R"({"Name":"r r","State":"ON","EventPattern":"{\"a\":[1]}"})").message(),
      R"(2 validation errors detected: Value 'r r' at 'name' failed to satisfy constraint: Member must satisfy regular expression )"
      R"(pattern: [\.\-_A-Za-z0-9]+; Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy enum value set: )"
      "[ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]");

  put_target("r", "t", make_destination("d", make_connection("c")));
  EXPECT_EQ(call("DeleteRule", R"({"Name":"r"})").message(), "Rule can't be deleted since it has targets.");
  EXPECT_EQ(call("RemoveTargets", R"({"Rule":"r","Ids":["t","unknown"]})").body.at("FailedEntryCount").as_int64(), 0);
  EXPECT_EQ(call("DeleteRule", R"({"Name":"r"})").status, 200);
  EXPECT_EQ(call("DeleteRule", R"({"Name":"r"})").status, 200);
  EXPECT_EQ(call("DescribeRule", R"({"Name":"r"})").type(), "ResourceNotFoundException");
}

TEST_F(AwsEdgeTest, ListsComeInPages) {
  for (int i = 0; i < 25; ++i)
    call("PutRule", fmt::format(R"({{"Name":"page-{:02}","EventPattern":"{{\"a\":[1]}}"}})", i));
  std::vector<std::string> names;
  std::string token;
  int pages = 0;
  do {
    const Reply page = call("ListRules", fmt::format(R"({{"NamePrefix":"page-","Limit":10{}}})",
                                                     token.empty() ? "" : ",\"NextToken\":\"" + token + "\""));
    for (const auto& rule : page.body.at("Rules").as_array()) names.emplace_back(rule.at("Name").as_string());
    token = page.body.as_object().contains("NextToken") ? page.at("NextToken") : "";
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(names.size(), 25u);
  EXPECT_TRUE(std::ranges::is_sorted(names));
}

TEST_F(AwsEdgeTest, Targets) {
  const std::string destination = make_destination("d", make_connection("c"));
  call("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[\"a\"]}"})");
  EXPECT_EQ(put_target("none", "t", destination).type(), "ResourceNotFoundException");
  EXPECT_EQ(put_target("r", "t", "arn:aws:sqs:us-east-1:000000000000:queue").type(), "ValidationException");
  EXPECT_EQ(put_target("r", "t", destination, R"(,"InputTransformer":{"InputTemplate":"{\"a\":<x>}"})").message(),
            "InputTemplate for target t contains invalid placeholder x.");
  EXPECT_EQ(put_target("r", "t", destination, R"(,"Input":"{}","InputPath":"$.detail")").type(), "ValidationException");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(put_target("r", "t" + std::to_string(i), destination).status, 200);
  EXPECT_EQ(put_target("r", "t5", destination).type(), "LimitExceededException");
  EXPECT_EQ(put_target("r", "t1", destination, R"(,"Input":"{\"replaced\":1.0}","Extra":1.50)").status, 200);
  const Reply list = call("ListTargetsByRule", R"({"Rule":"r"})");
  EXPECT_EQ(list.body.at("Targets").as_array().size(), 5u);
  EXPECT_NE(list.text.find(R"("Extra":1.50)"), std::string::npos) << "as sent";
  EXPECT_EQ(call("ListTargetsByRule", R"({"Rule":"r","Limit":2})").body.at("Targets").as_array().size(), 2u);
  EXPECT_EQ(call("ListRuleNamesByTarget", fmt::format(R"({{"TargetArn":"{}"}})", destination)).text,
            R"({"RuleNames":["r"]})");
}

TEST_F(AwsEdgeTest, ConnectionsKeepTheirSecrets) {
  const std::string arn = make_connection("c");
  EXPECT_TRUE(arn.starts_with("arn:aws:events:us-east-1:000000000000:connection/c/"));
  EXPECT_EQ(
      call(
          "CreateConnection",
          R"({"Name":"c","AuthorizationType":"BASIC","AuthParameters":{"BasicAuthParameters":{"Username":"u","Password":"p"}}})")
          .message(),
      "Connection c already exists.");
  const Reply described = call("DescribeConnection", R"({"Name":"c"})");
  EXPECT_EQ(described.body.at("AuthParameters").at("BasicAuthParameters").at("Username").as_string(), "AC1");
  EXPECT_EQ(described.text.find("Password"), std::string::npos);
  EXPECT_EQ(described.at("ConnectionState"), "AUTHORIZED");
  EXPECT_EQ(
      call("UpdateConnection", R"({"Name":"c","AuthParameters":{"BasicAuthParameters":{"Password":"new"}}})").status,
      200);
  EXPECT_EQ(router_->rules()->connections.at("c")->password, "new");
  EXPECT_EQ(router_->rules()->connections.at("c")->username, "AC1");
  EXPECT_EQ(call("UpdateConnection", R"({"Name":"c","AuthorizationType":"API_KEY"})").type(), "ValidationException");
  EXPECT_EQ(
      call("CreateConnection", R"({"Name":"o","AuthorizationType":"OAUTH_CLIENT_CREDENTIALS","AuthParameters":{}})")
          .message(),
      "OAUTH_CLIENT_CREDENTIALS is not supported yet.");
  EXPECT_EQ(call("CreateConnection", R"({"Name":"o","AuthorizationType":"KERBEROS","AuthParameters":{}})").message(),
            "1 validation error detected: Value 'KERBEROS' at 'authorizationType' failed to satisfy constraint: Member "
            "must satisfy enum "
            "value set: [BASIC, OAUTH_CLIENT_CREDENTIALS, API_KEY]");
  EXPECT_EQ(call("CreateConnection", R"({"Name":"o","AuthorizationType":"API_KEY","AuthParameters":{}})").type(),
            "ValidationException");
  EXPECT_EQ(call("ListConnections", R"({"NamePrefix":"c"})").body.at("Connections").as_array().size(), 1u);
  const std::string destination = make_destination("d", arn);
  EXPECT_EQ(call("DeleteConnection", R"({"Name":"c"})").at("ConnectionState"), "DELETING");
  EXPECT_EQ(call("DescribeApiDestination", R"({"Name":"d"})").at("ApiDestinationState"), "INACTIVE");
  EXPECT_EQ(call("DescribeConnection", R"({"Name":"c"})").message(),
            "Failed to describe the connection(s). Connection 'c' does not exist.");
}

TEST_F(AwsEdgeTest, ApiDestinations) {
  const std::string connection = make_connection("c");
  make_destination("d", connection);
  const Reply described = call("DescribeApiDestination", R"({"Name":"d"})");
  EXPECT_EQ(described.body.at("InvocationRateLimitPerSecond").as_int64(), 300);
  EXPECT_EQ(described.at("ApiDestinationState"), "ACTIVE");
  EXPECT_TRUE(described.body.at("CreationTime").is_int64());
  EXPECT_EQ(call("UpdateApiDestination", R"({"Name":"d","HttpMethod":"PUT","InvocationRateLimitPerSecond":7})").status,
            200);
  EXPECT_EQ(call("DescribeApiDestination", R"({"Name":"d"})").at("HttpMethod"), "PUT");
  EXPECT_EQ(call("UpdateApiDestination", R"({"Name":"d","InvocationEndpoint":"http://10.0.0.1/"})").type(),
            "ValidationException");
  EXPECT_EQ(
      call("CreateApiDestination",
           R"({"Name":"e","ConnectionArn":"arn:none","HttpMethod":"POST","InvocationEndpoint":"https://x.example/"})")
          .type(),
      "ResourceNotFoundException");
  EXPECT_EQ(
      call("CreateApiDestination",
           fmt::format(
               R"({{"Name":"d","ConnectionArn":"{}","HttpMethod":"POST","InvocationEndpoint":"https://x.example/"}})",
               connection))
          .message(),
      "An api-destination 'd' already exists.");
  EXPECT_EQ(call("ListApiDestinations", fmt::format(R"({{"ConnectionArn":"{}"}})", connection))
                .body.at("ApiDestinations")
                .as_array()
                .size(),
            1u);
  EXPECT_EQ(call("DeleteApiDestination", R"({"Name":"d"})").text, "{}");
  EXPECT_EQ(call("DeleteApiDestination", R"({"Name":"d"})").message(),
            "Failed to describe the api-destination(s). An api-destination 'd' does not exist.");
}

TEST_F(AwsEdgeTest, PutEventsJudgesEachEntry) {
  const Reply put = call("PutEvents", R"({"Entries":[
      {"DetailType":"x","Detail":"{}"}, {"Source":"a","Detail":"{}"}, {"Source":"a","DetailType":"x"},
      {"Source":"a","DetailType":"x","Detail":"[1]"}, {"Source":"a","DetailType":"x","Detail":"{"}, {"Source":"a","DetailType":"x","Detail":"5"},
      {"Source":"aws.s3","DetailType":"x","Detail":"{}"}, {"Source":"a","DetailType":"x","Detail":"{}"},
      {"Source":"a","DetailType":"x","Detail":"{}","EventBusName":"other"}]})");
  ASSERT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.body.at("FailedEntryCount").as_int64(), 7);
  const auto& entries = put.body.at("Entries").as_array();
  const char* want[] = {"InvalidArgument",
                        "InvalidArgument",
                        "InvalidArgument",
                        "MalformedDetail",
                        "MalformedDetail",
                        "MalformedDetail",
                        "NotAuthorizedForSourceException"};
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(entries[i].at("ErrorCode").as_string(), want[i]) << i;
  EXPECT_EQ(entries[0].at("ErrorMessage").as_string(),
            "Parameter Source is not valid. Reason: Source is a required argument.");
  EXPECT_TRUE(entries[7].as_object().contains("EventId"));
  EXPECT_TRUE(entries[8].as_object().contains("EventId")) << "an unknown bus is answered like any other";
  EXPECT_EQ(loop_.run_until_done(router_->counts())->events, 1);
}

TEST_F(AwsEdgeTest, PutEventsLimits) {
  const auto entries = [](int n) {
    std::string text;
    for (int i = 0; i < n; ++i)
      text += (i ? "," : "") + std::string(R"({"Source":"a","DetailType":"x","Detail":"{}"})");
    return "{\"Entries\":[" + text + "]}";
  };
  EXPECT_EQ(call("PutEvents", entries(10)).status, 200);
  EXPECT_NE(call("PutEvents", entries(11))
                .message()
                .find("at 'entries' failed to satisfy constraint: Member must have length less than or equal to 10"),
            std::string::npos);
  EXPECT_EQ(call("PutEvents", entries(0)).type(), "ValidationException");
  EXPECT_EQ(call("PutEvents", "{}").type(), "ValidationException");
  EXPECT_EQ(call("PutEvents", R"({"EndpointId":"e","Entries":[{"Source":"a","DetailType":"x","Detail":"{}"}]})").type(),
            "ValidationException");
  const auto of_size = [&](std::size_t detail) {
    return call("PutEvents", R"({"Entries":[{"Source":"a","DetailType":"x","Time":1,"Detail":"{\"a\":\")" +
                                 std::string(detail - 8, 'x') + "\\\"}\"}]}");
  };
  EXPECT_EQ(of_size((1 << 20) - 1 - 16).status, 200);
  EXPECT_EQ(of_size((1 << 20) + 1 - 16).message(), "Total size of the entries in the request is over the limit.");
}

TEST_F(AwsEdgeTest, TestEventPattern) {
  const auto test = [&](std::string pattern, std::string event) {
    return call("TestEventPattern",
                boost::json::serialize(boost::json::object{{"EventPattern", pattern}, {"Event", event}}));
  };
  const std::string event =
      R"({"id":"1","account":"a","source":"s","time":"t","region":"r","detail-type":"d","extra":{"n":5}})";
  EXPECT_EQ(test(R"({"extra":{"n":[{"numeric":["=",5]}]}})", event).text, R"({"Result":true})");
  EXPECT_EQ(test(R"({"source":["other"]})", event).text, R"({"Result":false})");
  EXPECT_EQ(test(R"({"source":"s"})", event).type(), "InvalidEventPatternException");
  EXPECT_EQ(test(R"({"source":["s"]})", R"({"id":"1"})").message(), "Parameter Event is not valid.");
}

TEST_F(AwsEdgeTest, TheDefaultBus) {
  EXPECT_EQ(call("ListEventBuses", "{}").text,
            R"({"EventBuses":[{"Name":"default","Arn":"arn:aws:events:us-east-1:000000000000:event-bus/default"}]})");
  EXPECT_EQ(call("DescribeEventBus", "{}").at("Name"), "default");
  EXPECT_EQ(call("DescribeEventBus", R"({"Name":"x"})").type(), "ResourceNotFoundException");
}

TEST_F(AwsEdgeTest, WhatWasPutIsThereAfterARestart) {
  const std::string destination = make_destination("d", make_connection("c"));
  call("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[\"a\"]}","Description":"kept"})");
  put_target("r", "t", destination);
  stop();
  start();
  EXPECT_EQ(call("DescribeRule", R"({"Name":"r"})").at("Description"), "kept");
  const Reply put = call("PutEvents", R"({"Entries":[{"Source":"a","DetailType":"x","Detail":"{}"}]})");
  const EventStory story = settled(std::string(put.body.at("Entries").at(0).at("EventId").as_string()));
  EXPECT_EQ(story.deliveries[0].delivery.state, DeliveryState::delivered);
}

}  // namespace
}  // namespace hf::router
