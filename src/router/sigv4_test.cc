#include "router/sigv4.h"

namespace hf::router {
namespace {

const AccessKey kKeys[] = {{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}, {"other", "secret"}};
const SignatureScope kScope{"us-east-1", "events", 15min};
const WallTime kNow = from_basic_iso8601("20261121T090000Z").value();

net::HttpRequest request() {
  net::HttpRequest out;
  out.method = "POST";
  out.target = "/";
  out.headers.add("Host", "127.0.0.1:4010");
  out.headers.add("X-Amz-Target", "AWSEvents.PutEvents");
  out.headers.add("Content-Type", "application/x-amz-json-1.1");
  out.body = R"({"Entries":[]})";
  return out;
}
std::string verdict(const net::HttpRequest& r, WallTime now = kNow) {
  const auto refusal = verify_signature(r, kKeys, kScope, now);
  return refusal ? refusal->exception : "welcome";
}
net::HttpRequest signed_request(const AccessKey& key = kKeys[0], const SignatureScope& scope = kScope,
                                WallTime at = kNow) {
  net::HttpRequest out = request();
  sign(out, key, scope, at);
  return out;
}

/// The worked example of AWS's own documentation (GET iam ListUsers, 2015-08-30), independent of our signer.
TEST(SigV4, KnowsTheDocumentedExample) {
  net::HttpRequest r;
  r.method = "GET";
  r.target = "/?Action=ListUsers&Version=2010-05-08";
  r.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  r.headers.add("Host", "iam.amazonaws.com");
  r.headers.add("X-Amz-Date", "20150830T123600Z");
  r.headers.add("Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                "SignedHeaders=content-type;host;x-amz-date, "
                "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
  const WallTime then = from_basic_iso8601("20150830T123700Z").value();
  EXPECT_FALSE(verify_signature(r, kKeys, {"us-east-1", "iam", 15min}, then));
}

TEST(SigV4, WhatWeSignWeVerify) { EXPECT_EQ(verdict(signed_request()), "welcome"); }

TEST(SigV4, OrderAndCaseOfHeadersDoNotMatter) {
  const net::HttpRequest original = signed_request();
  net::HttpRequest turned = original;
  turned.headers = {};
  for (auto it = original.headers.all().rbegin(); it != original.headers.all().rend(); ++it) {
    std::string name = it->first;
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    turned.headers.add(name, "  " + it->second + " ");
  }
  // The value of Authorization is parsed, not signed; restore it.
  turned.headers.set("Authorization", std::string(*original.headers.get("Authorization")));
  turned.headers.set("X-Amz-Date", std::string(*original.headers.get("X-Amz-Date")));
  EXPECT_EQ(verdict(turned), "welcome");
}

TEST(SigV4, Refuses) {
  EXPECT_EQ(verdict(request()), "MissingAuthenticationTokenException");
  EXPECT_EQ(verdict(signed_request({"AKIDEXAMPLE", "wrong"})), "InvalidSignatureException");
  EXPECT_EQ(verdict(signed_request({"nobody", "x"})), "UnrecognizedClientException");
  EXPECT_EQ(verdict(signed_request(kKeys[0], {"eu-west-1", "events", 15min})), "InvalidSignatureException");
  EXPECT_EQ(verdict(signed_request(kKeys[0], {"us-east-1", "sqs", 15min})), "InvalidSignatureException");

  net::HttpRequest changed = signed_request();
  changed.body[2] = 'F';
  EXPECT_EQ(verdict(changed), "InvalidSignatureException");
  net::HttpRequest retargeted = signed_request();
  retargeted.headers.set("X-Amz-Target", "AWSEvents.DeleteRule");
  EXPECT_EQ(verdict(retargeted), "InvalidSignatureException");
  net::HttpRequest extended = signed_request();
  extended.headers.add("X-Amz-Meta", "unsigned");
  EXPECT_EQ(verdict(extended), "InvalidSignatureException");
  net::HttpRequest token = request();
  token.headers.add("X-Amz-Security-Token", "t");
  sign(token, kKeys[0], kScope, kNow);
  EXPECT_EQ(verdict(token), "UnrecognizedClientException");
}

TEST(SigV4, MalformedAuthorization) {
  for (const char* header :
       {"", "Basic abc", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=a/20261121/us-east-1/events/aws4_request",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a//us-east-1/events/aws4_request, SignedHeaders=host, Signature=00"}) {
    net::HttpRequest r = signed_request();
    r.headers.set("Authorization", header);
    EXPECT_EQ(verdict(r), "IncompleteSignatureException") << header;
  }
}

TEST(SigV4, TheClockMayBeOffALittle) {
  const net::HttpRequest r = signed_request();
  EXPECT_EQ(verdict(r, kNow + 4min), "welcome");
  EXPECT_EQ(verdict(r, kNow - 4min), "welcome");
  const auto late = verify_signature(r, kKeys, kScope, kNow + 16min);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->exception, "InvalidSignatureException");
  EXPECT_EQ(late->message,
            "Signature expired: 20261121T090000Z is now earlier than 20261121T090100Z (20261121T091600Z - 15 min.)");
  const auto early = verify_signature(r, kKeys, kScope, kNow - 16min);
  ASSERT_TRUE(early);
  EXPECT_TRUE(
      early->message.starts_with("Signature not yet current: 20261121T090000Z is still later than 20261121T085900Z"));
}

}  // namespace
}  // namespace hf::router
