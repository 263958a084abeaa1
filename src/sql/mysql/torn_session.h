#pragma once

/// For tests: a session that stands for good where one that is being taken down stands for some microseconds.

#include <string>

#include "sql/mysql/settings.h"

struct st_mysql;

namespace hf::sql::mysql {

/// Runs `statements`, the last of which is an XA PREPARE, then COM_RESET_CONNECTION. From then on the branch is
/// everybody's for the server (XA COMMIT by others says OK), and still this session's for InnoDB (it does nothing).
class TornSession {
 public:
  TornSession(const Settings& settings, const std::string& statements);
  ~TornSession();
  TornSession(const TornSession&) = delete;
  TornSession& operator=(const TornSession&) = delete;

 private:
  st_mysql* const mysql_;
};

}  // namespace hf::sql::mysql
