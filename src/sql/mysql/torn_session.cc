#include "sql/mysql/torn_session.h"

#include <mysql.h>

#include "base/assert.h"

namespace hf::sql::mysql {
namespace {

/// Every result of a multi-statement.
bool run(MYSQL* mysql, const std::string& statements) {
  if (::mysql_real_query(mysql, statements.data(), statements.size()) != 0) return false;
  for (int more = 0; more == 0; more = ::mysql_next_result(mysql)) {
    if (MYSQL_RES* result = ::mysql_store_result(mysql)) ::mysql_free_result(result);
  }
  return ::mysql_errno(mysql) == 0;
}

}  // namespace

TornSession::TornSession(const Settings& settings, const std::string& statements) : mysql_(::mysql_init(nullptr)) {
  HF_ASSERT(mysql_ != nullptr);
  const char* socket = settings.socket.empty() ? nullptr : settings.socket.c_str();
  HF_ASSERT(::mysql_real_connect(mysql_, socket != nullptr ? "localhost" : settings.host.c_str(), settings.user.c_str(),
                                 settings.password.c_str(), settings.database.c_str(), settings.port, socket,
                                 CLIENT_MULTI_STATEMENTS) != nullptr);
  HF_ASSERT(run(mysql_, statements));
  HF_ASSERT(::mysql_reset_connection(mysql_) == 0);
}

TornSession::~TornSession() { ::mysql_close(mysql_); }

}  // namespace hf::sql::mysql
