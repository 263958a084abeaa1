#pragma once

/// One connection to a MySQL-protocol server: statements prepared once and kept, values typed, errors classified, and a
/// latch that ends a transaction which the server may have ended already.
/// This folder alone includes mysql.h.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sql/database.h"
#include "sql/mysql/classify.h"
#include "sql/mysql/settings.h"

struct st_mysql;
struct st_mysql_res;
struct st_mysql_stmt;

namespace hf::sql::mysql {

/// What a connection is for.
enum class Purpose : std::uint8_t {
  write,    ///< batches of units, XA branches
  read,     ///< snapshots: REPEATABLE READ, so that all statements of a transaction see one state
  schema,   ///< migrations: statements may take an hour
  resolve,  ///< looks for the end of a lost COMMIT
};

/// Process-wide settings of the library; before anything else of it is called. Any number of times, any thread.
void set_up_library();

/// Used by one thread at a time.
///
/// The latch: after a deadlock or a lost transaction, the server would run the next statement on its own and commit it
/// at once. So after an error that ends a transaction, or may have, every statement gets that error until begin().
class Connection final : public Transaction {
 public:
  struct Failure {
    Verdict verdict;
    Error error;
    unsigned number;
  };

  /// Connects, logs in, sends the session's settings. Errors: unavailable (not reached, not ready) · denied (login) ·
  /// invalid (settings; a server that does not keep what it acknowledged) · not_found (the database).
  static Result<std::unique_ptr<Connection>> open(const Settings& settings, Purpose purpose);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<Rows> query(std::string_view sql, Params params = {}) override;
  Result<std::vector<std::string>> columns(std::string_view sql) override;
  Result<std::int64_t> execute(std::string_view sql, Params params = {}) override;
  Result<bool> insert_if_absent(std::string_view sql, Params params = {}) override;

  /// Begins anew: `sql` starts a transaction (and may do more). Forgets the latch and the counts.
  Result<void> begin(std::string_view sql, Phase phase = Phase::statement);
  /// Statements of the driver, not of units: transaction control, DDL. Several, separated by ';', go in one round trip;
  /// the first error ends them. Results are thrown away.
  Result<void> control(std::string_view sql, Phase phase = Phase::statement);
  /// Rows of a driver's statement, as texts.
  Result<Rows> control_query(std::string_view sql, Phase phase = Phase::statement);

  enum class Latch : std::uint8_t {
    lost_transaction,  ///< errors after which there is no transaction, or may be none
    every_failure,     ///< any failed statement: an XA branch with a failed statement is never prepared
  };
  void set_latch(Latch latch) { latch_ = latch; }
  /// The error that ended the transaction, once there was one.
  const std::optional<Failure>& broken() const { return broken_; }
  /// The latest error of any statement.
  const std::optional<Failure>& last_failure() const { return last_failure_; }
  /// Rows inserted, updated, deleted since begin().
  std::int64_t rows_changed() const { return rows_changed_; }
  /// False: the session is gone or in doubt; only to be destroyed.
  bool usable() const { return usable_; }
  void abandon() { usable_ = false; }

  Flavour flavour() const { return flavour_; }
  /// InnoDB alone releases a commit's locks, and shows it to others, before it waits for its log. With a binary log the
  /// commit is on the disk before that: recovery finds it there. Known of connections that write.
  bool shows_commits_early() const { return shows_commits_early_; }
  Monotonic opened_at() const { return opened_at_; }
  void set_opened_at(Monotonic at) { opened_at_ = at; }

 private:
  Connection() = default;
  Result<void> connect(const Settings& settings, Purpose purpose);
  Result<void> set_up_session(const Settings& settings, Purpose purpose);
  Result<void> check_durability();
  Result<void> choose_database(const Settings& settings);
  Result<st_mysql_stmt*> prepare(std::string_view sql);
  Result<st_mysql_stmt*> run(std::string_view sql, const Params& params);
  std::int64_t count_changes(st_mysql_stmt* statement);
  static void append(Rows& rows, st_mysql_res* result);
  void forget_statements();

  Error failure_of(Phase phase, std::string_view sql);
  Error failure_of(st_mysql_stmt* statement, std::string_view sql);
  Error failure(Phase phase, const ServerError& server, std::string_view sql);
  Error our_fault(std::string message);  ///< before the server was asked
  void remember(Failure failure);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  st_mysql* mysql_ = nullptr;
  std::string url_;
  Flavour flavour_ = Flavour::mysql;
  Latch latch_ = Latch::lost_transaction;
  bool usable_ = true;
  bool shows_commits_early_ = false;
  unsigned expects_ = 0;  ///< an error that is an answer: does not latch
  std::unordered_map<std::string, st_mysql_stmt*, Hash, std::equal_to<>> statements_;
  std::optional<Failure> broken_, last_failure_;
  std::int64_t rows_changed_ = 0;
  Monotonic opened_at_{};
};

}  // namespace hf::sql::mysql
