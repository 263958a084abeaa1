#include "sql/sqlite/database.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "base/log.h"
#include "sql/migrate.h"
#include "sql/statement_points.h"

namespace hf::sql::sqlite {
namespace {

/// Pages of 4 KiB in the WAL. At the first mark they are copied into the file beside readers (16 MiB: recovery reads it
/// in ten milliseconds; smaller, and the checkpoint's own syncs show in the latency); at the second, readers have kept
/// the WAL from starting anew for so long that they are waited for.
constexpr int kCheckpointFrames = 4000;
constexpr int kRestartFrames = 32'000;

/// Reads share a snapshot up to this many: a BEGIN and its locks cost more than a point read.
constexpr std::size_t kReadBatchMax = 16;

std::string base_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

void fail_all(std::span<Unit* const> batch, const Error& error) {
  for (Unit* unit : batch) unit->result = error;
}

}  // namespace

Result<std::unique_ptr<Database>> SqliteDatabase::open(sys::World world, Options options) {
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(std::move(world), std::move(options)));
  if (Result<void> connected = database->connect(); !connected) {
    return connected.error().with_context("opening " + database->url_);
  }
  return std::unique_ptr<Database>(std::move(database));
}

SqliteDatabase::SqliteDatabase(sys::World world, Options options)
    : world_(std::move(world)),
      options_(std::move(options)),
      url_("sqlite:" + options_.path),
      units_done_(world_.metrics.counter("holdfast_sql_units_total", "Units of work, by how they ended",
                                         {{"database", base_name(options_.path)}, {"outcome", "committed"}})),
      units_failed_(world_.metrics.counter("holdfast_sql_units_total", "Units of work, by how they ended",
                                           {{"database", base_name(options_.path)}, {"outcome", "failed"}})),
      commits_done_(world_.metrics.counter("holdfast_sql_commits_total", "Commits of whole batches",
                                           {{"database", base_name(options_.path)}, {"outcome", "done"}})),
      commits_failed_(world_.metrics.counter("holdfast_sql_commits_total", "Commits of whole batches",
                                             {{"database", base_name(options_.path)}, {"outcome", "failed"}})),
      reads_(
          world_.metrics.counter("holdfast_sql_reads_total", "Read units", {{"database", base_name(options_.path)}})),
      commit_seconds_(world_.metrics.histogram("holdfast_sql_commit_seconds",
                                               "From BEGIN to durable, one batch of units",
                                               {{"database", base_name(options_.path)}})) {}

SqliteDatabase::~SqliteDatabase() {
  if (writes_) writes_->stop();
  if (reads_queue_) reads_queue_->stop();
  write_worker_.reset();
  read_worker_.reset();
}

Result<void> SqliteDatabase::connect() {
  set_up_library();
  if (dynamic_cast<sys::RealFileSystem*>(&world_.files) == nullptr) vfs_ = std::make_unique<WorldVfs>(world_);
  if (options_.access == Access::write) {
    const std::string dir = std::filesystem::path(options_.path).parent_path().string();
    if (!dir.empty()) HF_TRY(world_.files.make_dirs(dir));
    Result<std::unique_ptr<sys::DirLock>> lock = world_.files.lock(options_.path + ".lock");
    if (!lock && lock.error().code == Code::conflict) {
      return Error{Code::conflict,
                   "another process has it open (it holds " + options_.path + ".lock); one process at a time writes"};
    }
    if (!lock) return std::move(lock).error();
    lock_ = std::move(*lock);
    opening_ = world_.random.hex(4);
    if (vfs_) vfs_->begin(options_.path);
    HF_TRY(writer_, open_connection(Access::write));
  }
  HF_TRY(std::unique_ptr<Connection> first, take_reader());
  give_reader(std::move(first));

  write_worker_ = world_.make_worker("sql-write", 1);
  read_worker_ = world_.make_worker("sql-read", options_.readers);
  const BatchQueue::Options writes{};
  BatchQueue::Options reads;
  reads.batch_max = kReadBatchMax;
  reads.jobs_max = options_.readers;
  writes_ = std::make_unique<BatchQueue>(*write_worker_, writes, [this](auto batch) { run_write_batch(batch); });
  reads_queue_ = std::make_unique<BatchQueue>(*read_worker_, reads, [this](auto batch) { run_read_batch(batch); });
  return ok();
}

