#include "sql/mysql/xa.h"

#include <algorithm>

#include "base/log.h"
#include "sql/statement_points.h"

namespace hf::sql::mysql {
namespace {

/// For people who look at XA RECOVER: "HFM1". The server does not count it to the key, and neither do we.
constexpr int kFormatId = 0x48464d31;

/// Idle connections that had died are found out one by one.
constexpr int kSessionTries = 3;

/// Ends wait for no row lock, so few threads do; but a branch's statement may wait for one that only the end of another
/// branch gives back: they never share threads.
constexpr std::size_t kEndThreads = 4;

std::string text_of(const Xid& xid) { return fmt::format("'{}','{}',{}", xid.gtrid, xid.bqual, kFormatId); }

const char* name_of(XaEnd end) {
  switch (end) {
    case XaEnd::done:
      return "done";
    case XaEnd::attached:
      return "attached";
    case XaEnd::absent:
      return "absent";
    case XaEnd::rolled_back:
      return "rolled_back";
  }
  HF_ASSERT(false);
}

Result<std::vector<Xid>> list(Connection& connection) {
  HF_TRY(const Rows rows, connection.control_query("XA RECOVER"));
  std::vector<Xid> out;
  for (const Row& row : rows) {  // format id, size of gtrid, size of bqual, both in one
    const auto gtrid_size = static_cast<std::size_t>(row.integer(1));
    const std::string& both = row.text(3);
    if (gtrid_size > both.size()) return Error{Code::internal, "XA RECOVER: sizes that do not fit"};
    out.push_back({both.substr(0, gtrid_size), both.substr(gtrid_size)});
  }
  return out;
}

}  // namespace

XaAnswer read_answer(unsigned number, const Verdict& verdict) {
  switch (number) {
    case 0:
      return XaAnswer::done;
    case 1397:
      return XaAnswer::unknown_id;
    case 1402:
    case 1613:  // …by a timeout
    case 1614:  // …by a deadlock
      return XaAnswer::rolled_back;
    case 1399:
    case 2006:  // the session had ended before
      return XaAnswer::wrong_session;
    default:
      return verdict.error_class == ErrorClass::ok ? XaAnswer::done : XaAnswer::failed;
  }
}

struct MysqlXa::Shared {
  Shared(sys::World& w, const Settings& s, Connector& c)
      : world(w),
        settings(s),
        connector(c),
        branch_pool(w, c, Purpose::write),
        end_pool(w, c, Purpose::write),
        branch_worker(w.make_worker("sql-xa", s.branches)),
        end_worker(w.make_worker("sql-xa-end", kEndThreads)) {}

  void count(const char* step, std::string_view outcome) {
    world.metrics
        .counter("holdfast_sql_xa_total", "Steps of XA branches, by how they ended",
                 {{"database", settings.database}, {"step", step}, {"outcome", std::string(outcome)}})
        .add();
  }

  sys::World& world;
  const Settings& settings;
  Connector& connector;
  Pool branch_pool, end_pool;
  std::atomic<std::size_t> open = 0;
  std::unique_ptr<sys::Worker> branch_worker, end_worker;  ///< destroyed first: they finish what is queued
};

// ---- one branch ----------------------------------------------------------------------------------------------------

class MysqlBranch final : public XaBranch {
 public:
  MysqlBranch(std::shared_ptr<MysqlXa::Shared> shared, Xid xid, std::unique_ptr<Connection> connection)
      : shared_(std::move(shared)), xid_(std::move(xid)), connection_(std::move(connection)) {}
  ~MysqlBranch() override {
    if (!connection_) return;
    // Closing is a blocking call, and this may be an event loop.
    std::shared_ptr<Connection> closing = std::move(connection_);
    --shared_->open;
    if (shared_->end_worker) (void)shared_->end_worker->post([closing] {});
  }
  bool attached() const override { return connection_ != nullptr; }

  Task<XaVote> prepare() override {
    std::function<Result<XaVote>()> work = [this] { return prepare_blocking(); };
    if (!shared_->end_worker) co_return Error{Code::unavailable, "the database is closed"};
    co_return co_await shared_->end_worker->run<XaVote>(std::move(work));
  }

  Task<XaEnd> commit_prepared() override { co_return co_await end_prepared("COMMIT", "commit"); }
  Task<XaEnd> roll_back_prepared() override { co_return co_await end_prepared("ROLLBACK", "rollback"); }

  Task<> roll_back() override {
    std::function<Result<void>()> work = [this] {
      if (connection_) roll_back_blocking();
      return ok();
    };
    if (!shared_->end_worker) co_return ok();
    co_return co_await shared_->end_worker->run<void>(std::move(work));
  }

