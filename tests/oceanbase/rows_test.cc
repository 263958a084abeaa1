/// Every row of OceanBase's error table (docs/protocols/oceanbase.md), played by the stub in front of a real MariaDB:
/// what a caller of sql::Database sees, and that its unit of work took effect once, or not at all.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <map>

#include "oceanbase/stub.h"
#include "sql/database.h"
#include "sql/mysql/local_server.h"
#include "sql/mysql/slow_machine.h"
#include "sys/loop.h"

namespace hf::oceanbase {
namespace {

using sql::Transaction;
using sql::mysql::LocalServer;
using sql::mysql::Patience;

class StoreOnStub : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char name[] = "/tmp/hf_rows_XXXXXX";
    folder = ::mkdtemp(name);
    Result<std::unique_ptr<LocalServer>> started = LocalServer::start({.folder = folder + "/db"});
    if (!started) fmt::print(stderr, "{}\n", started.error().to_string());
    HF_ASSERT(started.has_value());  // a failed set-up would be counted as skipped tests
    server = std::move(*started);
  }
  static void TearDownTestSuite() {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  ~StoreOnStub() override {
    if (db_) loop_.run_until_done(db_->close());
    EXPECT_TRUE(!stub_ || stub_->violations().empty()) << stub_->violations().front();
  }

  void open(const std::string& options = "", StubOptions stub = {}) {
    stub.upstream_socket = server->socket();
    Result<std::unique_ptr<Stub>> started = Stub::start(std::move(stub));
    ASSERT_TRUE(started) << started.error().to_string();
    stub_ = std::move(*started);
    static int databases = 0;
    database_ = fmt::format("rows{}", ++databases);
    Result<std::unique_ptr<sql::Database>> opened = sql::open(loop_.world(), stub_->url(database_, options), folder);
    ASSERT_TRUE(opened) << opened.error().to_string();
    db_ = std::move(*opened);
    const std::vector<sql::Migration> tables = {{1, "orders", {"CREATE TABLE orders (id BIGINT PRIMARY KEY)"}}};
    const Result<void> migrated = loop_.run_until_done(db_->migrate("test", tables));
    ASSERT_TRUE(migrated) << migrated.error().to_string();
  }
  /// One unit that writes one order; `runs_` counts how often it ran.
  Result<void> place(std::int64_t id) {
    runs_ = 0;
    std::function<Result<void>(Transaction&)> work = [this, id](Transaction& tx) -> Result<void> {
      ++runs_;
      HF_TRY(tx.execute("INSERT INTO orders VALUES (?)", {id}));
      return ok();
    };
    return loop_.run_until_done(db_->write(std::move(work)));
  }
  std::int64_t orders() {
    std::function<Result<std::int64_t>(sql::Reader&)> work = [](sql::Reader& reader) -> Result<std::int64_t> {
      HF_TRY(const auto row, reader.query_one("SELECT COUNT(*) FROM orders"));
      return row->integer(0);
    };
    const Result<std::int64_t> count = loop_.run_until_done(db_->read<std::int64_t>(std::move(work)));
    EXPECT_TRUE(count) << count.error().to_string();
    return count.value_or(-1);
  }
  double resolved(const char* how) {
    return loop_.world()
        .metrics
        .counter("holdfast_sql_ambiguous_commits_total", "Commits whose answer was lost, by what their marker told",
                 {{"database", database_}, {"resolved", how}})
        .value();
  }

  static inline std::string folder;
  static inline std::unique_ptr<LocalServer> server;
  sys::Loop loop_;
  std::unique_ptr<Stub> stub_;
  std::unique_ptr<sql::Database> db_;
  std::string database_;
  std::atomic<int> runs_ = 0;
};

enum class Want : std::uint8_t {
  retried,   ///< the unit ran again, and is durable once
  refused,   ///< its caller gets the code; nothing is there
  resolved,  ///< COMMIT: the marker told; durable once, whether the server had committed or not
};
struct Row {
  const char* name;
  unsigned number;
  const char *sqlstate, *text;
  Effect effect;  ///< on the transaction, when a statement gets it
  Want statement;
  Want commit;
  Code code = Code::internal;  ///< if refused
};
constexpr Effect kAlive = Effect::none, kGone = Effect::rolled_back;

constexpr Row kRows[] = {
    {"QueryTimeout", 4012, "HY000", "Timeout, query has reached the maximum query timeout", kAlive, Want::retried,
     Want::resolved},
    {"TransactionTimeout6210", 4012, "25000", "Transaction timeout occurred", kAlive, Want::retried, Want::resolved},
    {"StatementTimeout6212", 4012, "25000", "Statement timeout occurred", kAlive, Want::retried, Want::resolved},
    {"ResultUnknown6225", 4012, "25000", "Transaction result is unknown", kGone, Want::retried, Want::resolved},
    {"TransactionRpcTimeout6230", 4012, "25000", "Transaction rpc timeout", kAlive, Want::retried, Want::resolved},
    {"RpcPostError4122", 4012, "HY000", "RPC post error", kAlive, Want::retried, Want::resolved},
    {"RolledBack6002", 6002, "40000", "Transaction rollbacked", kGone, Want::retried, Want::retried},
    {"Killed6211", 6002, "25000", "Transaction is killed", kGone, Want::retried, Want::retried},
    {"Frozen6214", 6002, "25000", "Partition is frozen", kAlive, Want::retried, Want::retried},
    {"Exiting6223", 6002, "25000", "Transaction exiting", kAlive, Want::retried, Want::resolved},
    {"NeedsRollback6224", 6002, "25000", "Transaction needs rollback", kAlive, Want::retried, Want::retried},
    {"TooManyContexts6234", 6002, "25000", "Too many transaction context", kAlive, Want::retried, Want::retried},
    {"ContextGone6213", 6002, "HY000", "Transaction context does not exist", kGone, Want::retried, Want::resolved},
    {"IdleTimeout6278", 6002, "25000", "Transaction idle timeout occurred", kGone, Want::retried, Want::retried},
    {"TooManyParticipants6282", 6002, "40000", "Too many transaction participants", kGone, Want::refused, Want::refused,
     Code::internal},
    {"LockWait1205", 1205, "HY000", "Lock wait timeout exceeded", kAlive, Want::retried, Want::retried},
    {"Deadlock1213", 1213, "40001", "Deadlock", kGone, Want::retried, Want::retried},
    {"CannotSerialize6235", 6235, "25000", "can't serialize access", kAlive, Want::retried, Want::retried},
    {"NotMaster4038", 4038, "HY000", "The server is not the master", kAlive, Want::retried, Want::resolved},
    {"SnapshotTooOld4138", 4138, "HY000", "Snapshot is discarded", kAlive, Want::retried, Want::resolved},
    {"LocationMissing4225", 4225, "HY000", "Log stream location not exist", kAlive, Want::retried, Want::resolved},
    {"ReplicaNotReadable6231", 6231, "HY000", "Replica not readable", kAlive, Want::retried, Want::resolved},
    {"TenantMemory4030", 4030, "HY000", "Over tenant memory limits", kAlive, Want::refused, Want::resolved,
     Code::exhausted},
    {"ServerMemory4013", 4013, "HY001", "No memory", kAlive, Want::refused, Want::resolved, Code::exhausted},
    {"RowLocked6005", 6005, "HY000", "Lock row conflict", kAlive, Want::retried, Want::resolved},
    {"SetChanged6001", 6001, "HY000", "Transaction set changed", kAlive, Want::retried, Want::resolved},
    {"NeedsRetry6241", 6241, "25000", "Statement need retry", kAlive, Want::retried, Want::resolved},
    {"StateUnknown6222", 6222, "HY000", "Transaction state unknown", kAlive, Want::retried, Want::resolved},
    {"AlreadyDecided6204", 6204, "HY000", "Transaction already decided", kAlive, Want::retried, Want::resolved},
    {"AlreadyCommitted6233", 6233, "HY000", "Transaction has been committed", kAlive, Want::retried, Want::resolved},
    {"Initializing8001", 8001, "08004", "Server is initializing", kAlive, Want::retried, Want::resolved},
    {"Checksum8002", 8002, "08004", "Checksum error", kAlive, Want::retried, Want::resolved},
    {"Stopping8003", 8003, "08004", "Server is stopping", kAlive, Want::retried, Want::resolved},
    {"WrongCluster8004", 8004, "08004", "Cluster not match", kAlive, Want::retried, Want::resolved},
    {"WrongTenant8005", 8005, "08005", "Tenant not in this server", kAlive, Want::retried, Want::resolved},
    {"DuplicateKey1062", 1062, "23000", "Duplicate entry", kAlive, Want::refused, Want::refused, Code::conflict},
    {"Syntax1064", 1064, "42000", "You have an error in your SQL syntax", kAlive, Want::refused, Want::refused,
     Code::invalid},
    {"NotSupported1235", 1235, "42000", "Not supported", kAlive, Want::refused, Want::refused, Code::invalid},
    {"NotSupported4007", 4007, "0A000", "Not supported feature or function", kAlive, Want::refused, Want::refused,
     Code::invalid},
};

class ErrorTable : public StoreOnStub {
 protected:
  static Fault fault(const Row& row, const char* statement, Effect effect) {
    return {.statement = statement, .effect = effect, .number = row.number, .sqlstate = row.sqlstate, .text = row.text};
  }
  /// Places the next order while the fault is on, and compares. `runs`: how often its unit may run.
  void play(const Row& row, const char* where, const Fault& fault, Want want, int runs) {
    SCOPED_TRACE(fmt::format("{} {}", row.name, where));
    std::int64_t before = 0;
    int played = 0;
    bool spent = true;
    Result<void> placed = ok();
    Patience patience;  // a row in which the machine stalled is played anew
    do {
      before = orders();
      played = stub_->played();
      for (const char* how : {"committed", "rolled_back"}) told_before_[how] = resolved(how);
      if (spent) stub_->play(fault);
      placed = place(++last_id_);
      spent = stub_->played() > played;
    } while (patience.asks_again(placed));
    const bool there = want != Want::refused;
    EXPECT_EQ(placed.has_value(), there) << (placed ? "" : placed.error().to_string());
    if (!placed) EXPECT_EQ(to_string(placed.error().code), to_string(row.code)) << placed.error().to_string();
    EXPECT_EQ(orders() - before, there ? 1 : 0);
    EXPECT_EQ(stub_->played() - played, 1);
    EXPECT_EQ(runs_, runs);
    const std::string told = placed ? "durable once" : fmt::format("refused: {}", to_string(placed.error().code));
    fmt::print("  {:<4} {:<5} {:<26} {:<28} unit ran {}x, {}\n", row.number, row.sqlstate, row.name, where,
               runs_.load(), told);
  }
  /// How often a marker told this since the last row began.
  double looked_up(const char* how) { return resolved(how) - told_before_[how]; }