Result<std::unique_ptr<Connection>> SqliteDatabase::open_connection(Access access) {
  return Connection::open(options_.path, access, vfs_ ? vfs_->name() : nullptr);
}

Task<> SqliteDatabase::migrate(std::string component, std::vector<Migration> migrations) {
  check_order(migrations);
  const WallTime now = world_.clock.wall();
  std::function<Result<void>(Transaction&)> apply = [&](Transaction& tx) {
    return apply_missing(tx, component, migrations, now);
  };
  co_return co_await write_erased(std::move(apply));
}

Task<> SqliteDatabase::write_erased(std::function<Result<void>(Transaction&)> work) {
  return writes_->run(std::move(work));
}

Task<> SqliteDatabase::read_erased(std::function<Result<void>(Reader&)> work) {
  return reads_queue_->run(std::move(work));
}

asio::awaitable<void> SqliteDatabase::close() {
  writes_->stop();
  reads_queue_->stop();
  // Whatever waits has its job queued on the worker: one more job behind it is the end of all. Reading jobs run side by
  // side, so the last of them are joined with their threads.
  std::function<Result<void>()> nothing = [] { return ok(); };
  (void)co_await write_worker_->run<void>(nothing);
  (void)co_await read_worker_->run<void>(nothing);
  write_worker_.reset();
  read_worker_.reset();  // joins the batches that still run
  readers_.clear();
  if (writer_ && !refuses_writes_) {
    if (Result<void> done = writer_->checkpoint(Connection::Checkpoint::truncate); !done) {
      log::warn("sql.close.checkpoint_failed", {{"database", url_}, {"error", done.error().message}});
    }
  }
  writer_.reset();
  lock_.reset();
  // The completions of the last batches were posted before this: after it, all have run and nobody refers to us.
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

// ---- writing -------------------------------------------------------------------------------------------------------

void SqliteDatabase::run_write_batch(std::span<Unit* const> batch) {
  const Monotonic start = world_.clock.now();
  if (Result<void> written = write_units(batch); !written) {
    fail_all(batch, written.error());
    commits_failed_.add();
    units_failed_.add(static_cast<double>(batch.size()));
    return;
  }
  const auto failed = std::count_if(batch.begin(), batch.end(), [](const Unit* unit) { return !unit->result; });
  commits_done_.add();
  units_failed_.add(static_cast<double>(failed));
  units_done_.add(static_cast<double>(std::ssize(batch) - failed));
  commit_seconds_.observe_seconds(std::chrono::duration<double>(world_.clock.now() - start).count());
}

Result<void> SqliteDatabase::write_units(std::span<Unit* const> batch) {
  if (!writer_) return Error{Code::denied, url_ + " is open for reading only"};
  if (refuses_writes_) return *refuses_writes_;
  checkpoint();
  if (refuses_writes_) return *refuses_writes_;
  HF_TRY(writer_->execute("BEGIN IMMEDIATE"));
  Result<void> outcome = ok();
  for (Unit* unit : batch) {
    outcome = write_unit(*unit);
    if (!outcome) break;
  }
  if (outcome) outcome = commit();
  if (!outcome && writer_->in_transaction()) {
    if (const auto undone = writer_->execute("ROLLBACK"); !undone) {
      log::error("sql.rollback_failed", {{"database", url_}, {"error", undone.error().message}});
      refuses_writes_ = undone.error();
    }
  }
  if (writer_->fatal() && !refuses_writes_) {
    const Error& cause = *writer_->fatal();
    refuses_writes_ = Error{cause.code == Code::corrupt ? Code::corrupt : Code::unavailable,
                            "no more writes until the database is opened again, after: " + cause.message};
    log::error("sql.writes_refused", {{"database", url_}, {"cause", cause.message}});
  }
  return outcome;
}

Result<void> SqliteDatabase::write_unit(Unit& unit) {
  HF_TRY(writer_->execute("SAVEPOINT unit"));
  StatementPoints statements(*writer_, world_.faults);
  unit.result = unit.work(statements);
  if (!writer_->in_transaction()) {
    // SQLite took everything back by itself (disk full, I/O error): no unit of this batch is in.
    HF_ASSERT(writer_->last_error().has_value());  // else the unit said COMMIT or ROLLBACK, which is not its business
    return *writer_->last_error();
  }
  if (writer_->fatal()) return *writer_->fatal();
  if (!unit.result) HF_TRY(writer_->execute("ROLLBACK TO unit"));
  HF_TRY(writer_->execute("RELEASE unit"));
  return ok();
}

Result<void> SqliteDatabase::commit() {
  HF_TRY(world_.faults.reach_blocking("sql.before_commit"));
  const auto committed = writer_->execute("COMMIT");
  if (!committed && writer_->fatal()) {
    // The commit record may have reached the disk although its fsync failed: recovery decides. So: it may have
    // happened.
    return Error{Code::timeout, "whether this is committed shows after reopening: " + committed.error().message};
  }
  if (!committed) return committed.error();
  // An error here is one of the test's: durable, but nobody is told.
  if (Result<void> told = world_.faults.reach_blocking("sql.after_commit"); !told) {
    return Error{Code::timeout, told.error().message};
  }
  return ok();
}

void SqliteDatabase::checkpoint() {
  if (writer_->wal_frames() < kCheckpointFrames) return;
  const auto mode =
      writer_->wal_frames() < kRestartFrames ? Connection::Checkpoint::passive : Connection::Checkpoint::restart;
  const Result<void> done = writer_->checkpoint(mode);
  if (done || done.error().code == Code::unavailable) {
    // Readers were in the way: at the next batch again. (A failed fsync is `unavailable` too, but fatal.)
    if (!writer_->fatal()) return;
  }
  log::error("sql.checkpoint_failed", {{"database", url_}, {"error", done.error().message}});
  if (writer_->fatal()) refuses_writes_ = *writer_->fatal();
}

// ---- reading -------------------------------------------------------------------------------------------------------

void SqliteDatabase::run_read_batch(std::span<Unit* const> batch) {
  reads_.add(static_cast<double>(batch.size()));
  Result<std::unique_ptr<Connection>> reader = take_reader();
  if (!reader) return fail_all(batch, reader.error());
  // The snapshot is taken after every unit of the batch was asked for: each sees all that was acknowledged before it.
  if (const auto begun = (*reader)->execute("BEGIN"); !begun) return fail_all(batch, begun.error());
  for (Unit* unit : batch) unit->result = unit->work(**reader);
  if ((*reader)->in_transaction()) {
    if (const auto ended = (*reader)->execute("COMMIT"); !ended) return;  // the connection is dropped, results stand
  }
  if (!(*reader)->fatal()) give_reader(std::move(*reader));
}

Result<std::unique_ptr<Connection>> SqliteDatabase::take_reader() {
  {
    const std::lock_guard lock(readers_mutex_);
    if (!readers_.empty()) {
      std::unique_ptr<Connection> reader = std::move(readers_.back());
      readers_.pop_back();
      return reader;
    }
  }
  return open_connection(Access::read);
}

void SqliteDatabase::give_reader(std::unique_ptr<Connection> reader) {
  const std::lock_guard lock(readers_mutex_);
  readers_.push_back(std::move(reader));
}

}  // namespace hf::sql::sqlite
