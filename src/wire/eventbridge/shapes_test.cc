#include "wire/eventbridge/shapes.h"

namespace hf::wire::eventbridge {
namespace {

struct Parsed {
  Target target;
  Problems problems;
};
Parsed target(std::string_view text) {
  const JsonText json = JsonText::parse(text).value();
  Parsed out;
  Problems problems;
  const ShapeReader request(json, JsonText::root(), "", problems);
  out.target = parse_target(request.element(JsonText::root(), "Targets", 1));
  out.problems = problems;
  return out;
}

TEST(Shapes, ATargetKeepsItsText) {
  const auto got =
      target(R"({"Id":"t-1","Arn":"arn:aws:events:x","RoleArn":"arn:role","RetryPolicy":{"MaximumRetryAttempts":5,)"
             R"("MaximumEventAgeInSeconds":900},"Unknown":1,"Input":null})");
  EXPECT_TRUE(got.problems.empty()) << got.problems.message();
  EXPECT_EQ(got.target.retry.retries, 5);
  EXPECT_EQ(got.target.retry.age, 900s);
  EXPECT_TRUE(got.target.json.ends_with(R"("Unknown":1,"Input":null})"));
}

TEST(Shapes, AllViolationsInOneMessage) {
  const auto got = target(R"({"Id":"t 1","Arn":"arn:x","RetryPolicy":{"MaximumRetryAttempts":186}})");
  EXPECT_EQ(got.problems.exception(), "ValidationException");
  EXPECT_EQ(
      got.problems.message(),
      "2 validation errors detected: Value 't 1' at 'targets.1.member.id' failed to satisfy constraint: Member must "
      "satisfy "
      R"(regular expression pattern: [\.\-_A-Za-z0-9]+; Value '186' at 'targets.1.member.retryPolicy.maximumRetryAttempts' )"
      "failed to satisfy constraint: Member must have value less than or equal to 185");
  EXPECT_EQ(target(R"({"Arn":"arn:x"})").problems.message(),
            "1 validation error detected: Value null at 'targets.1.member.id' failed to satisfy constraint: Member "
            "must not be null");
}

TEST(Shapes, WrongTypesAreSerializationErrors) {
  EXPECT_EQ(target(R"({"Id":5,"Arn":"arn:x"})").problems.exception(), "SerializationException");
  EXPECT_EQ(target(R"({"Id":"a","Arn":"arn:x","RetryPolicy":{"MaximumRetryAttempts":"5"}})").problems.exception(),
            "SerializationException");
}

TEST(Shapes, OnlyOneInput) {
  EXPECT_EQ(target(R"({"Id":"a","Arn":"arn:x","Input":"{}","InputPath":"$.detail"})").problems.message(),
            "Only one of Input, InputPath, or InputTransformer must be provided for target a.");
  EXPECT_FALSE(target(R"({"Id":"a","Arn":"arn:x","Input":"not json"})").problems.empty());
  EXPECT_FALSE(target(R"({"Id":"a","Arn":"nothing"})").problems.empty());
}

TEST(Shapes, SecretsAreNotShown) {
  const JsonText json =
      JsonText::parse(R"({"BasicAuthParameters":{"Username":"u","Password":"p"},"InvocationHttpParameters":)"
                      R"({"HeaderParameters":[{"Key":"A","Value":"1"},{"Key":"B","Value":"2","IsValueSecret":true}]}})")
          .value();
  Problems problems;
  Connection connection;
  connection.authorization_type = "BASIC";
  parse_auth_parameters({json, JsonText::root(), "", problems}, connection, ShapeReader::Need::required);
  EXPECT_TRUE(problems.empty()) << problems.message();
  EXPECT_EQ(auth_parameters_json(connection, Secrets::hidden),
            R"({"BasicAuthParameters":{"Username":"u"},"InvocationHttpParameters":{"HeaderParameters":)"
            R"([{"Key":"A","Value":"1","IsValueSecret":false},{"Key":"B","IsValueSecret":true}]}})");
  Connection again;
  again.authorization_type = "BASIC";
  const JsonText stored = JsonText::parse(auth_parameters_json(connection, Secrets::shown)).value();
  parse_auth_parameters({stored, JsonText::root(), "", problems}, again, ShapeReader::Need::required);
  EXPECT_EQ(again.password, "p");
  EXPECT_EQ(again.headers[1].value, "2");
}

TEST(Shapes, Endpoints) {
  for (const char* good : {"https://api.twilio.com/2010-04-01/Accounts/*/Messages.json", "http://127.0.0.1:4020/x",
                           "http://localhost/x", "http://[::1]:80/", "https://a.b/{AccountSid}/x?y=1"}) {
    EXPECT_TRUE(check_endpoint(good)) << good;
  }
  for (const char* bad : {"", "ftp://x/", "http://example.com/", "http://127.0.0.1.example.com/", "http://127.evil/",
                          "https://*/x", "https:///x", "https://u:p@host/", "https://h/ x", "http://10.0.0.1/"}) {
    EXPECT_FALSE(check_endpoint(bad)) << bad;
  }
}

}  // namespace
}  // namespace hf::wire::eventbridge
