/// What is written and read back, on SQLite and on a real MariaDB; damage; two processes with one identity.

#include "coordinator/store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "coordinator/scripted.h"
#include "sql/mysql/test_server.h"
#include "sys/loop.h"

namespace hf::coordinator {
namespace {

using scripted::Branch;
using wire::two_phase::Decision;
using wire::two_phase::Outcome;

constexpr std::int64_t kNow = 1'000'000;

std::string gtrid(int n) { return fmt::format("hf1.local.1.{:012x}7000800000000000{:04x}", 1, n); }

Transaction preparing(int n) {
  Transaction tx = begin(gtrid(n), kNow);
  EXPECT_TRUE(enrol(tx, "payment", Protocol::durable, "http://payment:1/u", 64, kNow));
  step(tx, CommitAsked{}, kNow);
  return tx;
}
Transaction committed(int n) {
  Transaction tx = preparing(n);
  step(tx, Voted{0, Vote::prepared, {}}, kNow);
  step(tx, DecisionDurable{}, kNow);
  return tx;
}
Transaction aborted(int n) {
  Transaction tx = preparing(n);
  step(tx, Silent{0, "no answer"}, kNow);
  return tx;
}

/// "sqlite" or "mariadb".
class StoreTest : public testing::TestWithParam<const char*> {
 protected:
  StoreTest() {
    char name[] = "/tmp/hf_coordinator_XXXXXX";
    HF_ASSERT(::mkdtemp(name) != nullptr);
    dir_ = name;
    url_ = std::string(GetParam()) == "sqlite" ? "sqlite:coordinator.db" : sql::mysql::fresh_url();
    auto opened = sql::open(loop_.world(), url_, dir_);
    HF_ASSERT(opened.has_value());
    db_ = std::move(*opened);
    HF_ASSERT(run(store_.emplace(*db_, "local").migrate()).has_value());
    HF_ASSERT(run(store_->take_epoch(wall_from_us(kNow))).has_value());
  }
  ~StoreTest() override {
    loop_.run_until_done(db_->close());
    db_.reset();
    std::filesystem::remove_all(dir_);
  }
  template <class T>
  Result<T> run(Task<T> task) {
    return loop_.run_until_done(std::move(task));
  }
  Result<void> save(Transaction tx) {
    std::vector<Transaction> rows{std::move(tx)};
    std::vector<Heuristic> none;
    return run(store_->save(std::move(rows), std::move(none)));
  }
  std::optional<Transaction> find(int n) {
    auto found = run(store_->find(gtrid(n)));
    EXPECT_TRUE(found) << found.error().to_string();
    return *found;
  }

