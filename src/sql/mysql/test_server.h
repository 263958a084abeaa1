#pragma once

/// For the tests of MySQL as a substrate: one server per process of tests, a database of its own per test.

#include "sql/mysql/local_server.h"

namespace hf::sql::mysql {

/// Started on first use, in a folder of its own; ends with the process. Runs when this returns, whatever a test did.
LocalServer& test_server();
/// "mysql://…" of a database that nobody else has: there, or on the server that HF_TEST_DATABASE names (test_url.h).
std::string fresh_url(const std::string& more_options = "");

}  // namespace hf::sql::mysql
