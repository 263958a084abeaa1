/// Participants in simulated time, on a network that loses, doubles and reorders. Numbers in comments: the checks of
/// docs/protocols/two-phase-commit.md.

#include "participant/sim_two_phase.h"
#include "sys/wait.h"

namespace hf::participant {
namespace {

class SimTwoPhase {
 public:
  explicit SimTwoPhase(std::uint64_t seed)
      : sim(seed),
        network(sim),
        coordinator(sim, network),
        payment(sim, network, "payment"),
        inventory(sim, network, "inventory") {
    connect_coordinator();
  }
  void connect_coordinator() {
    network.connect(ModelCoordinator::kUrl,
                    [this](net::HttpRequest request) { return coordinator.handle(std::move(request)); });
  }

  /// Takes two of item 1 in both services, one a call: half a branch would show.
  asio::awaitable<Decision> buy(std::string gtrid) {
    coordinator.begin(gtrid);
    for (const std::string& service : {payment.url(), inventory.url(), payment.url(), inventory.url()}) {
      if (!co_await call(service, gtrid)) co_return coordinator.abort_or_commit(gtrid, Decision::abort);
    }
    co_return co_await coordinator.commit(gtrid);
  }
  asio::awaitable<bool> call(std::string service, std::string gtrid) {
    net::HttpRequest request;
    request.method = "POST";
    request.headers.add("x-b7a-xid", gtrid);
    request.headers.add("x-b7a-register-at", wire::two_phase::register_url(ModelCoordinator::kUrl, gtrid));
    request.body = "1 1";
    const Result<net::HttpResponse> answer =
        co_await network.send(std::move(request), service + "/take", sim.clock().now() + 5s);
    co_return answer && answer->status == 200;
  }

  sys::SimWorld sim;
  SimNetwork network;
  ModelCoordinator coordinator;
  SimService payment, inventory;
};

TEST(SimTwoPhaseTest, BothOrNeither) {
  SimTwoPhase world(1);
  EXPECT_EQ(world.sim.run_until_done(world.buy(gtrid_of(1))), Decision::commit);
  world.sim.run_for(5s);
  EXPECT_EQ(world.payment.stock(), "98/0/2");
  EXPECT_EQ(world.inventory.stock(), "98/0/2");
}

// 26: each of the four messages of one participant lost once.
TEST(SimTwoPhaseTest, AnyMessageLostOnceTheOutcomeIsTheSameEverywhere) {
  using Fate = SimNetwork::Fate;
  for (const std::string path : {"/prepare", "/notify"}) {
    for (const Fate fate : {Fate::request_lost, Fate::answer_lost}) {
      SimTwoPhase world(1);
      bool lost = false;
      world.network.script = [&](const net::HttpRequest& request) -> std::optional<Fate> {
        if (lost || !request.target.ends_with(path)) return std::nullopt;
        lost = true;
        return fate;
      };
      const Decision decision = world.sim.run_until_done(world.buy(gtrid_of(1)));
      EXPECT_EQ(decision, path == "/prepare" ? Decision::abort : Decision::commit) << "silence is a no";
      world.sim.run_for(60s);
      EXPECT_TRUE(lost);
      const std::string want = decision == Decision::commit ? "98/0/2" : "100/0/0";
      EXPECT_EQ(world.payment.stock(), want) << path;
      EXPECT_EQ(world.inventory.stock(), want) << path;
    }
  }
}

// 38, D42: ten minutes without a coordinator, a restart in between: prepared all the while, alarmed, then told.
TEST(SimTwoPhaseTest, WithoutACoordinatorItWaits) {
  for (const Decision decision : {Decision::commit, Decision::abort}) {
    SimTwoPhase world(1);
    const std::string tx = gtrid_of(1);
    world.coordinator.begin(tx);
    ASSERT_TRUE(world.sim.run_until_done(world.call(world.payment.url(), tx)));
    ASSERT_TRUE(world.sim.run_until_done(world.payment.branches().prepare(tx)));
    world.network.disconnect(ModelCoordinator::kUrl);
    world.sim.run_for(5min);
    EXPECT_EQ(world.payment.stock(), "99/1/0");
    EXPECT_NE(world.sim.world().metrics.expose().find(
                  "holdfast_participant_in_doubt_branches_old{participant=\"payment\"} 1"),
              std::string::npos);
    world.sim.run_until_done(world.payment.die());
    world.sim.run_until_done(world.payment.start());
    world.sim.run_for(5min);
    EXPECT_EQ(world.payment.in_doubt(), 1U);
    EXPECT_EQ(world.payment.stock(), "99/1/0");
    world.connect_coordinator();
    world.sim.run_for(60s);
    EXPECT_EQ(world.payment.in_doubt(), 1U) << "the coordinator is back and has not decided";
    // Decided, and every notification of it lost: it is asked, at most ask_max later.
    world.network.script = [](const net::HttpRequest& request) -> std::optional<SimNetwork::Fate> {
      if (request.target.ends_with("/notify")) return SimNetwork::Fate::request_lost;
      return std::nullopt;
    };
    world.coordinator.abort_or_commit(tx, decision);
    world.sim.run_for(40s);
    EXPECT_EQ(world.payment.in_doubt(), 0U);
    EXPECT_EQ(world.payment.stock(), decision == Decision::commit ? "99/0/1" : "100/0/0");
    world.network.script = nullptr;
  }
}

// 22–27 at random: every message may be lost, doubled or overtaken, every service may die at any moment.
class SimTwoPhaseSeeds : public ::testing::TestWithParam<int> {};

TEST_P(SimTwoPhaseSeeds, BothOrNeitherWhateverHappens) {
  constexpr int kTransactions = 45;
  SimTwoPhase world(static_cast<std::uint64_t>(GetParam()));
  world.network.faults = {.lose_request = 0.03, .lose_answer = 0.03, .duplicate = 0.1, .delay_max = 400ms};
  std::map<std::string, Decision> decided;
  int running = kTransactions;
  const auto buyer = [&](int n) -> asio::awaitable<void> {
    co_await world.sim.clock().sleep_for(n * 1500ms);
    const std::string gtrid = gtrid_of(n + 1);
    decided[gtrid] = co_await world.buy(gtrid);
    --running;
  };
  for (int n = 0; n < kTransactions; ++n) world.sim.spawn(buyer(n));
  while (running > 0) {
    world.sim.run_for(std::chrono::milliseconds(world.sim.world().random.below(15000)));
    SimService& victim = world.sim.world().random.below(2) == 0 ? world.payment : world.inventory;
    world.sim.run_until_done(victim.die());
    world.sim.run_for(std::chrono::milliseconds(world.sim.world().random.below(3000)));
    world.sim.run_until_done(victim.start());
  }
  world.network.faults = {};
  world.sim.run_for(10min);  // nothing is lost any more: everything must come to its end

  int committed = 0;
  for (const auto& [gtrid, decision] : decided) committed += decision == Decision::commit ? 1 : 0;
  EXPECT_GT(committed, 0);
  EXPECT_LT(committed, kTransactions);
  const std::string want = fmt::format("{}/0/{}", 100 - 2 * committed, 2 * committed);
  EXPECT_EQ(world.payment.stock(), want);
  EXPECT_EQ(world.inventory.stock(), want);
  for (SimService* service : {&world.payment, &world.inventory}) {
    EXPECT_EQ(service->in_doubt(), 0U);
    EXPECT_TRUE(world.sim.run_until_done(service->branches().heuristics())->empty());
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, SimTwoPhaseSeeds, ::testing::Range(1, 21));

}  // namespace
}  // namespace hf::participant
