#include "sql/mysql/connector.h"

namespace hf::sql::mysql {
namespace {

constexpr Duration kFirstPause = 50ms, kLongestPause = 2s;
/// Proxies and servers close idle sessions after hours; a proxy's memory of a long one grows.
constexpr Duration kConnectionLife = 50min;

Duration pause_after(int failures, sys::Random& random) {
  const Duration most = std::min<Duration>(kLongestPause, kFirstPause * (1 << std::min(failures, 10)));
  return most / 2 + Duration(random.below(static_cast<std::uint64_t>(most.count()) / 2));  // not all at once
}

}  // namespace

Result<std::unique_ptr<Connection>> Connector::connect(Purpose purpose) {
  {
    const std::lock_guard lock(mutex_);
    if (refused_ && world_.clock.now() < ask_again_) return *refused_;
  }
  return connect_now(purpose);
}

Result<std::unique_ptr<Connection>> Connector::connect_now(Purpose purpose) {
  Result<std::unique_ptr<Connection>> connection = Connection::open(settings_, purpose);
  const std::lock_guard lock(mutex_);
  if (connection) {
    (*connection)->set_opened_at(world_.clock.now());
    failures_ = 0;
    refused_.reset();
  } else if (connection.error().code == Code::unavailable || connection.error().code == Code::exhausted) {
    ask_again_ = world_.clock.now() + pause_after(failures_++, world_.random);
    refused_ = connection.error();
  }
  return connection;
}

Result<std::unique_ptr<Connection>> Pool::take() {
  std::unique_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (connection && world_.clock.now() < connection->opened_at() + kConnectionLife) return connection;
  return connector_.connect(purpose_);
}

void Pool::give(std::unique_ptr<Connection> connection) {
  if (!connection->usable()) return;
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(connection));
}

void Pool::clear() {
  std::vector<std::unique_ptr<Connection>> closed;
  const std::lock_guard lock(mutex_);
  closed.swap(idle_);
}

}  // namespace hf::sql::mysql