  std::string dir_, url_;
  sys::Loop loop_;
  std::unique_ptr<sql::Database> db_;
  std::optional<Store> store_;
};
INSTANTIATE_TEST_SUITE_P(On, StoreTest, testing::Values("sqlite", "mariadb"),
                         [](const testing::TestParamInfo<const char*>& p) { return std::string(p.param); });

TEST_P(StoreTest, WhatWasDecidedIsReadBack) {
  const Transaction commit = committed(1);
  ASSERT_TRUE(run(store_->record_commit(commit)));
  EXPECT_EQ(find(1), commit);
  ASSERT_TRUE(save(preparing(2)));
  ASSERT_TRUE(save(aborted(3)));
  Transaction over = committed(4);
  step(over, Acknowledged{0, {}}, kNow + 1);
  ASSERT_TRUE(run(store_->record_commit(committed(4))));
  ASSERT_TRUE(save(over));
  const auto unfinished = run(store_->unfinished());
  ASSERT_TRUE(unfinished);
  EXPECT_EQ(unfinished->size(), 3U) << "all but the one that has ended";
  const auto finished = run(store_->finished(10));
  ASSERT_TRUE(finished);
  ASSERT_EQ(finished->size(), 1U);
  EXPECT_EQ(finished->front(), over);
  EXPECT_EQ(find(5), std::nullopt);

  // A long story and many participants: longer than MySQL's TEXT.
  Transaction large = begin(gtrid(6), kNow);
  for (int i = 0; i < 64; ++i) {
    const std::string id = "p" + std::to_string(i);
    ASSERT_TRUE(enrol(large, id, Protocol::durable, "http://h:1/" + std::string(900, 'u') + id, 64, kNow));
  }
  for (std::size_t i = 0; i < kStoryMax; ++i) note(large, kNow, "retry", "p1", std::string(100, 'd'));
  ASSERT_TRUE(save(large));
  EXPECT_EQ(find(6), large);

  // One coordinator's rows are not another's (check 32).
  Store other(*db_, "other");
  ASSERT_TRUE(run(other.take_epoch(wall_from_us(kNow))));
  const auto foreign = run(other.unfinished());
  ASSERT_TRUE(foreign);
  EXPECT_TRUE(foreign->empty());
}

TEST_P(StoreTest, ADecisionNeverTurns) {
  ASSERT_TRUE(save(preparing(1)));
  ASSERT_TRUE(run(store_->record_commit(committed(1))));
  ASSERT_TRUE(save(preparing(1))) << "an older picture that came late changes nothing";
  ASSERT_TRUE(save(aborted(1)));
  EXPECT_EQ(find(1)->decision, Decision::commit);
  EXPECT_TRUE(run(store_->record_commit(committed(1)))) << "repeated";
  EXPECT_EQ(*run(store_->resolve_commit(aborted(1))), Decision::commit);

  EXPECT_EQ(*run(store_->resolve_commit(aborted(2))), Decision::abort) << "nothing there: now an abort is";
  const auto late = run(store_->record_commit(committed(2)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::conflict);
  EXPECT_EQ(find(2)->decision, Decision::abort);
}

// Epoch fencing: check 32, and the half of 33 that is on disk.
TEST_P(StoreTest, ALaterEpochShutsOutTheEarlier) {
  Store next(*db_, "local");
  const auto epoch = run(next.take_epoch(wall_from_us(kNow)));
  ASSERT_TRUE(epoch);
  EXPECT_EQ(*epoch, 2U);
  for (const Result<void>& refused :
       {run(store_->record_commit(committed(1))), save(aborted(2)), run(store_->record_heuristics({}))}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::denied) << refused.error().to_string();
  }
  const auto forgotten = run(store_->forget(wall_from_us(kNow), 10));
  EXPECT_FALSE(forgotten);
  EXPECT_EQ(find(1), std::nullopt);
  EXPECT_TRUE(run(next.record_commit(committed(1))));
}

TEST_P(StoreTest, HeuristicRecordsStay) {
  const Heuristic damage{gtrid(1), "payment", "commit", "aborted", "met", kNow};
  Transaction tx = committed(1);
  step(tx, Contradicted{0, "aborted"}, kNow);
  std::vector<Transaction> rows{tx};
  std::vector<Heuristic> damages{damage};
  ASSERT_TRUE(run(store_->save(rows, damages)));
  Heuristic again = damage;
  again.reason = "again";
  damages = {again};
  ASSERT_TRUE(run(store_->record_heuristics(damages)));
  const auto all = run(store_->heuristics("", 10));
  ASSERT_TRUE(all);
  EXPECT_EQ(*all, std::vector{damage}) << "the first words stay";
  EXPECT_EQ(*run(store_->count_heuristics()), 1);
  ASSERT_TRUE(save(aborted(2)));
  Transaction over = aborted(3);
  step(over, Acknowledged{0, {}}, kNow);
  ASSERT_TRUE(save(over));
  EXPECT_EQ(*run(store_->forget(wall_from_us(kNow + 1), 10)), 1) << "not the damaged one, not the unfinished one";
  EXPECT_EQ(find(3), std::nullopt);
  EXPECT_TRUE(find(1));
}

/// A world around a store that two coordinators share, or have copies of: check 33.
class Recovery {
 public:
  explicit Recovery(sys::World world) : world_(world), network_(world) {
    network_.hosts[payment_.origin()] = payment_.handler();
    payment_.instead = [this](const net::HttpRequest&) {
      return payment_away ? std::optional(scripted::Participant::reply(500, "failed")) : std::nullopt;
    };
    config_.base_url = "http://coordinator:1";
    config_.notify_timeout = 500ms;
    config_.retry_first = config_.retry_max = 20ms;
  }
  /// A former process decided, and told nobody.
  Task<> leave_behind(sql::Database& db, int count) {
    Store store(db, "local");
    HF_CO_TRY(co_await store.migrate());
    HF_CO_TRY(const auto epoch, co_await store.take_epoch(world_.clock.wall()));
    static_cast<void>(epoch);
    for (int n = 0; n < count; ++n) {
      payment_.branches[gtrid(n)] = Branch::prepared;
      HF_CO_TRY(co_await store.record_commit(committed(n)));
    }
    co_return ok();
  }
  std::unique_ptr<Coordinator> coordinator(sql::Database& db) {
    return std::make_unique<Coordinator>(world_, config_, db, network_.sender());
  }
  asio::awaitable<void> until_committed(int count) {
    const auto open = [&] {
      return std::ranges::any_of(payment_.branches, [](const auto& b) { return b.second != Branch::committed; });
    };
    const Monotonic limit = world_.clock.now() + 20s;
    while (open() && world_.clock.now() < limit) co_await world_.clock.sleep_for(5ms);
    EXPECT_EQ(std::ssize(payment_.branches), count);
    EXPECT_FALSE(open());
    for (int n = 0; n < count; ++n) EXPECT_EQ(payment_.effects[gtrid(n)], 1) << "a double effect";
    EXPECT_EQ(payment_.contradictions, 0);
  }
  bool payment_away = false;  ///< it acknowledges nothing: who recovers has not finished

