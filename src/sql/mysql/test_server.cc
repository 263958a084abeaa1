#include "sql/mysql/test_server.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "base/assert.h"

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
    return more_options.empty() ? url : url + "&" + more_options;
  }
  return test_server().url(fmt::format("test{}", ++databases), more_options);
}

}  // namespace hf::sql::mysql
