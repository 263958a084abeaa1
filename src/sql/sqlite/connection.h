#pragma once

/// One SQLite connection: statements prepared once and kept, errors as classes a caller can act on.
/// This folder alone includes sqlite3.h.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sql/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hf::sql::sqlite {

/// Process-wide settings of the library; before anything else of it is called. Any number of times.
void set_up_library();

enum class Access {
  write,  ///< creates the file if absent
  read,   ///< statements that write are `denied`
};

/// Used by one thread at a time (SQLite is opened without its own mutexes). Destroy it only outside a statement.
class Connection final : public Transaction {
 public:
  /// `vfs`: the name of a registered SQLite VFS, or nullptr for the operating system's.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, Access access, const char* vfs);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<Rows> query(std::string_view sql, Params params = {}) override;
  Result<std::vector<std::string>> columns(std::string_view sql) override;
  Result<std::int64_t> execute(std::string_view sql, Params params = {}) override;
  Result<bool> insert_if_absent(std::string_view sql, Params params = {}) override;

  /// False after SQLite itself rolled the whole transaction back (disk full, I/O error).
  bool in_transaction() const;
  /// The error that forbids further writing (classify.h), once there was one.
  const std::optional<Error>& fatal() const { return fatal_; }
  /// The latest error of any statement.
  const std::optional<Error>& last_error() const { return last_error_; }

  /// Frames in the WAL file after the latest commit of this connection.
  int wal_frames() const { return wal_frames_; }
  enum class Checkpoint {
    passive,   ///< copies what no reader still needs; never waits
    restart,   ///< waits for readers (busy timeout), so that the WAL is reused from its start
    truncate,  ///< the same, and cuts the file to nothing: at close
  };
  /// `unavailable`: readers were in the way; harmless, repeat later.
  Result<void> checkpoint(Checkpoint mode);

 private:
  explicit Connection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  Result<void> configure(Access access);
  Result<sqlite3_stmt*> prepare(std::string_view sql);
  Result<void> bind(sqlite3_stmt* statement, const Params& params);
  /// Steps to the end; rows into `rows` if given.
  Result<void> run(std::string_view sql, const Params& params, Rows* rows);
  Error failure(int extended_code, std::string_view sql);
  void forget_statements();

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  sqlite3* db_;
  std::string path_;
  std::unordered_map<std::string, sqlite3_stmt*, Hash, std::equal_to<>> statements_;
  std::optional<Error> fatal_, last_error_;
  int wal_frames_ = 0;
};

}  // namespace hf::sql::sqlite
