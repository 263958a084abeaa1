#pragma once

/// SQLite behind sql::Database: one writer thread with group commit, readers on connections of their own.

#include "sql/batch_queue.h"
#include "sql/sqlite/connection.h"
#include "sql/sqlite/world_vfs.h"

namespace hf::sql::sqlite {

struct Options {
  std::string path;
  Access access = Access::write;
  std::size_t readers = 2;
};

/// Threads: callers on any strand; the writer connection belongs to the writer thread, each reading connection to the
/// job that holds it.
///
/// One process at a time writes: `path`.lock is held, so that a second one gets `conflict` instead of waiting for locks
/// it cannot reason about. Access::read takes no lock: for a second process that only looks (reconcile).
class SqliteDatabase final : public Database {
 public:
  static Result<std::unique_ptr<Database>> open(sys::World world, Options options);
  ~SqliteDatabase() override;

  Task<> migrate(std::string component, std::vector<Migration> migrations) override;
  asio::awaitable<void> close() override;
  const std::string& url() const override { return url_; }
  std::string_view sole_opening() const override { return opening_; }

 protected:
  Task<> write_erased(std::function<Result<void>(Transaction&)> work) override;
  Task<> read_erased(std::function<Result<void>(Reader&)> work) override;

 private:
  SqliteDatabase(sys::World world, Options options);
  Result<void> connect();
  Result<std::unique_ptr<Connection>> open_connection(Access access);

  void run_write_batch(std::span<Unit* const> batch);
  /// The error that voided the whole batch, if any; each unit's own result is in the unit.
  Result<void> write_units(std::span<Unit* const> batch);
  Result<void> write_unit(Unit& unit);
  Result<void> commit();
  void checkpoint();

  void run_read_batch(std::span<Unit* const> batch);
  Result<std::unique_ptr<Connection>> take_reader();
  void give_reader(std::unique_ptr<Connection> reader);

  sys::World world_;
  const Options options_;
  const std::string url_;
  std::unique_ptr<sys::DirLock> lock_;
  std::string opening_;  ///< with the lock; empty without

  std::unique_ptr<WorldVfs> vfs_;  ///< only where the world's files are not the operating system's
  std::unique_ptr<Connection> writer_;
  std::optional<Error> refuses_writes_;  ///< writer thread only
  std::mutex readers_mutex_;
  std::vector<std::unique_ptr<Connection>> readers_;

  metrics::Counter& units_done_;
  metrics::Counter& units_failed_;
  metrics::Counter& commits_done_;
  metrics::Counter& commits_failed_;
  metrics::Counter& reads_;
  metrics::Histogram& commit_seconds_;

  // Destroyed first, in this order: the workers finish what is queued.
  std::unique_ptr<sys::Worker> write_worker_, read_worker_;
  std::unique_ptr<BatchQueue> writes_, reads_queue_;
};

}  // namespace hf::sql::sqlite
