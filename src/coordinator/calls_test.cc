#include "coordinator/calls.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace hf::coordinator {
namespace {

using wire::two_phase::Decision;

net::HttpResponse json(int status, std::string body) { return net::HttpResponse::json(status, std::move(body)); }

struct VoteCase {
  const char* what;
  Result<net::HttpResponse> answer;
  std::optional<Vote> want;  ///< nullopt: silent
};
const VoteCase kVotes[] = {
    {"prepared", json(200, R"({"message":"prepared"})"), Vote::prepared},
    {"read-only", json(200, R"({"message":"read-only"})"), Vote::read_only},
    {"committed", json(200, R"({"message":"committed"})"), Vote::committed},
    {"aborted", json(200, R"({"message":"aborted","reason":"Insufficient stock!"})"), Vote::aborted},
    {"a word nobody knows", json(200, R"({"message":"maybe"})"), std::nullopt},
    {"failed", json(200, R"({"message":"failed"})"), std::nullopt},
    {"no JSON", json(200, "prepared"), std::nullopt},
    {"unknown there", json(404, R"({"message":"Transaction-Unknown"})"), std::nullopt},
    {"yes, with the wrong status", json(500, R"({"message":"prepared"})"), std::nullopt},
    {"no connection", Error{Code::unavailable, "refused"}, std::nullopt},
    {"no answer", Error{Code::timeout, "reset"}, std::nullopt},
};

TEST(Calls, WhatAnAnswerToPrepareMeans) {
  for (const VoteCase& c : kVotes) {
    SCOPED_TRACE(c.what);
    const Event event = read_vote(3, c.answer);
    if (c.want) {
      ASSERT_TRUE(std::holds_alternative<Voted>(event));
      EXPECT_EQ(std::get<Voted>(event).vote, *c.want);
      EXPECT_EQ(std::get<Voted>(event).who, 3U);
    } else {
      EXPECT_TRUE(std::holds_alternative<Silent>(event));
    }
  }
}

enum class Meaning { done, damage, again };
struct EndCase {
  const char* what;
  Result<net::HttpResponse> answer;
  Meaning commit, abort;
};
const EndCase kEnds[] = {
    {"committed", json(200, R"({"message":"committed"})"), Meaning::done, Meaning::damage},
    {"aborted", json(200, R"({"message":"aborted"})"), Meaning::damage, Meaning::done},
    {"unknown there", json(404, R"({"message":"Transaction-Unknown"})"), Meaning::damage, Meaning::done},
    {"somebody else's 404", json(404, R"({"error":"no such page"})"), Meaning::again, Meaning::again},
    {"not prepared", json(400, R"({"message":"not-prepared"})"), Meaning::again, Meaning::again},
    {"failed", json(500, R"({"message":"failed"})"), Meaning::again, Meaning::again},
    {"failed, in Ballerina's words", json(500, R"({"message":"failed-eot"})"), Meaning::again, Meaning::again},
    {"denied", json(401, R"({"message":"committed"})"), Meaning::again, Meaning::again},
    {"no JSON", json(200, "ok"), Meaning::again, Meaning::again},
    {"no connection", Error{Code::unavailable, "refused"}, Meaning::again, Meaning::again},
    {"no answer", Error{Code::timeout, "reset"}, Meaning::again, Meaning::again},
};
Meaning meaning(const Event& event) {
  if (std::holds_alternative<Acknowledged>(event)) return Meaning::done;
  return std::holds_alternative<Contradicted>(event) ? Meaning::damage : Meaning::again;
}

TEST(Calls, WhatAnAnswerToNotifyMeans) {
  for (const EndCase& c : kEnds) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(meaning(read_acknowledgement(0, Decision::commit, c.answer)), c.commit);
    EXPECT_EQ(meaning(read_acknowledgement(0, Decision::abort, c.answer)), c.abort);
  }
}

TEST(Calls, AStrangersTextIsCutAndMadeWellFormed) {
  std::string umlauts = "x";
  while (umlauts.size() < 3000) umlauts += "ä";
  for (const std::string& text : {std::string("\xff\xfe broken \x80"), umlauts, std::string(1 << 20, 'a')}) {
    const Event silent = read_vote(0, json(500, text));
    const std::string& why = std::get<Silent>(silent).why;
    EXPECT_TRUE(is_utf8(why)) << why;
    EXPECT_LT(why.size(), 600U);
  }
  const Event voted = read_vote(0, json(200, R"({"message":"aborted","reason":")" + umlauts + "\"}"));
  const std::string& reason = std::get<Voted>(voted).reason;
  EXPECT_TRUE(is_utf8(reason));
  EXPECT_EQ(reason.substr(0, 5), "xää");
  EXPECT_LT(reason.size(), 600U);
}

}  // namespace
}  // namespace hf::coordinator