 protected:
  Task<> run_erased(std::function<Result<void>(Transaction&)> work) override {
    std::function<Result<void>()> job = [this, &work] { return run_blocking(work); };
    if (!shared_->branch_worker) co_return Error{Code::unavailable, "the database is closed"};
    co_return co_await shared_->branch_worker->run<void>(std::move(job));
  }

 private:
  Result<void> run_blocking(const std::function<Result<void>(Transaction&)>& work) {
    if (!connection_) return Error{Code::conflict, "the branch has ended"};
    if (failed_) return *failed_;
    StatementPoints statements(*connection_, shared_->world.faults);
    Result<void> done = work(statements);
    if (connection_->broken()) done = connection_->broken()->error;  // also if `work` hides it
    if (!done) failed_ = done.error();
    return done;
  }

  Result<XaVote> prepare_blocking() {
    if (!connection_) return Error{Code::conflict, "the branch has ended"};
    if (failed_) {
      roll_back_blocking();
      return Error{Code::conflict, "rolled back, for a statement in it failed: " + failed_->message};
    }
    if (connection_->rows_changed() == 0) {
      roll_back_blocking();
      shared_->count("prepare", "read_only");
      return XaVote::read_only;
    }
    const std::string xid = text_of(xid_);
    const Result<void> done = connection_->control(fmt::format("XA END {}; XA PREPARE {}", xid, xid), Phase::xa);
    if (done) {
      shared_->count("prepare", "prepared");
      return XaVote::prepared;
    }
    Error error = done.error();
    if (connection_->usable()) {
      // An answer: it is not prepared. (A deadlock comes to light here as 1399 or 1402.)
      roll_back_blocking();
      error.code = Code::unavailable;
    } else {
      close();
    }
    shared_->count("prepare", to_string(error.code));
    return error;
  }

  Task<XaEnd> end_prepared(const char* verb, const char* step) {
    std::function<Result<XaEnd>()> work = [this, verb, step] { return end_prepared_blocking(verb, step); };
    if (!shared_->end_worker) co_return Error{Code::unavailable, "the database is closed"};
    co_return co_await shared_->end_worker->run<XaEnd>(std::move(work));
  }

  Result<XaEnd> end_prepared_blocking(const char* verb, const char* step) {
    if (!connection_) return Error{Code::unavailable, "the session that prepared the branch is gone"};
    const Result<void> done = connection_->control(fmt::format("XA {} {}", verb, text_of(xid_)), Phase::xa);
    if (done) {
      shared_->count(step, "done");
      shared_->branch_pool.give(std::move(connection_));
      --shared_->open;
      return XaEnd::done;
    }
    const Connection::Failure& failure = *connection_->last_failure();
    const XaAnswer answer = read_answer(failure.number, failure.verdict);
    shared_->count(step, answer == XaAnswer::rolled_back ? "rolled_back" : to_string(done.error().code));
    if (answer != XaAnswer::failed || !connection_->usable()) close();  // else it is as it was: a read-only server
    if (answer == XaAnswer::rolled_back) return XaEnd::rolled_back;
    return done.error();
  }

  void roll_back_blocking() {
    shared_->count("rollback", "before_prepare");
    const std::string xid = text_of(xid_);
    if (connection_->usable()) (void)connection_->control("XA END " + xid, Phase::xa);  // fails where it has ended
    if (connection_->usable() && connection_->control("XA ROLLBACK " + xid, Phase::xa)) {
      shared_->branch_pool.give(std::move(connection_));
    }
    close();
  }

  void close() {
    connection_.reset();
    --shared_->open;
  }

