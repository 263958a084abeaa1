/// What is wrong with the obvious version of this protocol (docs/protocols/two-phase-commit.md, "What goes wrong
/// elsewhere"): each defect shown in a straightforward service, and absent in ours, in the same simulated world.

#include "participant/sim_two_phase.h"

namespace hf::participant {
namespace {

using wire::two_phase::NotifyRequest;
using wire::two_phase::PrepareRequest;
using Fate = SimNetwork::Fate;

const std::string kTx = gtrid_of(1);

/// Votes and ends in memory. It asks nobody who anybody is, and after two minutes it commits by itself, so that no lock
/// is held for ever.
class ObviousService {
 public:
  ObviousService(sys::SimWorld& sim, SimNetwork& network, std::string url) : sim_(sim), url_(std::move(url)) {
    network.connect(url_, [this](net::HttpRequest request) { return handle(std::move(request)); });
  }
  void take(std::int64_t qty) {
    held_ = qty;
    sim_.spawn(commit_by_timer());
  }
  std::int64_t sold() const { return sold_; }
  const std::string& url() const { return url_; }

 private:
  static constexpr Duration kAutoCommit = 120s;

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) {
    if (request.target.ends_with("/prepare")) co_return message("prepared");
    const auto told = wire::two_phase::parse_notify_request(request.body);
    end(told->decision);
    co_return message(told->decision == Decision::commit ? "committed" : "aborted");
  }
  static net::HttpResponse message(std::string text) {
    return net::HttpResponse::json(200, encode(wire::two_phase::Message{std::move(text), {}}));
  }
  void end(Decision decision) {
    if (decision == Decision::commit) sold_ += held_;
    held_ = 0;
  }
  asio::awaitable<void> commit_by_timer() {
    co_await sim_.clock().sleep_for(kAutoCommit);
    end(Decision::commit);
  }

  sys::SimWorld& sim_;
  const std::string url_;
  std::int64_t held_ = 0, sold_ = 0;
};

/// Drops whoever did not answer prepare, decides, and tells the others, three times at most.
class ObviousInitiator {
 public:
  ObviousInitiator(sys::SimWorld& sim, SimNetwork& network) : sim_(sim), network_(network) {}

  asio::awaitable<Decision> commit(std::vector<std::string> participants) {
    Decision decision = Decision::commit;
    std::vector<std::string> heard_from;
    for (const std::string& url : participants) {
      if (co_await post(url + "/prepare", encode(PrepareRequest{kTx}))) {
        heard_from.push_back(url);
      } else {
        decision = Decision::abort;
      }
    }
    co_await tell(heard_from, decision);
    co_return decision;
  }
  asio::awaitable<void> tell(std::vector<std::string> participants, Decision decision) {
    for (const std::string& url : participants) {
      for (int tried = 0; tried < 3; ++tried) {
        if (co_await post(url + "/notify", encode(NotifyRequest{kTx, decision}))) break;
        co_await sim_.clock().sleep_for(5s);
      }
    }
  }

 private:
  asio::awaitable<bool> post(std::string url, std::string body) {
    net::HttpRequest request;
    request.method = "POST";
    request.body = std::move(body);
    const auto answer = co_await network_.send(std::move(request), std::move(url), sim_.clock().now() + 15s);
    co_return answer && answer->status == 200;
  }
  sys::SimWorld& sim_;
  SimNetwork& network_;
};

class DefectsTest : public ::testing::Test {
 protected:
  DefectsTest() {
    network_.connect(ModelCoordinator::kUrl,
                     [this](net::HttpRequest request) { return coordinator_.handle(std::move(request)); });
  }
  /// Both of the obvious ones hold three; both of ours were called for three.
  void call_all() {
    obvious_payment_.take(3);
    obvious_inventory_.take(3);
    coordinator_.begin(kTx);
    for (SimService* service : {&payment_, &inventory_}) {
      net::HttpRequest request;
      request.method = "POST";
      request.headers.add("x-b7a-xid", kTx);
      request.headers.add("x-b7a-register-at", wire::two_phase::register_url(ModelCoordinator::kUrl, kTx));
      request.body = "1 3";
      const auto answer =
          sim_.run_until_done(network_.send(std::move(request), service->url() + "/take", sim_.clock().now() + 5s));
      ASSERT_TRUE(answer && answer->status == 200);
    }
  }
  void lose(Fate fate, std::string host_and_path_end) {
    network_.script = [fate,
                       end = std::move(host_and_path_end)](const net::HttpRequest& request) -> std::optional<Fate> {
      if (!request.target.ends_with(end)) return std::nullopt;
      return fate;
    };
  }
  /// The answer to the second prepare of each run is lost.
  void lose_second_prepare_answer() {
    network_.script = [this](const net::HttpRequest& request) -> std::optional<Fate> {
      if (!request.target.ends_with("/prepare")) return std::nullopt;
      return ++prepares_ % 2 == 0 ? std::optional(Fate::answer_lost) : std::nullopt;
    };
  }

