#include "server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hf::bench {
namespace {

using Steady = std::chrono::steady_clock;

/// Wakes when a file appears in a folder: the start-up time is not rounded to a polling step.
class Watch {
 public:
  explicit Watch(const std::string& folder) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (fd_ >= 0) ::inotify_add_watch(fd_, folder.c_str(), IN_MOVED_TO);
  }
  ~Watch() {
    if (fd_ >= 0) ::close(fd_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  void wait(int at_most_ms) {
    pollfd waiting{fd_, POLLIN, 0};
    ::poll(&waiting, 1, at_most_ms);
    char events[4096];
    while (::read(fd_, events, sizeof events) > 0) {
    }
  }

 private:
  int fd_;
};

std::vector<std::string> arguments_of(const Server::Setup& setup) {
  std::vector<std::string> arguments{setup.binary,   "serve",
                                     "--data",       setup.folder + "/data",
                                     "--config",     setup.folder + "/bench.toml",
                                     "--ready-file", setup.folder + "/ready",
                                     "--roles",      setup.roles};
  std::stringstream roles(setup.roles);
  for (std::string role; std::getline(roles, role, ',');) {
    arguments.insert(arguments.end(), {"--set", fmt::format("{}.port=0", role)});
  }
  arguments.insert(arguments.end(), setup.more.begin(), setup.more.end());
  return arguments;
}

}  // namespace

Result<Server> Server::start(const Setup& setup) {
  std::filesystem::create_directories(setup.folder);
  const std::string ready = setup.folder + "/ready", log = setup.folder + "/server.log";
  std::filesystem::remove(ready);
  std::ofstream(setup.folder + "/bench.toml") << "[process]\nlog_level = \"warn\"\n\n" << setup.config;
  Watch watch(setup.folder);
  const auto begin = Steady::now();
  HF_TRY(app::ChildProcess child, app::ChildProcess::start(arguments_of(setup), log));
  Server server(std::move(child), setup.folder);
  while (!std::filesystem::exists(ready)) {
    if (server.child_.poll()) return Error{Code::unavailable, "the server ended at its start; see " + log};
    if (Steady::now() - begin > 60s) return Error{Code::timeout, "the server was not ready in time; see " + log};
    watch.wait(10);
  }
  server.start_ms_ = std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
  std::ifstream lines(ready);
  for (std::string role, address; lines >> role >> address;) server.addresses_[role] = address;
  return server;
}

std::uint16_t Server::port(const std::string& role) const {
  const std::string& address = addresses_.at(role);
  return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

double Server::resident_mib() const {
  std::ifstream status(fmt::format("/proc/{}/status", child_.pid()));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

Result<void> Server::stop() {
  const std::optional<int> code = child_.terminate(30s);
  if (code == 0) return ok();
  return Error{Code::internal, fmt::format("the server did not stop cleanly; see {}/server.log", folder_)};
}

}  // namespace hf::bench
