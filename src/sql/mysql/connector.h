#pragma once

/// New connections, with a back-off while the server is away, and a pool of idle ones.

#include <mutex>
#include <vector>

#include "sql/mysql/connection.h"

namespace hf::sql::mysql {

/// Any thread.
class Connector {
 public:
  Connector(sys::World& world, const Settings& settings) : world_(world), settings_(settings) {}

  /// While the server is away, only every so often (50 ms, doubling to 2 s) is it really asked; in between, callers get
  /// the latest error at once: nobody hangs on a server that is known to be gone.
  Result<std::unique_ptr<Connection>> connect(Purpose purpose);
  /// Asks it now, whatever was before: for who has to know.
  Result<std::unique_ptr<Connection>> connect_now(Purpose purpose);

 private:
  sys::World& world_;
  const Settings& settings_;
  std::mutex mutex_;
  int failures_ = 0;
  Monotonic ask_again_{};
  std::optional<Error> refused_;
};

/// Any thread.
class Pool {
 public:
  Pool(sys::World& world, Connector& connector, Purpose purpose)
      : world_(world), connector_(connector), purpose_(purpose) {}

  Result<std::unique_ptr<Connection>> take();
  /// Keeps it, unless it is of no more use.
  void give(std::unique_ptr<Connection> connection);
  /// Closes the idle ones: after one was lost, the others probably are, too.
  void clear();

 private:
  sys::World& world_;
  Connector& connector_;
  const Purpose purpose_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace hf::sql::mysql
