/// usage: hf_stand mariadb|oceanbase COMMAND…
///
/// Starts a MariaDB of its own, for `oceanbase` with the stub in front, runs the command with HF_TEST_DATABASE set to
/// the URL of that server ("{}" where the database's name goes), and ends as it ends. What OceanBase does not have, or
/// would not have let pass, is an error, too.

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "oceanbase/stub.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/slow_machine.h"

namespace hf::oceanbase {
namespace {

constexpr int kFailed = 1;

int run(char** command) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(command[0], command);
    ::_exit(127);
  }
  int status = -1;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return kFailed;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
}

int report(const Stub& stub) {
  for (const std::string& login : stub.logins()) fmt::print("stub: logged in as {}\n", login);
  fmt::print("stub: {} sessions, each told its variables before it worked\n", stub.sessions_opened());
  for (const std::string& violation : stub.violations()) fmt::print("stub: VIOLATION: {}\n", violation);
  return stub.violations().empty() && stub.sessions_opened() > 0 ? 0 : kFailed;
}

int stand(std::string_view flavour, const std::string& folder, char** command) {
  Result<std::unique_ptr<sql::mysql::LocalServer>> server = sql::mysql::LocalServer::start({.folder = folder});
  if (!server) {
    fmt::print(stderr, "{}\n", server.error().to_string());
    return kFailed;
  }
  std::string url = (*server)->url("{}", sql::mysql::patient());
  std::unique_ptr<Stub> stub;
  if (flavour == "oceanbase") {
    Result<std::unique_ptr<Stub>> started = Stub::start({.upstream_socket = (*server)->socket()});
    if (!started) {
      fmt::print(stderr, "{}\n", started.error().to_string());
      return kFailed;
    }
    stub = std::move(*started);
    url = stub->url("{}");
  }
  ::setenv("HF_TEST_DATABASE", url.c_str(), 1);
  const int status = run(command);
  return stub && status == 0 ? report(*stub) : status;
}

}  // namespace
}  // namespace hf::oceanbase

int main(int count, char** arguments) {
  const std::string_view flavour = count > 2 ? arguments[1] : "";
  if (flavour != "mariadb" && flavour != "oceanbase") {
    fmt::print(stderr, "usage: hf_stand mariadb|oceanbase COMMAND…\n");
    return 2;
  }
  char folder[] = "/tmp/hf_stand_XXXXXX";
  if (::mkdtemp(folder) == nullptr) return hf::oceanbase::kFailed;
  const int status = hf::oceanbase::stand(flavour, folder, arguments + 2);
  std::filesystem::remove_all(folder);
  return status;
}
