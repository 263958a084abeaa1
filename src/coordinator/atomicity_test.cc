/// Goal: whatever fails, no participant commits while another aborts, nothing stays prepared once the faults stop, and
/// nobody is told of a confirmation that is none (checks 26, 27, 38, 40, 41).
/// Method: one seed drives a network that loses, doubles, delays and reorders, participants that vote no or lose their
/// memory of what they had not prepared, and a coordinator whose machine loses power at any operation of its disk.

#include <gtest/gtest.h>

#include "base/log.h"
#include "coordinator/scripted.h"

namespace hf::coordinator {
namespace {

using scripted::Branch;
using wire::two_phase::Outcome;

constexpr int kTransactions = 12;
constexpr Duration kAskAfter = 5s, kAskPause = 3s;

/// One process of the coordinator, from its start to its death.
struct Life {
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<Coordinator> coordinator;
  bool stopped = false;
};

class World {
 public:
  explicit World(std::uint64_t seed) : sim_(seed) {
    network_.faults = {.lose = 0.05, .duplicate = 0.1, .delay_max = 40ms};
    for (auto& p : participants_) {
      network_.hosts[p->origin()] = p->handler();
      p->votes = [this](const std::string&) {
        return chance(10)   ? wire::two_phase::Message{"aborted", "Insufficient stock!"}
               : chance(20) ? wire::two_phase::Message{"read-only", {}}
                            : wire::two_phase::Message{"prepared", {}};
      };
    }
    network_.hosts[order_.origin()] = order_.handler();
    network_.hosts["http://coordinator:1"] = [this](net::HttpRequest request) { return front(std::move(request)); };
    config_.base_url = "http://coordinator:1";
    config_.prepare_timeout = config_.notify_timeout = 1s;
    config_.retry_max = 2s;
    config_.active_max = 10s;
  }
  ~World() {
    over_ = true;  // a branch that was never prepared would be asked about for ever
    for (const auto& life : lives_) {
      *life->alive = false;
      bury(*life);
    }
    sim_.run_for(2min);
    for (const auto& life : lives_) HF_ASSERT(life->stopped);
  }

  void run() {
    start();
    for (int i = 0; i < kTransactions; ++i) sim_.spawn(buy(i));
    for (int i = 0; i < 60; ++i) {
      sim_.run_for(std::chrono::milliseconds(100 + static_cast<int>(below(400))));
      if (power_is_gone() || chance(8)) restart();
      if (chance(10)) forget(*participants_[below(participants_.size())]);
    }
    network_.faults = {};
    healed_ = true;
    restart();
    sim_.run_for(3min);
  }

  void check() {
    for (const auto& [gtrid, told] : answers_) {
      SCOPED_TRACE(gtrid);
      std::set<Branch> ends;
      for (const auto& p : participants_) {
        const auto found = p->branches.find(gtrid);
        if (found != p->branches.end() && found->second != Branch::read_only) ends.insert(found->second);
        EXPECT_LE(p->effects[gtrid], 1);
      }
      EXPECT_FALSE(ends.contains(Branch::prepared)) << "in doubt although all is well";
      EXPECT_FALSE(ends.contains(Branch::committed) &&
                   (ends.contains(Branch::aborted) || ends.contains(Branch::active)))
          << "half done";
      for (const Outcome outcome : told) {
        if (outcome == Outcome::committed) EXPECT_FALSE(ends.contains(Branch::aborted)) << "told committed";
        if (outcome == Outcome::aborted) EXPECT_FALSE(ends.contains(Branch::committed)) << "told aborted";
      }
      EXPECT_FALSE(told.contains(Outcome::committed) && told.contains(Outcome::aborted)) << "a decision changed";
      const std::set<wire::two_phase::Decision>& heard = order_.told[gtrid];
      EXPECT_LE(heard.size(), 1U) << "the order was told both";
      if (heard.contains(wire::two_phase::Decision::commit)) {
        EXPECT_FALSE(ends.contains(Branch::aborted)) << "a confirmation of an aborted transaction";
        ++confirmed;
      }
      if (ends.contains(Branch::committed)) {
        EXPECT_TRUE(heard.contains(wire::two_phase::Decision::commit)) << "committed, and the customer never told";
      }
    }
    for (const auto& p : participants_) EXPECT_EQ(p->contradictions, 0) << p->name();
  }
  int confirmed = 0, deaths = 0;