  const std::shared_ptr<MysqlXa::Shared> shared_;
  const Xid xid_;
  std::unique_ptr<Connection> connection_;
  std::optional<Error> failed_;
};

// ---- the resource --------------------------------------------------------------------------------------------------

MysqlXa::MysqlXa(sys::World& world, const Settings& settings, Connector& connector)
    : shared_(std::make_shared<Shared>(world, settings, connector)) {}

MysqlXa::~MysqlXa() { close(); }

void MysqlXa::close() {
  shared_->branch_worker.reset();
  shared_->end_worker.reset();
  shared_->branch_pool.clear();
  shared_->end_pool.clear();
}

Task<std::unique_ptr<XaBranch>> MysqlXa::start(Xid xid) {
  HF_CO_TRY(check(xid));
  if (!shared_->branch_worker) co_return Error{Code::unavailable, "the database is closed"};
  if (shared_->open.fetch_add(1) >= shared_->settings.branches) {
    --shared_->open;
    shared_->count("start", "exhausted");
    co_return Error{Code::exhausted,
                    fmt::format("{} branches are open, no more are allowed (branches=)", shared_->settings.branches)};
  }
  std::function<Result<std::unique_ptr<Connection>>()> work = [shared = shared_,
                                                               xid]() -> Result<std::unique_ptr<Connection>> {
    for (bool again = false;; again = true) {
      HF_TRY(std::unique_ptr<Connection> connection, shared->branch_pool.take());
      connection->set_latch(Connection::Latch::every_failure);
      const Result<void> begun = connection->begin("XA START " + text_of(xid), Phase::xa);
      if (begun) return connection;
      if (connection->usable() || again) return begun.error();
      shared->branch_pool.clear();  // an idle connection had died
    }
  };
  Result<std::unique_ptr<Connection>> connection =
      co_await shared_->branch_worker->run<std::unique_ptr<Connection>>(std::move(work));
  shared_->count("start", connection ? "started" : to_string(connection.error().code));
  if (!connection) {
    --shared_->open;
    Error error = connection.error();
    if (error.code == Code::timeout) error.code = Code::unavailable;  // what was started died with its session
    co_return error;
  }
  co_return std::unique_ptr<XaBranch>(std::make_unique<MysqlBranch>(shared_, std::move(xid), std::move(*connection)));
}

Task<XaEnd> MysqlXa::commit(Xid xid) { co_return co_await end("COMMIT", std::move(xid)); }
Task<XaEnd> MysqlXa::roll_back(Xid xid) { co_return co_await end("ROLLBACK", std::move(xid)); }

Task<std::vector<Xid>> MysqlXa::recover() {
  if (!shared_->end_worker) co_return Error{Code::unavailable, "the database is closed"};
  std::function<Result<std::vector<Xid>>()> work = [shared = shared_]() -> Result<std::vector<Xid>> {
    for (bool again = false;; again = true) {
      HF_TRY(std::unique_ptr<Connection> connection, shared->end_pool.take());
      Result<std::vector<Xid>> found = list(*connection);
      const bool lost = !connection->usable();
      shared->end_pool.give(std::move(connection));
      if (found || !lost || again) return found;
      shared->end_pool.clear();
    }
  };
  co_return co_await shared_->end_worker->run<std::vector<Xid>>(std::move(work));
}

Task<XaEnd> MysqlXa::end(std::string verb, Xid xid) {
  HF_CO_TRY(check(xid));
  if (!shared_->end_worker) co_return Error{Code::unavailable, "the database is closed"};
  std::function<Result<XaEnd>()> work = [this, &verb, &xid] { return end_blocking(verb, xid); };
  co_return co_await shared_->end_worker->run<XaEnd>(std::move(work));
}

Result<XaEnd> MysqlXa::end_blocking(const std::string& verb, const Xid& xid) {
  const std::string statement = fmt::format("XA {} {}", verb, text_of(xid));
  const char* const step = verb == "COMMIT" ? "commit" : "rollback";
  for (int tries = 1;; ++tries) {
    HF_TRY(std::unique_ptr<Connection> connection, shared_->end_pool.take());
    const Attempt attempt = try_end(*connection, statement, xid);
    const bool usable = connection->usable();
    shared_->end_pool.give(std::move(connection));
    if (!usable) shared_->end_pool.clear();
    if (attempt.wrong_session && tries < kSessionTries) continue;
    shared_->count(step, attempt.met ? name_of(*attempt.met) : to_string(attempt.met.error().code));
    return attempt.met;
  }
}

MysqlXa::Attempt MysqlXa::try_end(Connection& connection, const std::string& statement, const Xid& xid) {
  const Result<void> answer = connection.control(statement, Phase::xa);
  if (answer) return {XaEnd::done};
  const Connection::Failure& failure = *connection.last_failure();
  switch (read_answer(failure.number, failure.verdict)) {
    case XaAnswer::done:
      return {XaEnd::done};
    case XaAnswer::rolled_back:
      return {XaEnd::rolled_back};
    case XaAnswer::wrong_session:
      connection.abandon();
      return {answer.error(), true};
    case XaAnswer::failed:
      return {answer.error()};
    case XaAnswer::unknown_id:
      break;
  }
  const Result<std::vector<Xid>> prepared = list(connection);
  if (!prepared) return {prepared.error()};
  const bool listed = std::ranges::find(*prepared, xid) != prepared->end();
  return {listed ? XaEnd::attached : XaEnd::absent};
}

}  // namespace hf::sql::mysql
