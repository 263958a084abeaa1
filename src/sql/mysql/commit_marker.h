#pragma once

/// What tells how a COMMIT ended whose answer was lost.
///
/// Each batch inserts a row of its own, with an id made here, as its first statement. Whoever did not hear the answer
/// inserts the same id with 'R' (the tombstone), on a new connection: if that succeeds, the batch was rolled back, and
/// cannot commit any more, for its own row would now be a duplicate; if the id exists, its outcome tells. A plain read
/// would not do: it sees nothing of a batch that is still about to commit (measured; docs/formats/sql.md).

#include <mutex>
#include <set>
#include <string>

#include "sql/mysql/connection.h"

namespace hf::sql::mysql {

/// hf_commit_marker(batch_id, outcome 'C' or 'R', created_us), by the server's clock. On autocommit.
Result<void> make_marker_table(Connection& connection);
/// Removes what processes that are gone left behind a day ago: a few rows each.
Result<void> clean_old_markers(Connection& connection);

enum class Ending : std::uint8_t { committed, rolled_back, unknown };
std::string_view to_string(Ending ending);
/// One try, on a connection that is not in a transaction; it waits for the batch at most the session's lock wait.
/// `unknown`: the batch is still open on the server, or this connection was lost as well. Ask again.
Ending look_for(Connection& connection, const std::string& batch_id);

/// Ids of this process's batches, and which of their markers nobody needs any more. A settled batch needs none: its
/// callers know. So the table stays at about a hundred rows however much is written. Any thread.
class MarkerLedger {
 public:
  explicit MarkerLedger(sys::Random& random);

  struct Batch {
    std::string id;
    std::string sql;  ///< starts the transaction and writes the marker; now and then also deletes settled ones
    std::uint64_t number, cleans_to;  ///< 0: it cleans nothing
    std::string prefix;
  };
  Batch begin();
  void committed(const Batch& batch);
  void rolled_back(const Batch& batch);
  /// Its marker stays (for a day), for whoever asks later.
  void unknown(const Batch& batch);

 private:
  void start_anew();
  void settle(const Batch& batch);
  std::string id_of(std::uint64_t number) const;

  sys::Random& random_;
  std::mutex mutex_;
  std::string prefix_;
  std::uint64_t next_ = 1, cleaned_to_ = 0;
  bool cleaning_ = false;  ///< one batch at a time: two would wait for each other's rows
  std::set<std::uint64_t> open_;
};

}  // namespace hf::sql::mysql