 private:
  std::uint64_t below(std::uint64_t n) { return sim_.world().random.below(n); }
  bool chance(std::uint64_t one_in) { return below(one_in) == 0; }

  // ---- the coordinator's lives
  asio::awaitable<net::HttpResponse> front(net::HttpRequest request) {
    if (power_is_gone() || !lives_.back()->coordinator) co_return net::HttpResponse::text(503, "");
    const net::HttpHandler handler = lives_.back()->coordinator->http();
    const std::shared_ptr<bool> alive = lives_.back()->alive;
    net::HttpResponse response = co_await handler(std::move(request));
    // What a machine says after its power has gone, nobody hears.
    if (power_is_gone() || !*alive) co_return net::HttpResponse::text(503, "");
    co_return response;
  }
  bool power_is_gone() { return armed_ && sim_.disk().operations() >= dies_at_; }

  SendHttp sender(std::shared_ptr<bool> alive) {
    return [this, send = network_.sender(alive)](net::HttpRequest request, std::string url,
                                                 Monotonic deadline) -> Task<net::HttpResponse> {
      if (power_is_gone()) co_return Error{Code::unavailable, "the power is gone"};
      co_return co_await send(std::move(request), std::move(url), deadline);
    };
  }
  void start() {
    auto& life = lives_.emplace_back(std::make_unique<Life>());
    auto opened = sql::open(sim_.world(), "sqlite:coordinator.db", "/data");
    HF_ASSERT(opened.has_value());
    life->database = std::move(*opened);
    life->coordinator = std::make_unique<Coordinator>(sim_.world(), config_, *life->database, sender(life->alive));
    const Result<void> started = sim_.run_until_done(life->coordinator->start());
    ASSERT_TRUE(started) << started.error().to_string();
    if (healed_) return;
    const std::uint64_t operations = 1 + below(300);
    sim_.disk().fail_operation(operations, Error{Code::unavailable, "power"}, UINT64_MAX);
    dies_at_ = sim_.disk().operations() + operations;
    armed_ = true;
  }
  void restart() {
    ++deaths;
    *lives_.back()->alive = false;
    constexpr sys::SimDisk::Unsynced kinds[] = {sys::SimDisk::Unsynced::lost, sys::SimDisk::Unsynced::torn,
                                                sys::SimDisk::Unsynced::scattered, sys::SimDisk::Unsynced::kept};
    sim_.disk().crash(kinds[below(4)]);
    armed_ = false;
    bury(*lives_.back());
    start();
  }
  /// The dead process's coroutines run out; nothing of them reaches anybody.
  void bury(Life& life) {
    if (std::exchange(life.stopped, true) || !life.coordinator) return;
    life.stopped = false;
    sim_.spawn([](Life& dead) -> asio::awaitable<void> {
      co_await dead.coordinator->stop();
      co_await dead.database->close();
      dead.stopped = true;
    }(life));
  }

  // ---- participants
  /// It dies and comes back: what was not prepared is forgotten.
  void forget(scripted::Participant& p) {
    std::erase_if(p.branches, [](const auto& branch) { return branch.second == Branch::active; });
  }
  /// After T1 in doubt it asks, for ever. It never decides by itself.
  asio::awaitable<void> ask(scripted::Participant& p, std::string gtrid) {
    co_await sim_.clock().sleep_for(kAskAfter);
    while (!over_) {
      const auto found = p.branches.find(gtrid);
      if (found == p.branches.end()) co_return;
      if (found->second != Branch::prepared && found->second != Branch::active) co_return;
      if (found->second == Branch::prepared) {
        const auto report = co_await initiator_.outcome(gtrid);
        if (report) answers_[gtrid].insert(report->outcome);
        if (report && report->outcome != Outcome::pending) {
          const auto decision = report->outcome == Outcome::committed ? wire::two_phase::Decision::commit
                                                                      : wire::two_phase::Decision::abort;
          net::HttpRequest own = scripted::request_of("POST", encode(wire::two_phase::NotifyRequest{gtrid, decision}));
          own.target = "/notify";
          p.answer(own);
          co_return;
        }
      }
      co_await sim_.clock().sleep_for(kAskPause);
    }
  }

