#pragma once

/// A MariaDB server of our own on this machine: private data folder and socket, binary log on, made on first use.
/// For `--store mariadb` and for tests; not for production, where the server is somebody's care.

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace hf::sql::mysql {

struct LocalServerOptions {
  std::string folder;           ///< data/, log, socket (in /tmp where the path is too long); made if absent, kept
  bool binary_log = true;       ///< with sync_binlog=1
  int flush_log_at_commit = 1;  ///< innodb_flush_log_at_trx_commit; anything else is refused by our participants
  bool tcp = false;             ///< also on a free loopback port
  std::vector<std::string> more = {};  ///< further mariadbd options, last wins
};

/// Blocks; call it at start or on a worker. The child dies with us (the kernel kills it) and is only ever stopped by
/// its own id. Any thread. User `root` has no password: only who may enter the folder (mode 0700) reaches the socket;
/// over TCP he is let in only from this machine, so `tcp` is for tests.
class LocalServer {
 public:
  /// Returns when it accepts connections. Errors: invalid (no mariadbd on this machine: the text names the package) ·
  /// unavailable (it ended: the text has the end of its log) · denied (folder).
  static Result<std::unique_ptr<LocalServer>> start(LocalServerOptions options);
  ~LocalServer();  ///< kill_now()
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  /// "mysql://root@localhost/<database>?socket=…&create=1": the database is created by sql::open if absent.
  /// `more_options`: "writers=2&readers=1".
  std::string url(const std::string& database, const std::string& more_options = "") const;
  const std::string& socket() const { return socket_; }
  std::uint16_t port() const { return port_; }  ///< 0 without `tcp`
  pid_t pid() const;                            ///< -1 when it does not run
  bool running() const { return pid() > 0; }

  void wait_until_gone() const;  ///< however it ends; a thread of its own may wait here

  void kill_now();             ///< kill -9, and waits until it is gone
  void shut_down();            ///< SIGTERM, and waits; kill -9 after a minute
  Result<void> start_again();  ///< after one of these, on the same folder, socket and port

 private:
  explicit LocalServer(LocalServerOptions options);
  std::string temporary_folder() const;
  Result<void> make_folder();
  Result<void> install();
  std::vector<std::string> command() const;
  Result<void> launch();
  Result<void> wait_until_ready();
  bool accepts() const;
  std::string end_of_log() const;
  /// Starts `command` and waits for its end, so that the child's parent thread (for PR_SET_PDEATHSIG, the parent is a
  /// thread) lives exactly as long as the child.
  void keep(const std::vector<std::string>& command);
  void stop(int signal);

  const LocalServerOptions options_;
  std::string socket_, socket_folder_;  ///< a folder in /tmp of our own, where the data folder's path is too long
  std::uint16_t port_ = 0;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  pid_t pid_ = -1;       ///< set and reset by the keeper; while it is set, the id is ours: not yet reaped
  bool forked_ = false;  ///< the keeper has tried
  std::thread keeper_;
};

}  // namespace hf::sql::mysql
