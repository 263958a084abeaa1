#include "sql/mysql/commit_marker.h"

namespace hf::sql::mysql {
namespace {

/// So many settled markers are deleted at once, in the transaction of some batch.
constexpr std::uint64_t kCleanEvery = 64;

}  // namespace

Result<void> make_marker_table(Connection& connection) {
  return connection.control(
      fmt::format("CREATE TABLE IF NOT EXISTS hf_commit_marker (batch_id VARCHAR(40) NOT NULL "
                  "PRIMARY KEY, outcome CHAR(1) NOT NULL, created_us BIGINT NOT NULL) "
                  "DEFAULT CHARACTER SET utf8mb4 COLLATE {}",
                  collation(connection.flavour())));
}

Result<void> clean_old_markers(Connection& connection) {
  return connection.control(
      "DELETE FROM hf_commit_marker WHERE created_us < (UNIX_TIMESTAMP() - 86400) * 1000000 LIMIT 1000");
}

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::committed:
      return "committed";
    case Ending::rolled_back:
      return "rolled_back";
    case Ending::unknown:
      return "unknown";
  }
  HF_ASSERT(false);
}

Ending look_for(Connection& connection, const std::string& batch_id) {
  constexpr unsigned kDuplicateKey = 1062;
  const Result<void> buried = connection.control(
      fmt::format("INSERT INTO hf_commit_marker VALUES ('{}', 'R', UNIX_TIMESTAMP() * 1000000)", batch_id),
      Phase::commit);
  if (buried) return Ending::rolled_back;
  if (connection.last_failure()->number != kDuplicateKey) return Ending::unknown;
  // Seen is not yet durable (Connection::shows_commits_early). This commit is behind it in the same log.
  const Result<void> flushed = connection.control(
      fmt::format("UPDATE hf_commit_marker SET created_us = created_us + 1 WHERE batch_id = '{}'", batch_id));
  if (!flushed) return Ending::unknown;
  const Result<Rows> found =
      connection.control_query(fmt::format("SELECT outcome FROM hf_commit_marker WHERE batch_id = '{}'", batch_id));
  if (!found || found->empty()) return Ending::unknown;
  return found->front().text(0) == "C" ? Ending::committed : Ending::rolled_back;
}

MarkerLedger::MarkerLedger(sys::Random& random) : random_(random) { start_anew(); }

void MarkerLedger::start_anew() {
  prefix_ = random_.hex(12);
  next_ = 1;
  cleaned_to_ = 0;
  cleaning_ = false;
  open_.clear();
}

std::string MarkerLedger::id_of(std::uint64_t number) const { return fmt::format("{}-{:012x}", prefix_, number); }

MarkerLedger::Batch MarkerLedger::begin() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = next_++;
  const std::uint64_t settled_to = open_.empty() ? number - 1 : *open_.begin() - 1;
  open_.insert(number);
  Batch batch{id_of(number), {}, number, 0, prefix_};
  batch.sql = fmt::format(
      "START TRANSACTION; INSERT INTO hf_commit_marker VALUES ('{}', 'C', UNIX_TIMESTAMP() * 1000000)", batch.id);
  if (!cleaning_ && settled_to >= cleaned_to_ + kCleanEvery) {
    cleaning_ = true;
    batch.cleans_to = settled_to;
    batch.sql += fmt::format("; DELETE FROM hf_commit_marker WHERE batch_id BETWEEN '{}' AND '{}'",
                             id_of(cleaned_to_ + 1), id_of(settled_to));
  }
  return batch;
}

void MarkerLedger::committed(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  if (batch.prefix == prefix_) cleaned_to_ = std::max(cleaned_to_, batch.cleans_to);
  settle(batch);
}

void MarkerLedger::rolled_back(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  settle(batch);
}

void MarkerLedger::settle(const Batch& batch) {
  if (batch.prefix != prefix_) return;
  open_.erase(batch.number);
  if (batch.cleans_to > 0) cleaning_ = false;
}

void MarkerLedger::unknown(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  if (batch.prefix == prefix_) start_anew();
}

}  // namespace hf::sql::mysql
