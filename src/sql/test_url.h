#pragma once

/// For the tests of everything that keeps its state in SQL: the same test on another substrate.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

namespace hf::sql {

/// `sqlite_url`; or, if HF_TEST_DATABASE is set ("mysql://…/{}?…", tests/oceanbase/stand.cc sets it), a database on
/// that server, of this test and this URL alone: opened again in the same test, it is the same.
inline std::string test_url(const std::string& sqlite_url) {
  const char* server = std::getenv("HF_TEST_DATABASE");
  if (server == nullptr) return sqlite_url;
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string who = test == nullptr ? "" : fmt::format("{}.{}", test->test_suite_name(), test->name());
  const std::string name = fmt::format("t{}_{:x}", ::getpid(), std::hash<std::string>{}(who + sqlite_url));
  return fmt::format(fmt::runtime(server), name);
}

}  // namespace hf::sql
