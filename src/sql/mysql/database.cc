#include "sql/mysql/database.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "sql/mysql/migration.h"
#include "sql/mysql/xa_probe.h"

namespace hf::sql::mysql {
namespace {

/// Reads share a snapshot up to this many: beginning and ending one costs two round trips.
constexpr std::size_t kReadBatchMax = 16;

void fail_all(std::span<Unit* const> batch, const Error& error) {
  for (Unit* unit : batch) unit->result = error;
}

}  // namespace

Result<std::unique_ptr<Database>> MysqlDatabase::open(sys::World world, Settings settings) {
  std::unique_ptr<MysqlDatabase> database(new MysqlDatabase(std::move(world), std::move(settings)));
  if (Result<void> connected = database->connect(); !connected) {
    return connected.error().with_context("opening " + database->url_);
  }
  return std::unique_ptr<Database>(std::move(database));
}

MysqlDatabase::MysqlDatabase(sys::World world, Settings settings)
    : world_(std::move(world)),
      settings_(std::move(settings)),
      url_(settings_.display()),
      connector_(world_, settings_),
      writer_(world_, settings_, url_, connector_),
      readers_(world_, connector_, Purpose::read),
      reads_(world_.metrics.counter("holdfast_sql_reads_total", "Read units", {{"database", settings_.database}})) {}

MysqlDatabase::~MysqlDatabase() {
  if (writes_) writes_->stop();
  if (reads_queue_) reads_queue_->stop();
  write_worker_.reset();
  read_worker_.reset();
}

Result<void> MysqlDatabase::connect() {
  if (settings_.access == Access::write) {
    HF_TRY(std::unique_ptr<Connection> first, writer_.pool().take());
    HF_TRY(make_marker_table(*first));
    HF_TRY(clean_old_markers(*first));
    log::info("sql.mysql.connected", {{"database", url_},
                                      {"server", to_string(first->flavour())},
                                      {"isolation", to_string(settings_.session.isolation)},
                                      {"transaction_timeout_ms", settings_.session.transaction_timeout.count()}});
    flavour_ = first->flavour();
    writer_.pool().give(std::move(first));
    if (flavour_ == Flavour::oceanbase) HF_TRY(log_xa_support());
  }
  HF_TRY(std::unique_ptr<Connection> first, readers_.take());
  readers_.give(std::move(first));

  write_worker_ = world_.make_worker("sql-write", settings_.writers);
  read_worker_ = world_.make_worker("sql-read", settings_.readers);
  BatchQueue::Options writes;
  writes.jobs_max = settings_.writers;
  BatchQueue::Options reads;
  reads.batch_max = kReadBatchMax;
  reads.jobs_max = settings_.readers;
  writes_ = std::make_unique<BatchQueue>(*write_worker_, writes, [this](auto batch) { writer_.run(batch); });
  reads_queue_ = std::make_unique<BatchQueue>(*read_worker_, reads, [this](auto batch) { run_read_batch(batch); });
  return ok();
}

Task<> MysqlDatabase::write_erased(std::function<Result<void>(Transaction&)> work) {
  if (settings_.access == Access::read) co_return Error{Code::denied, url_ + " is open for reading only"};
  co_return co_await writes_->run(std::move(work));
}

Task<> MysqlDatabase::read_erased(std::function<Result<void>(Reader&)> work) {
  // The queue's units take a Transaction, which is a Reader.
  co_return co_await reads_queue_->run(std::move(work));
}

Result<void> MysqlDatabase::log_xa_support() {
  HF_TRY(const std::unique_ptr<Connection> probing, connector_.connect(Purpose::write));
  const XaSupport support = probe_xa(*probing, world_.random.hex(8));
  log::info("sql.mysql.xa_probed", {{"database", url_}, {"supported", to_string(support)}, {"used", "no"}});
  return ok();
}

XaResource* MysqlDatabase::xa() {
  if (settings_.access == Access::read || flavour_ == Flavour::oceanbase || !write_worker_) return nullptr;
  if (!xa_) xa_ = std::make_unique<MysqlXa>(world_, settings_, connector_);
  return xa_.get();
}

Task<> MysqlDatabase::migrate(std::string component, std::vector<Migration> migrations) {
  if (settings_.access == Access::read) co_return Error{Code::denied, url_ + " is open for reading only"};
  std::function<Result<void>()> apply = [&]() -> Result<void> {
    HF_TRY(const std::unique_ptr<Connection> connection, connector_.connect(Purpose::schema));
    HF_TRY(const std::unique_ptr<Connection> guard, connector_.connect(Purpose::schema));
    return apply_missing(*connection, *guard, component, migrations, world_.clock.wall());
  };
  co_return co_await write_worker_->run<void>(std::move(apply));
}

asio::awaitable<void> MysqlDatabase::close() {
  writes_->stop();
  reads_queue_->stop();
  // Whatever waits has its job queued on the worker, so that joining the threads is the end of all. The nothings keep
  // this strand running while they wait.
  std::function<Result<void>()> nothing = [] { return ok(); };
  (void)co_await write_worker_->run<void>(nothing);
  (void)co_await read_worker_->run<void>(nothing);
  write_worker_.reset();
  read_worker_.reset();
  writer_.close();
  readers_.clear();
  if (xa_) xa_->close();
  // The completions of the last batches were posted before this: after it, all have run and nobody refers to us.
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

// ---- reading -------------------------------------------------------------------------------------------------------

void MysqlDatabase::run_read_batch(std::span<Unit* const> batch) {
  reads_.add(static_cast<double>(batch.size()));
  for (bool fresh = false; !batch.empty();) {
    Result<std::unique_ptr<Connection>> connection = readers_.take();
    if (!connection) return fail_all(batch, connection.error());
    const Result<std::span<Unit* const>> rest = read_units(**connection, batch);
    const bool lost = !(*connection)->usable();
    if (lost) readers_.clear();  // the other idle ones probably died with it
    readers_.give(std::move(*connection));
    if (rest) {
      batch = *rest;
    } else if (!lost || std::exchange(fresh, true)) {
      return fail_all(batch, rest.error());
    }
  }
}

Result<std::span<Unit* const>> MysqlDatabase::read_units(Connection& connection, std::span<Unit* const> units) {
  // The snapshot is taken after every unit of the batch was asked for: each sees all that was acknowledged before it.
  HF_TRY(connection.begin("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"));
  while (!units.empty() && !connection.broken()) {
    Unit& unit = *units.front();
    unit.result = unit.work(connection);
    if (connection.broken()) unit.result = connection.broken()->error;  // even if the unit hides it
    units = units.subspan(1);
  }
  // The results stand, however it ends.
  if (connection.usable()) (void)connection.control("COMMIT", Phase::rollback);
  return units;
}

}  // namespace hf::sql::mysql
