#pragma once

/// For the tests of MySQL as a substrate: one server per process of tests, a database of its own per test.

#include "sql/mysql/connection.h"
#include "sql/mysql/local_server.h"
#include "sys/loop.h"

namespace hf::sql::mysql {

/// Started on first use, in a folder of its own; ends with the process. Runs when this returns, whatever a test did.
LocalServer& test_server();
/// "mysql://…" of a database that nobody else has: there, or on the server that HF_TEST_DATABASE names (test_url.h). It
/// is patient (slow_machine.h).
std::string fresh_url(const std::string& more_options = "");
/// Until no prepared branch of the server belongs to a session any more. In a test, connections are closed and their
/// branches ended within a millisecond, which is when XA COMMIT may say OK and do nothing (sql/xa.h).
void wait_until_detached(sys::Loop& loop, Connection& by);

}  // namespace hf::sql::mysql