  // ---- the initiator
  asio::awaitable<void> buy(int number) {
    co_await sim_.clock().sleep_for(std::chrono::milliseconds(below(15'000)));
    const auto begun = co_await initiator_.begin();
    if (!begun) co_return;
    const std::string gtrid = begun->gtrid;
    answers_[gtrid];
    if (number % 3 == 0) {
      if (!co_await enrolled(gtrid, "order", order_.url(), wire::two_phase::Protocol::completion)) co_return;
    }
    for (const auto& p : participants_) {
      p->branches.try_emplace(gtrid, Branch::active);
      sim_.spawn(ask(*p, gtrid));
      const auto protocol =
          p->name() == "fast" ? wire::two_phase::Protocol::volatile_ : wire::two_phase::Protocol::durable;
      if (!co_await enrolled(gtrid, p->name(), p->url(), protocol)) {
        note(gtrid, co_await initiator_.end(gtrid, "abort"));
        co_return;
      }
    }
    if (number % 3 != 0 && !co_await enrolled(gtrid, "order", order_.url(), wire::two_phase::Protocol::completion)) {
      co_return;  // walks away: it expires
    }
    for (int i = 0; i < 4; ++i) {
      const auto report = co_await initiator_.end(gtrid, chance(12) ? "abort" : "commit");
      note(gtrid, report);
      if (report && report->outcome != Outcome::pending && chance(2)) co_return;
      co_await sim_.clock().sleep_for(500ms);
    }
  }
  asio::awaitable<bool> enrolled(std::string gtrid, std::string id, std::string url, wire::two_phase::Protocol p) {
    const auto answer = co_await initiator_.enrol(std::move(gtrid), std::move(id), std::move(url), p);
    co_return answer && answer->status == 200;
  }
  void note(const std::string& gtrid, const Result<wire::two_phase::OutcomeReport>& report) {
    if (report && report->outcome != Outcome::pending) answers_[gtrid].insert(report->outcome);
  }

  sys::SimWorld sim_;
  scripted::Network network_{sim_.world()};
  CoordinatorConfig config_;
  std::vector<std::unique_ptr<scripted::Participant>> participants_ = [] {
    std::vector<std::unique_ptr<scripted::Participant>> all;
    for (const char* name : {"payment", "inventory", "fast"}) {
      all.push_back(std::make_unique<scripted::Participant>(name));
    }
    return all;
  }();
  scripted::Completion order_{"order"};
  scripted::Initiator initiator_{sim_.world(), "http://coordinator:1", network_.sender()};
  std::map<std::string, std::set<Outcome>> answers_;
  std::vector<std::unique_ptr<Life>> lives_;  // their coroutines end before them: see ~World
  std::uint64_t dies_at_ = 0;
  bool armed_ = false, healed_ = false, over_ = false;
};

class Atomicity : public testing::TestWithParam<int> {};

TEST_P(Atomicity, HoldsUnderFaults) {
  constexpr int kSeeds = 50;
  log::set_level(log::Level::off);
  int confirmed = 0, deaths = 0;
  for (int i = 0; i < kSeeds && !HasFailure(); ++i) {
    const int seed = GetParam() * kSeeds + i;
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(static_cast<std::uint64_t>(seed));
    world.run();
    world.check();
    confirmed += world.confirmed;
    deaths += world.deaths;
  }
  log::set_level(log::Level::info);
  EXPECT_GT(confirmed, kSeeds) << "the faults leave too little alive to prove anything";
  EXPECT_GT(deaths, kSeeds);
}
INSTANTIATE_TEST_SUITE_P(ThousandSeeds, Atomicity, testing::Range(0, 20));

}  // namespace
}  // namespace hf::coordinator
