#pragma once

/// A MySQL-protocol server behind sql::Database: writers with group commit, readers with snapshots.

#include "sql/mysql/batch_writer.h"
#include "sql/mysql/xa.h"

namespace hf::sql::mysql {

/// Threads: callers on any strand; a connection belongs to the job that took it from its pool.
///
/// Any number of processes may write: what one of them may assume of a row, it says in the statement (a guarded UPDATE,
/// a unique key). With `writers` = 1 the units of one process see each other's effects in order, as on SQLite.
class MysqlDatabase final : public Database {
 public:
  /// Connects once, so that a wrong URL, password or server is an error here.
  static Result<std::unique_ptr<Database>> open(sys::World world, Settings settings);
  ~MysqlDatabase() override;

  /// Made on first use, on the caller's strand; nullptr on OceanBase and for reading only.
  XaResource* xa() override;
  Task<> migrate(std::string component, std::vector<Migration> migrations) override;
  asio::awaitable<void> close() override;
  const std::string& url() const override { return url_; }

 protected:
  Task<> write_erased(std::function<Result<void>(Transaction&)> work) override;
  Task<> read_erased(std::function<Result<void>(Reader&)> work) override;

 private:
  MysqlDatabase(sys::World world, Settings settings);
  Result<void> connect();
  Result<void> log_xa_support();
  void run_read_batch(std::span<Unit* const> batch);
  /// Runs units from the first on, in one snapshot; returns those that did not come to run. Error: no snapshot.
  Result<std::span<Unit* const>> read_units(Connection& connection, std::span<Unit* const> units);

  sys::World world_;
  const Settings settings_;
  const std::string url_;
  Connector connector_;
  BatchWriter writer_;
  Pool readers_;
  metrics::Counter& reads_;
  Flavour flavour_ = Flavour::mysql;
  std::unique_ptr<MysqlXa> xa_;

  // Destroyed first, in this order: the workers finish what is queued.
  std::unique_ptr<sys::Worker> write_worker_, read_worker_;
  std::unique_ptr<BatchQueue> writes_, reads_queue_;
};

}  // namespace hf::sql::mysql
