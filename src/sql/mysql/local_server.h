#pragma once

/// A MariaDB server of our own on this machine: private data folder and socket, binary log on, made on first use.
/// For `--store mariadb` and for tests; not for production, where the server is somebody's care.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace hf::sql::mysql {

struct LocalServerOptions {
  std::string folder;             ///< data, socket, log; created if absent, kept between starts
  bool binary_log = true;         ///< with sync_binlog=1
  int flush_log_at_commit = 1;    ///< innodb_flush_log_at_trx_commit; anything else is refused by our participants
  bool tcp = false;               ///< also on a free loopback port
  std::vector<std::string> more;  ///< further mariadbd options, last wins
};

/// Blocks; call it at start or on a worker. The child dies with us (the kernel kills it) and is only ever stopped by
/// its own id.
class LocalServer {
 public:
  /// Returns when it accepts connections. Errors: invalid (no mariadbd on this machine: the text names the package) ·
  /// unavailable (it ended: the text has the end of its log) · denied (folder).
  static Result<std::unique_ptr<LocalServer>> start(LocalServerOptions options);
  ~LocalServer();  ///< kill_now()
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  /// "mysql://root@localhost/<database>?socket=…": the database is created by sql::open if absent (`create=1`).
  std::string url(const std::string& database, const std::string& more_options = "") const;
  const std::string& socket() const { return socket_; }
  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }

  void kill_now();             ///< kill -9, and waits until it is gone
  void shut_down();            ///< SIGTERM, and waits
  Result<void> start_again();  ///< after one of these, on the same folder, socket and port

 private:
  LocalServer() = default;
  LocalServerOptions options_;
  std::string socket_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace hf::sql::mysql
