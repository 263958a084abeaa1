#include "oceanbase/stub.h"

#include <fmt/format.h>
#include <mysql.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "oceanbase/session.h"
#include "sql/mysql/slow_machine.h"

namespace hf::oceanbase {
namespace {

constexpr const char *kUser = "app", *kTenant = "shop", *kCluster = "c1", *kPassword = "secret";

int connect_upstream(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return -1;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

}  // namespace

Result<std::unique_ptr<Stub>> Stub::start(StubOptions options) {
  std::unique_ptr<Stub> stub(new Stub(std::move(options)));
  HF_TRY(stub->make_accounts());
  HF_TRY(stub->listen());
  return stub;
}

/// MariaDB takes the whole login name as a user's name, so it is MariaDB that checks it, and the password.
Result<void> Stub::make_accounts() {
  MYSQL* connection = ::mysql_init(nullptr);
  bool good = ::mysql_real_connect(connection, "localhost", "root", nullptr, nullptr, 0,
                                   options_.upstream_socket.c_str(), 0) != nullptr;
  for (const std::string& name :
       {fmt::format("{}@{}", kUser, kTenant), fmt::format("{}@{}#{}", kUser, kTenant, kCluster)}) {
    const std::string create =
        fmt::format("CREATE USER IF NOT EXISTS '{}'@'localhost' IDENTIFIED BY '{}'", name, kPassword);
    const std::string grant = fmt::format("GRANT ALL ON *.* TO '{}'@'localhost'", name);
    good = good && ::mysql_query(connection, create.c_str()) == 0 && ::mysql_query(connection, grant.c_str()) == 0;
  }
  const std::string problem = ::mysql_error(connection);
  ::mysql_close(connection);
  if (!good) return Error{Code::unavailable, "the server behind the stub: " + problem};
  return ok();
}

Result<void> Stub::listen() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  const bool good = listener_ >= 0 && ::bind(listener_, generic, size) == 0 && ::listen(listener_, 128) == 0 &&
                    ::getsockname(listener_, generic, &size) == 0;
  if (!good) return Error{Code::unavailable, "no port for the stub"};
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_sessions(); });
  return ok();
}

Stub::~Stub() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int fd : descriptors_) ::shutdown(fd, SHUT_RDWR);
  }
  changed_.notify_all();
  if (listener_ >= 0) ::shutdown(listener_, SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  for (std::thread& session : sessions_) session.join();
  if (listener_ >= 0) ::close(listener_);
}

void Stub::accept_sessions() {
  while (true) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int on = 1;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const int upstream = connect_upstream(options_.upstream_socket);
    const std::lock_guard lock(mutex_);
    if (upstream < 0 || stopping_) {
      ::close(client);
      if (upstream >= 0) ::close(upstream);
      continue;
    }
    ++opened_;
    descriptors_.insert({client, upstream});
    sessions_.emplace_back([this, client, upstream] { serve(client, upstream); });
  }
}

void Stub::serve(int client, int upstream) {
  Session(*this, client, upstream).run();
  const std::lock_guard lock(mutex_);
  for (const int fd : {client, upstream}) {
    descriptors_.erase(fd);
    ::close(fd);
  }
}

std::string Stub::url(const std::string& database, const std::string& more_options) const {
  const std::string cluster = options_.is_proxy ? fmt::format("%23{}", kCluster) : "";
  return fmt::format("mysql://{}%40{}{}:{}@127.0.0.1:{}/{}?create=1&{}", kUser, kTenant, cluster, kPassword, port_,
                     database, sql::mysql::patient(more_options));
}

void Stub::play(Fault fault) {
  const std::lock_guard lock(mutex_);
  std::regex statement(fault.statement, std::regex::icase);
  plan_.push_back({.fault = std::move(fault), .statement = std::move(statement)});
}

int Stub::played() const {
  const std::lock_guard lock(mutex_);
  return played_;
}

std::optional<Stub::Met> Stub::fault_for(const std::string& statement) {
  const std::lock_guard lock(mutex_);
  for (Planned& planned : plan_) {
    const Fault& fault = planned.fault;
    if (!std::regex_search(statement, planned.statement)) continue;
    const int nth = planned.seen++;
    if (nth < fault.skip || nth >= fault.skip + fault.times) continue;
    ++played_;
    if (fault.effect == Effect::executed_on_release) ++held_;
    return Met{fault, releases_};
  }
  return std::nullopt;
}

bool Stub::wait_for_release(int releases_before) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || releases_ != releases_before; });
  return !stopping_;
}

void Stub::released_one() {
  {
    const std::lock_guard lock(mutex_);
    --held_;
  }
  changed_.notify_all();
}

void Stub::release() {
  std::unique_lock lock(mutex_);
  ++releases_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return held_ == 0; });
}

void Stub::cut_sessions() {
  const std::lock_guard lock(mutex_);
  for (const int fd : descriptors_) ::shutdown(fd, SHUT_RDWR);
}

bool Stub::wait_for_statement(const std::string& pattern) {
  const std::regex regex(pattern, std::regex::icase);
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
    return std::ranges::any_of(received_, [&](const std::string& text) { return std::regex_search(text, regex); });
  });
}

std::vector<std::string> Stub::logins() const {
  const std::lock_guard lock(mutex_);
  return logins_;
}
int Stub::sessions_opened() const {
  const std::lock_guard lock(mutex_);
  return opened_;
}
std::vector<std::string> Stub::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}
void Stub::note_login(const std::string& user) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(logins_, user) == logins_.end()) logins_.push_back(user);
}
void Stub::note_received(const std::string& statement) {
  {
    const std::lock_guard lock(mutex_);
    received_.push_back(statement);
  }
  changed_.notify_all();
}
void Stub::note_violation(std::string what) {
  const std::lock_guard lock(mutex_);
  violations_.push_back(std::move(what));
}

}  // namespace hf::oceanbase