 private:
  sys::World world_;
  scripted::Network network_;
  scripted::Participant payment_{"payment"};
  CoordinatorConfig config_;
};

TEST_P(StoreTest, Check33TwoRecoverAtOnce) {
  constexpr int kCount = 50;
  Recovery recovery(loop_.world());
  ASSERT_TRUE(run(recovery.leave_behind(*db_, kCount)));
  const auto first = recovery.coordinator(*db_), second = recovery.coordinator(*db_);
  const auto both = [&]() -> asio::awaitable<void> {
    recovery.payment_away = true;  // else the first may have finished, and need not write again
    const Result<void> one = co_await first->start();
    const Result<void> two = co_await second->start();
    EXPECT_TRUE(one && two) << "no error is visible";
    recovery.payment_away = false;
    co_await recovery.until_committed(kCount);
    const std::function<asio::awaitable<int>(Coordinator&)> begin_at = [](Coordinator& at) -> asio::awaitable<int> {
      net::HttpRequest request = scripted::request_of("POST");
      request.target = "/2pc/v1/tx";
      const net::HttpHandler handler = at.http();
      const net::HttpResponse response = co_await handler(std::move(request));
      co_return response.status;
    };
    sys::Clock& clock = loop_.world().clock;
    int at_first = co_await begin_at(*first);  // until it has tried to write what payment acknowledged
    for (const Monotonic limit = clock.now() + 20s; at_first != 503 && clock.now() < limit;) {
      co_await clock.sleep_for(20ms);
      at_first = co_await begin_at(*first);
    }
    EXPECT_EQ(at_first, 503) << "it knows that it lost";
    EXPECT_EQ(co_await begin_at(*second), 201) << "the later epoch has the identity";
    co_await first->stop();
    co_await second->stop();
  };
  loop_.run_until_done(both());
}

// ---- damage: check 34 ----------------------------------------------------------------------------------------------

class Damage : public testing::Test {
 protected:
  std::unique_ptr<sql::Database> open() {
    auto opened = sql::open(sim_.world(), "sqlite:coordinator.db", "/data");
    EXPECT_TRUE(opened) << opened.error().to_string();
    return std::move(*opened);
  }
  void close(std::unique_ptr<sql::Database> db) { sim_.run_until_done(db->close()); }
  Result<void> start() {
    const std::unique_ptr<sql::Database> db = open();
    Recovery recovery(sim_.world());
    const auto coordinator = recovery.coordinator(*db);
    const Result<void> started = sim_.run_until_done(coordinator->start());
    sim_.run_until_done(coordinator->stop());
    sim_.run_until_done(db->close());
    return started;
  }
  /// What a start reads, and nothing else of it.
  Result<std::size_t> count_unfinished() {
    HF_TRY(const std::unique_ptr<sql::Database> db, sql::open(sim_.world(), "sqlite:coordinator.db", "/data"));
    const auto read = [&]() -> Task<std::size_t> {
      Store store(*db, "local");
      HF_CO_TRY(co_await store.migrate());
      HF_CO_TRY(const auto epoch, co_await store.take_epoch(wall_from_us(kNow)));
      static_cast<void>(epoch);
      HF_CO_TRY(const auto rows, co_await store.unfinished());
      co_return rows.size();
    };
    const Result<std::size_t> found = sim_.run_until_done(read());
    sim_.run_until_done(db->close());
    return found;
  }
  static constexpr const char* kFile = "/data/coordinator.db";
  sys::SimWorld sim_{3};
};

TEST_F(Damage, ATornLastRecordStarts) {
  // The power goes during each operation of a decision's write; what was written is torn.
  for (std::uint64_t n = 1; n <= 12; ++n) {
    SCOPED_TRACE(n);
    Recovery recovery(sim_.world());
    std::unique_ptr<sql::Database> db = open();
    ASSERT_TRUE(sim_.run_until_done(recovery.leave_behind(*db, 1)));
    Store store(*db, "local");
    ASSERT_TRUE(sim_.run_until_done(store.take_epoch(wall_from_us(kNow))));
    sim_.disk().fail_operation(n, Error{Code::unavailable, "power"}, UINT64_MAX);
    const bool told = sim_.run_until_done(store.record_commit(committed(100 + static_cast<int>(n)))).has_value();
    sim_.disk().crash(sys::SimDisk::Unsynced::torn);
    close(std::move(db));
    const Result<void> started = start();
    ASSERT_TRUE(started) << started.error().to_string();
    db = open();
    Store again(*db, "local");
    const auto row = sim_.run_until_done(again.find(gtrid(100 + static_cast<int>(n))));
    ASSERT_TRUE(row);
    if (told) EXPECT_TRUE(row->has_value()) << "acknowledged, and gone";
    close(std::move(db));
  }
}

TEST_F(Damage, ADamagedRecordRefuses) {
  Recovery recovery(sim_.world());
  std::unique_ptr<sql::Database> db = open();
  ASSERT_TRUE(sim_.run_until_done(recovery.leave_behind(*db, 20)));
  close(std::move(db));
  std::string& content = sim_.disk().content(kFile);
  const std::string healthy = content;
  int refused = 0;
  for (std::size_t at = healthy.find("http://payment:1/u"); at != std::string::npos;
       at = healthy.find("http://payment:1/u", at + 1)) {
    sim_.disk().content(kFile) = healthy;
    sim_.disk().content(kFile)[at + 7] ^= 1;  // another address: nobody but a checksum can tell
    const Result<std::size_t> started = count_unfinished();
    if (started) continue;  // the story's copy of the address: for people
    EXPECT_EQ(started.error().code, Code::corrupt) << started.error().to_string();
    EXPECT_NE(started.error().message.find("hf1.local.1."), std::string::npos) << "it names the transaction";
    if (refused++ == 0) EXPECT_FALSE(start()) << "the coordinator as a whole";
  }
  EXPECT_EQ(refused, 20);
  sim_.disk().content(kFile) = healthy;
  EXPECT_TRUE(start());
}

// Whatever page is gone: the start refuses, or nothing of what was decided is missing.
TEST_F(Damage, ALostPageLosesNoDecisionSilently) {
  constexpr std::size_t kPage = 4096, kCount = 200;
  Recovery recovery(sim_.world());
  std::unique_ptr<sql::Database> db = open();
  ASSERT_TRUE(sim_.run_until_done(recovery.leave_behind(*db, kCount)));
  close(std::move(db));
  const std::string healthy = sim_.disk().content(kFile);
  int refused = 0;
  for (std::size_t page = 0; page < healthy.size() / kPage; ++page) {
    SCOPED_TRACE(page);
    sim_.disk().content(kFile) = healthy;
    sim_.disk().content(kFile).replace(page * kPage, kPage, kPage, '\xee');
    const Result<std::size_t> found = count_unfinished();
    if (found) {
      EXPECT_EQ(*found, kCount);
    } else {
      EXPECT_EQ(found.error().code, Code::corrupt) << found.error().to_string();
      ++refused;
    }
  }
  EXPECT_GT(refused, 10);
}

// Check 33 on copies: a restored backup beside the original. Both believe that they own the decisions; the participants
// are told twice and act once.
TEST_F(Damage, Check33TwoRecoverOnCopies) {
  constexpr int kCount = 30;
  Recovery recovery(sim_.world());
  std::unique_ptr<sql::Database> db = open();
  ASSERT_TRUE(sim_.run_until_done(recovery.leave_behind(*db, kCount)));
  close(std::move(db));
  {
    auto made = sql::open(sim_.world(), "sqlite:copy.db", "/data");
    ASSERT_TRUE(made);
    close(std::move(*made));
  }
  sim_.disk().content("/data/copy.db") = sim_.disk().content(kFile);
  db = open();
  auto copied = sql::open(sim_.world(), "sqlite:copy.db", "/data");
  ASSERT_TRUE(copied);
  const auto first = recovery.coordinator(*db), second = recovery.coordinator(**copied);
  ASSERT_TRUE(sim_.run_until_done(first->start()));
  ASSERT_TRUE(sim_.run_until_done(second->start()));
  sim_.run_until_done(recovery.until_committed(kCount));
  sim_.run_until_done(first->stop());
  sim_.run_until_done(second->stop());
  close(std::move(db));
  close(std::move(*copied));
}

}  // namespace
}  // namespace hf::coordinator