  sys::SimWorld sim_{1};
  SimNetwork network_{sim_};
  ObviousService obvious_payment_{sim_, network_, "http://obvious-payment:1"};
  ObviousService obvious_inventory_{sim_, network_, "http://obvious-inventory:1"};
  ObviousInitiator obvious_initiator_{sim_, network_};
  ModelCoordinator coordinator_{sim_, network_};
  SimService payment_{sim_, network_, "payment"}, inventory_{sim_, network_, "inventory"};
  int prepares_ = 0;
};

// A vote that is lost on its way: who did not answer is not told, and commits after two minutes what was aborted.
TEST_F(DefectsTest, ALostVote) {
  call_all();
  lose_second_prepare_answer();
  std::vector<std::string> both = {obvious_payment_.url(), obvious_inventory_.url()};
  EXPECT_EQ(sim_.run_until_done(obvious_initiator_.commit(both)), Decision::abort);
  EXPECT_EQ(sim_.run_until_done(coordinator_.commit(kTx)), Decision::abort);
  sim_.run_for(5min);
  EXPECT_EQ(obvious_payment_.sold(), 0);
  EXPECT_EQ(obvious_inventory_.sold(), 3) << "the defect: half of an aborted transaction is committed";
  EXPECT_EQ(payment_.stock(), "100/0/0");
  EXPECT_EQ(inventory_.stock(), "100/0/0");
}

// The decision is abort, and nobody is left to say it: the timer commits.
TEST_F(DefectsTest, ADecisionByTimer) {
  call_all();
  for (SimService* service : {&payment_, &inventory_}) {
    ASSERT_TRUE(sim_.run_until_done(service->branches().prepare(kTx)));
  }
  network_.disconnect(ModelCoordinator::kUrl);
  sim_.run_for(10min);
  EXPECT_EQ(obvious_payment_.sold(), 3) << "the defect: nobody has decided that";
  EXPECT_EQ(payment_.stock(), "97/3/0") << "ours waits";
  network_.connect(ModelCoordinator::kUrl,
                   [this](net::HttpRequest request) { return coordinator_.handle(std::move(request)); });
  coordinator_.abort_or_commit(kTx, Decision::abort);
  sim_.run_for(1min);
  EXPECT_EQ(payment_.stock(), "100/0/0");
  EXPECT_EQ(inventory_.stock(), "100/0/0");
}

// Three losses of the same notification, and it is never sent again.
TEST_F(DefectsTest, ANotificationGivenUp) {
  call_all();
  for (SimService* service : {&payment_, &inventory_}) {
    ASSERT_TRUE(sim_.run_until_done(service->branches().prepare(kTx)));
  }
  lose(Fate::request_lost, "/notify");
  coordinator_.abort_or_commit(kTx, Decision::abort);
  std::vector<std::string> both = {obvious_payment_.url(), obvious_inventory_.url()};
  sim_.run_until_done(obvious_initiator_.tell(both, Decision::abort));
  network_.script = nullptr;  // the network is well again, two minutes too late
  sim_.run_for(5min);
  EXPECT_EQ(obvious_payment_.sold(), 3) << "the defect: aborted, and committed";
  EXPECT_EQ(payment_.stock(), "100/0/0");
  EXPECT_EQ(inventory_.stock(), "100/0/0");
}

// A participant that comes back at another address is never found; ours asks by itself.
TEST_F(DefectsTest, AnAddressThatChangedAtARestart) {
  call_all();
  ASSERT_TRUE(sim_.run_until_done(payment_.branches().prepare(kTx)));
  ASSERT_TRUE(sim_.run_until_done(inventory_.branches().prepare(kTx)));
  sim_.run_until_done(payment_.die());
  payment_.move_to("http://payment-elsewhere:1");
  sim_.run_until_done(payment_.start());
  network_.disconnect(obvious_payment_.url());
  ObviousService moved(sim_, network_, "http://obvious-payment-elsewhere:1");
  coordinator_.abort_or_commit(kTx, Decision::commit);
  std::vector<std::string> both = {obvious_payment_.url(), obvious_inventory_.url()};
  sim_.run_until_done(obvious_initiator_.tell(both, Decision::commit));
  sim_.run_for(60s);
  EXPECT_EQ(obvious_inventory_.sold(), 3);
  EXPECT_EQ(moved.sold(), 0) << "the defect: what it had voted for is forgotten, and it is not found";
  EXPECT_EQ(payment_.stock(), "97/0/3");
  EXPECT_EQ(inventory_.stock(), "97/0/3");
  coordinator_.give_up();  // the old address is told for ever; that is not what this test waits for
}

// Whoever reaches the port decides.
TEST_F(DefectsTest, AStrangersDecision) {
  sim_.run_until_done(payment_.die());
  payment_.secret = "s3cret";
  sim_.run_until_done(payment_.start());
  call_all();
  ASSERT_TRUE(sim_.run_until_done(payment_.branches().prepare(kTx)));
  const auto forge = [&](const std::string& url) {
    net::HttpRequest request;
    request.method = "POST";
    request.body = encode(NotifyRequest{kTx, Decision::commit});
    return sim_.run_until_done(network_.send(std::move(request), url + "/notify", sim_.clock().now() + 5s))->status;
  };
  EXPECT_EQ(forge(obvious_payment_.url()), 200);
  EXPECT_EQ(obvious_payment_.sold(), 3) << "the defect";
  EXPECT_EQ(forge(wire::two_phase::participant_url(payment_.url(), kTx)), 401);
  EXPECT_EQ(payment_.stock(), "97/3/0");
}

}  // namespace
}  // namespace hf::participant
