#pragma once

/// Two sessions of a database, so that a probe can interleave their transactions statement by statement and see which
/// of the classical anomalies (dirty read, non-repeatable read, phantom, lost update, write skew) its level allows.

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>

namespace hf::anomalies {

struct Answer {
  int error = 0;           ///< the database's own number; 0: done
  std::int64_t value = 0;  ///< of the first column of the first row, if there is one
};

/// A session whose statements may have to wait for the other's locks.
class Session {
 public:
  virtual ~Session() = default;
  /// One at a time.
  virtual std::future<Answer> start(std::string sql) = 0;
  /// What was started waits for a lock.
  virtual bool waits() = 0;

  /// Runs it; if it has to wait, returns while it does: `pending` is then its answer to come.
  std::optional<Answer> step(const std::string& sql);
  /// The answer of the step that had to wait. The other session has released what it waited for.
  Answer finish() { return pending_.get(); }
  /// Runs what cannot wait.
  Answer run(const std::string& sql) { return start(sql).get(); }

 private:
  std::future<Answer> pending_;
};

enum class Level : std::uint8_t { read_uncommitted, read_committed, repeatable_read, serializable };
std::string to_string(Level level);

class Lab {
 public:
  virtual ~Lab() = default;
  /// A new session that was told what Holdfast tells its own. `read_uncommitted`, which it refuses, only to show that a
  /// probe would notice.
  virtual std::unique_ptr<Session> session(Level level) = 0;
  /// "1213 deadlock" for a number that means: roll back, and run the transaction again. Empty for another.
  virtual std::string conflict(int error) const = 0;
  virtual std::string begin() const = 0;
};

/// On a MariaDB of its own in `folder`; nullptr and a message if it does not start.
std::unique_ptr<Lab> mariadb_lab(const std::string& folder, std::string& problem);
/// Two connections to one file, WAL, as sql/sqlite opens it. It has one level: serializable.
std::unique_ptr<Lab> sqlite_lab(const std::string& folder);

}  // namespace hf::anomalies
