#pragma once

/// Two services with stock of their own and a coordinator of forty lines, in simulated time, for tests.

#include <set>

#include "participant/sim_network.h"
#include "participant/test_service.h"

namespace hf::participant {

/// Presumed abort, in memory: what it decided it repeats for ever, what it never heard of is aborted.
class ModelCoordinator {
 public:
  static constexpr const char* kUrl = "http://coordinator:1";
  ModelCoordinator(sys::SimWorld& sim, SimNetwork& network) : sim_(sim), network_(network) {}

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) {
    const std::string path(request.path());
    if (request.method == "GET") {
      const std::string gtrid = path.substr(11, path.size() - 11 - 8);  // /2pc/v1/tx/…/outcome
      wire::two_phase::OutcomeReport report;
      report.gtrid = gtrid;
      report.coordinator = "local";
      const auto decided = decided_.find(gtrid);
      report.outcome = decided != decided_.end()
                           ? (decided->second == Decision::commit ? wire::two_phase::Outcome::committed
                                                                  : wire::two_phase::Outcome::aborted)
                       : begun_.contains(gtrid) ? wire::two_phase::Outcome::pending
                                                : wire::two_phase::Outcome::aborted;
      co_return net::HttpResponse::json(200, encode(report));
    }
    const auto asked = wire::two_phase::parse_register_request(request.body);
    if (!asked || !begun_.contains(asked->transaction_id) || preparing_.contains(asked->transaction_id)) {
      co_return net::HttpResponse::json(400, wire::two_phase::encode_error_message("Cannot-Register"));
    }
    participants_[asked->transaction_id].insert(asked->protocols.front().url);
    wire::two_phase::RegisterResponse accepted;
    accepted.transaction_id = asked->transaction_id;
    accepted.protocols.push_back({wire::two_phase::Protocol::durable, kUrl});
    co_return net::HttpResponse::json(200, encode(accepted));
  }

  void begin(const std::string& gtrid) { begun_.insert(gtrid); }
  void give_up() { given_up_ = true; }

  /// Returns the decision; the notifications go on by themselves.
  asio::awaitable<Decision> commit(std::string gtrid) {
    preparing_.insert(gtrid);
    Decision decision = Decision::commit;
    for (const std::string& url : participants_[gtrid]) {
      const std::string vote = co_await ask(url + "/prepare", encode(wire::two_phase::PrepareRequest{gtrid}));
      if (vote != "prepared" && vote != "read-only") decision = Decision::abort;
    }
    co_return abort_or_commit(gtrid, decision);
  }
  Decision abort_or_commit(const std::string& gtrid, Decision decision) {
    preparing_.insert(gtrid);
    decided_[gtrid] = decision;
    for (const std::string& url : participants_[gtrid]) sim_.spawn(tell(url, gtrid, decision));
    return decision;
  }

 private:
  asio::awaitable<std::string> ask(std::string url, std::string body) {
    net::HttpRequest request;
    request.method = "POST";
    request.body = std::move(body);
    const Result<net::HttpResponse> answer =
        co_await network_.send(std::move(request), std::move(url), sim_.clock().now() + 5s);
    if (!answer) co_return std::string();
    const auto message = wire::two_phase::parse_message(answer->body);
    co_return message ? message->message : std::string();
  }
  asio::awaitable<void> tell(std::string url, std::string gtrid, Decision decision) {
    const std::string body = encode(wire::two_phase::NotifyRequest{gtrid, decision});
    while (!given_up_) {
      const std::string answer = co_await ask(url + "/notify", body);
      if (answer == "committed" || answer == "aborted") co_return;
      co_await sim_.clock().sleep_for(1s);
    }
  }

  sys::SimWorld& sim_;
  SimNetwork& network_;
  std::set<std::string> begun_, preparing_;
  std::map<std::string, std::set<std::string>> participants_;
  std::map<std::string, Decision> decided_;
  bool given_up_ = false;
};

/// A service that can die and come back; its database stays.
class SimService {
 public:
  SimService(sys::SimWorld& sim, SimNetwork& network, std::string name)
      : sim_(sim), network_(network), name_(std::move(name)), url_(fmt::format("http://{}:1", name_)) {
    db_ = std::move(*sql::open(sim_.world(), fmt::format("sqlite:{}.db", name_), "/data"));
    std::function<Result<void>(sql::Transaction&)> create = [](sql::Transaction& tx) -> Result<void> {
      for (const std::string& statement : stock_tables()) HF_TRY(tx.execute(statement));
      return ok();
    };
    HF_ASSERT(sim_.run_until_done(db_->write(std::move(create))).has_value());
    sim_.run_until_done(start());
  }
  ~SimService() {
    sim_.run_until_done(die());
    sim_.run_for(1h);  // whatever still runs on behalf of a dead life
    sim_.run_until_done(db_->close());
  }
  SimService(const SimService&) = delete;
  SimService& operator=(const SimService&) = delete;

  asio::awaitable<void> start() {
    Life life;
    life.branches = make_reservation_branches(sim_.world(), *db_, {.name = name_}, settle_stock);
    TwoPhaseConfig config;
    config.name = name_;
    config.base_url = url_;
    config.coordinator_url = ModelCoordinator::kUrl;
    config.secret = secret;
    SendHttp send = [this](net::HttpRequest request, std::string url, Monotonic deadline) {
      return network_.send(std::move(request), std::move(url), deadline);
    };
    life.service = std::make_unique<TestService>(sim_.world(), config, *life.branches, std::move(send));
    HF_ASSERT((co_await life.branches->start()).has_value());
    HF_ASSERT((co_await life.service->participant().start()).has_value());
    network_.connect(
        url_, [service = life.service.get()](net::HttpRequest request) { return service->handle(std::move(request)); });
    lives_.push_back(std::move(life));
    alive_ = true;
  }
  /// What it holds in memory is never used again; what it had handed to the database may still happen.
  asio::awaitable<void> die() {
    if (!alive_) co_return;
    alive_ = false;
    network_.disconnect(url_);
    Life& life = lives_.back();
    co_await life.service->participant().stop();
    co_await life.branches->close();
  }
  /// Where its next life is reached.
  void move_to(std::string url) { url_ = std::move(url); }
  const std::string& url() const { return url_; }
  Branches& branches() { return *lives_.back().branches; }

  std::string secret;  ///< of its next life

  std::size_t in_doubt() { return sim_.run_until_done(branches().in_doubt())->size(); }
  std::string stock(std::int64_t item = 1) {
    std::function<Result<std::string>(sql::Reader&)> work = [item](sql::Reader& reader) -> Result<std::string> {
      HF_TRY(const auto row, reader.query_one("SELECT avail, reserved, sold FROM stock WHERE item = ?", {item}));
      return fmt::format("{}/{}/{}", row->integer(0), row->integer(1), row->integer(2));
    };
    return *sim_.run_until_done(db_->read<std::string>(std::move(work)));
  }

 private:
  struct Life {
    std::unique_ptr<Branches> branches;
    std::unique_ptr<TestService> service;
  };
  sys::SimWorld& sim_;
  SimNetwork& network_;
  const std::string name_;
  std::string url_;
  std::unique_ptr<sql::Database> db_;
  std::vector<Life> lives_;
  bool alive_ = false;
};

}  // namespace hf::participant
