#include "sql/mysql/test_server.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/assert.h"
#include "sql/mysql/slow_machine.h"

namespace hf::sql::mysql {
namespace {

struct Folder {
  std::string path = "/tmp/hf_mariadb_XXXXXX";
  Folder() { HF_ASSERT(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

std::unique_ptr<LocalServer> start(const std::string& folder) {
  LocalServerOptions options;
  options.folder = folder;
  Result<std::unique_ptr<LocalServer>> server = LocalServer::start(std::move(options));
  if (!server) fmt::print(stderr, "{}\n", server.error().to_string());
  HF_ASSERT(server.has_value());
  return std::move(*server);
}

}  // namespace

LocalServer& test_server() {
  static const Folder folder;
  static const std::unique_ptr<LocalServer> server = start(folder.path);
  if (!server->running()) HF_ASSERT(server->start_again().has_value());
  return *server;
}

std::string fresh_url(const std::string& more_options) {
  static int databases = 0;
  if (const char* server = std::getenv("HF_TEST_DATABASE")) {
    const std::string url = fmt::format(fmt::runtime(server), fmt::format("s{}_{}", ::getpid(), ++databases));
    return url + "&" + patient(more_options);
  }
  return test_server().url(fmt::format("test{}", ++databases), patient(more_options));
}

namespace {

/// Of SHOW ENGINE INNODB STATUS: "---TRANSACTION 76, ACTIVE (PREPARED) 1 sec", with " recovered trx" once it is
/// nobody's. Not of information_schema.innodb_trx: that is a copy which is not renewed while somebody looks at it more
/// often than every 100 ms.
bool has_attached_branch(const std::string& status) {
  std::istringstream lines(status);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("ACTIVE (PREPARED)") != std::string::npos && line.find("recovered trx") == std::string::npos)
      return true;
  }
  return false;
}

}  // namespace

void wait_until_detached(sys::Loop& loop, Connection& by) {
  constexpr int kTries = 5000;
  for (int tried = 0; tried < kTries; ++tried) {
    const Result<Rows> status = by.control_query("SHOW ENGINE INNODB STATUS");
    HF_ASSERT(status.has_value());
    if (!has_attached_branch(status->at(0).text(2))) return;
    loop.run_until_done(loop.world().clock.sleep_for(2ms));
  }
  HF_ASSERT(false);  // a session is open that should not be
}

}  // namespace hf::sql::mysql
