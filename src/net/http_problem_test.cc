#include "net/http_problem.h"

#include <gtest/gtest.h>

namespace hf::net {
namespace {

TEST(HttpProblem, EachCodeHasItsStatusAndWhatPassesSaysWhenToAskAgain) {
  const std::tuple<Code, int, bool> rows[] = {
      {Code::invalid, 400, false},    {Code::denied, 403, false},   {Code::not_found, 404, false},
      {Code::conflict, 409, false},   {Code::exhausted, 503, true}, {Code::timeout, 504, true},
      {Code::unavailable, 503, true}, {Code::corrupt, 500, false},  {Code::internal, 500, false}};
  for (const auto& [code, status, again] : rows) {
    const HttpResponse response = problem(Error{code, "why \"so\""});
    EXPECT_EQ(response.status, status) << to_string(code);
    EXPECT_EQ(response.headers.get("retry-after").has_value(), again) << to_string(code);
    EXPECT_EQ(response.body,
              "{\"error\":{\"code\":\"" + std::string(to_string(code)) + "\",\"message\":\"why \\\"so\\\"\"}}");
  }
}

TEST(HttpProblem, WhatTheRouterRefuses) {
  HttpRequest request;
  request.method = "PUT";
  request.target = "/nowhere?x=1";
  EXPECT_NE(route_problem(request, 404).body.find("there is no /nowhere"), std::string::npos);
  EXPECT_NE(route_problem(request, 405).body.find("PUT is not possible here"), std::string::npos);
  EXPECT_EQ(route_problem(request, 400).status, 400);
}

}  // namespace
}  // namespace hf::net