  std::int64_t last_id_ = 0;
  std::map<std::string, double> told_before_;
};

TEST_F(ErrorTable, InAStatement) {
  open();
  for (const Row& row : kRows) {
    play(row, "in a statement", fault(row, "^INSERT INTO orders", row.effect), row.statement,
         row.statement == Want::refused ? 1 : 2);
  }
}

TEST_F(ErrorTable, AsTheAnswerToACommitThatDidNotHappen) {
  open();
  for (const Row& row : kRows) {
    const Effect effect = row.commit == Want::resolved ? Effect::none : row.effect;
    play(row, "COMMIT, which did not happen", fault(row, "^COMMIT", effect), row.commit,
         row.commit == Want::refused ? 1 : 2);
    EXPECT_EQ(looked_up("rolled_back"), row.commit == Want::resolved ? 1 : 0) << row.name;
  }
}

/// Only errors that leave it open: after the others it did not.
TEST_F(ErrorTable, AsTheAnswerToACommitThatDidHappen) {
  open();
  for (const Row& row : kRows) {
    if (row.commit != Want::resolved) continue;
    play(row, "COMMIT, which did happen", fault(row, "^COMMIT", Effect::executed), Want::resolved, 1);
    EXPECT_EQ(looked_up("committed"), 1) << row.name;
  }
}

// ---- no answer at all
// ------------------------------------------------------------------------------------------------

TEST_F(StoreOnStub, AConnectionLostInAStatementIsRetried) {
  open();
  stub_->play({.statement = "^INSERT INTO orders", .answer = Answer::cut});
  EXPECT_TRUE(place(1));
  EXPECT_EQ(runs_, 2);
  EXPECT_EQ(orders(), 1);
}

TEST_F(StoreOnStub, AConnectionLostAtCommitIsResolvedByTheMarker) {
  open();
  stub_->play({.statement = "^COMMIT", .effect = Effect::executed, .answer = Answer::cut});
  EXPECT_TRUE(place(1));
  EXPECT_EQ(runs_, 1);
  EXPECT_EQ(resolved("committed"), 1);
  stub_->play({.statement = "^COMMIT", .effect = Effect::none, .answer = Answer::cut});
  EXPECT_TRUE(place(2));
  EXPECT_EQ(runs_, 2);
  EXPECT_EQ(resolved("rolled_back"), 1);
  EXPECT_EQ(orders(), 2);
}

TEST_F(StoreOnStub, ACommitThatIsStillOnItsWayIsWaitedFor) {
  open();
  stub_->play({.statement = "^COMMIT", .effect = Effect::executed_on_release, .answer = Answer::cut});
  std::future<bool> released = std::async(std::launch::async, [this] {
    const bool asked = stub_->wait_for_statement("INSERT INTO hf_commit_marker VALUES \\('.*', 'R'");
    stub_->release();
    return asked;
  });
  EXPECT_TRUE(place(1)) << "the tombstone waited for the batch, and met its marker";
  EXPECT_TRUE(released.get());
  EXPECT_EQ(runs_, 1);
  EXPECT_EQ(orders(), 1);
  EXPECT_EQ(resolved("committed"), 1);
}

TEST_F(StoreOnStub, ACommitThatStaysOpenIsUnknownAndMayStillHappen) {
  open("resolve_timeout_ms=200");
  stub_->play({.statement = "^COMMIT", .effect = Effect::executed_on_release, .answer = Answer::cut});
  const Result<void> placed = place(1);
  ASSERT_FALSE(placed);
  EXPECT_EQ(to_string(placed.error().code), to_string(Code::timeout)) << placed.error().to_string();
  EXPECT_EQ(runs_, 1) << "what may be committed never runs again";
  EXPECT_EQ(orders(), 0);
  stub_->release();
  EXPECT_EQ(orders(), 1);
  EXPECT_EQ(resolved("unknown"), 1);
}

TEST_F(StoreOnStub, SessionsThatWereCutWhileIdleAreReplacedAndToldTheirVariables) {
  open();
  EXPECT_TRUE(place(1));
  const int before = stub_->sessions_opened();
  stub_->cut_sessions();
  EXPECT_TRUE(place(2));
  EXPECT_EQ(orders(), 2);
  EXPECT_GT(stub_->sessions_opened(), before);
}

TEST_F(StoreOnStub, AnErrorThatStaysIsGivenUp) {
  open();
  stub_->play({.statement = "^INSERT INTO orders",
               .number = 4038,
               .sqlstate = "HY000",
               .text = "not master",
               .times = 1'000'000});
  Result<void> placed = ok();
  Patience patience;
  do {
    placed = place(1);
  } while (runs_ <= 2 && patience.asks_again(placed));  // a stall leaves time for one run
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, Code::unavailable);
  EXPECT_GT(runs_, 2);
  EXPECT_EQ(orders(), 0);
}

// ---- login and abilities
// ---------------------------------------------------------------------------------------------

TEST_F(StoreOnStub, LogsInThroughTheProxyWithTenantAndCluster) {
  open();
  EXPECT_EQ(stub_->logins(), std::vector<std::string>{"app@shop#c1"});
}

TEST_F(StoreOnStub, LogsInAtAServerWithTheTenantAlone) {
  open("", {.is_proxy = false});
  EXPECT_EQ(stub_->logins(), std::vector<std::string>{"app@shop"});
}

TEST_F(StoreOnStub, XaIsProbedForAndNotUsed) {
  open();
  EXPECT_TRUE(stub_->wait_for_statement("^XA START 'hf.probe.")) << "answered 1064";
  EXPECT_EQ(db_->xa(), nullptr);
}

TEST_F(StoreOnStub, XaThatIsThereIsLeftAloneAndTheProbeLeavesNothing) {
  open("", {.has_xa = true});
  EXPECT_TRUE(stub_->wait_for_statement("^XA ROLLBACK 'hf.probe."));
  EXPECT_EQ(db_->xa(), nullptr);
}

}  // namespace
}  // namespace hf::oceanbase
