#pragma once

/// A coordinator with its database in a simulated world, two scripted participants, an order service that is told the
/// end.

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "coordinator/coordinator.h"
#include "coordinator/scripted.h"

namespace hf::coordinator {

namespace json = boost::json;
using scripted::Branch;
using scripted::wire::OutcomeReport;
using wire::two_phase::Decision;
using wire::two_phase::Outcome;

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() {
    network_.hosts[payment_.origin()] = payment_.handler();
    network_.hosts[inventory_.origin()] = inventory_.handler();
    network_.hosts[order_.origin()] = order_.handler();
  }
  ~CoordinatorTest() override {
    if (coordinator_) stop();
  }

  void start() {
    auto opened = sql::open(sim_.world(), "sqlite:coordinator.db", "/data");
    ASSERT_TRUE(opened) << opened.error().to_string();
    db_ = std::move(*opened);
    *alive_ = true;
    coordinator_ = std::make_unique<Coordinator>(sim_.world(), config_, *db_, network_.sender(alive_));
    const Result<void> started = sim_.run_until_done(coordinator_->start());
    ASSERT_TRUE(started) << started.error().to_string();
    network_.hosts["http://coordinator:1"] = coordinator_->http();
  }
  void stop() {
    network_.hosts.erase("http://coordinator:1");
    sim_.run_until_done(coordinator_->stop());
    coordinator_.reset();
    sim_.run_until_done(db_->close());
    db_.reset();
  }
  /// The machine loses power: nothing that was not durable is there afterwards.
  void crash() {
    *alive_ = false;
    sim_.disk().crash(sys::SimDisk::Unsynced::lost);
    stop();
    alive_ = std::make_shared<bool>(true);
  }
  void restart() {
    crash();
    start();
  }

  template <class T>
  T run(Task<T> task) {
    Result<T> result = sim_.run_until_done(std::move(task));
    EXPECT_TRUE(result) << result.error().to_string();
    return std::move(*result);
  }
  /// A transaction with an active branch at payment and inventory.
  std::string prepared_ground(bool completion = false) {
    const std::string gtrid = run(initiator_.begin()).gtrid;
    for (scripted::Participant* p : {&payment_, &inventory_}) {
      p->branches[gtrid] = Branch::active;
      EXPECT_EQ(run(initiator_.enrol(gtrid, p->name(), p->url())).status, 200);
    }
    if (completion) {
      EXPECT_EQ(run(initiator_.enrol(gtrid, "order", order_.url(), wire::two_phase::Protocol::completion)).status, 200);
    }
    return gtrid;
  }
  OutcomeReport commit(const std::string& gtrid) { return run(initiator_.end(gtrid, "commit")); }
  OutcomeReport outcome(const std::string& gtrid) { return run(initiator_.outcome(gtrid)); }
  json::value ask(std::string path, int want = 200) {
    const net::HttpResponse response = run(initiator_.call("GET", std::move(path)));
    EXPECT_EQ(response.status, want) << response.body;
    return json::parse(response.body);
  }
  net::HttpResponse admin(std::string method, std::string path, std::string body = {}) {
    net::HttpRequest request = scripted::request_of(std::move(method), std::move(body));
    request.target = std::move(path);
    return sim_.run_until_done(coordinator_->admin_http()(std::move(request)));
  }
  void arm(const char* faults) { ASSERT_TRUE(sim_.world().faults.arm(faults)); }
  Branch at(scripted::Participant& p, const std::string& gtrid) { return p.branches.at(gtrid); }

  sys::SimWorld sim_{7};
  scripted::Network network_{sim_.world()};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  scripted::Participant payment_{"payment"}, inventory_{"inventory"};
  scripted::Completion order_{"order"};
  scripted::Initiator initiator_{sim_.world(), "http://coordinator:1", network_.sender()};
  CoordinatorConfig config_ = [] {
    CoordinatorConfig config;
    config.base_url = "http://coordinator:1";
    return config;
  }();
  std::unique_ptr<sql::Database> db_;
  std::unique_ptr<Coordinator> coordinator_;
};

}  // namespace hf::coordinator
