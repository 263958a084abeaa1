#pragma once

/// The two-phase commit shop as its processes would run it: coordinator, order service, payment, inventory, each on a
/// store of its own, and a broker for the confirmations. In whatever world, over whatever network it is given.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "broker/broker.h"
#include "coordinator/coordinator.h"
#include "mq/client.h"
#include "shop/two_phase/inventory.h"
#include "shop/two_phase/orders.h"
#include "shop/two_phase/payment.h"
#include "sql/database.h"

namespace hf::test {

struct ServicesConfig {
  std::string folder = "/data";  ///< of SQLite files and the broker
  std::string coordinator_db = "sqlite:coordinator.db", orders_db = "sqlite:orders.db";
  std::string payment_db = "sqlite:payment.db", inventory_db = "sqlite:inventory.db";
  std::string coordinator_url = "http://coordinator:1", orders_url = "http://orders:1";
  std::string payment_url = "http://payment:1", inventory_url = "http://inventory:1";
  coordinator::CoordinatorConfig coordinator;
  shop::PaymentConfig payment;
  shop::InventoryConfig inventory;
  shop::PlaceOrderConfig orders;
  participant::TwoPhaseConfig link;
};

/// One strand. Each part can be started and stopped by itself; what is not running answers nobody.
class Services {
 public:
  Services(sys::World world, ServicesConfig config, participant::SendHttp send)
      : world_(std::move(world)), config_(std::move(config)), send_(std::move(send)) {
    config_.coordinator.base_url = config_.coordinator_url;
    config_.link.coordinator_url = config_.coordinator_url;
    config_.orders.payment_url = config_.payment_url;
    config_.orders.inventory_url = config_.inventory_url;
    broker::BrokerConfig broker_config;
    broker_config.topics = {{config_.orders.topic, broker::TopicType::normal}};
    broker_config.groups = {{"judge", 17}};
    broker_config.segment_bytes = 8 << 20;
    broker_ = *broker::Broker::open(world_, broker_config, config_.folder + "/broker");
    mq::ClientConfig client_config;
    client_config.drain_timeout = 1s;
    client_ = *mq::Client::make(world_, client_config, &broker_->service());
  }

  Task<> start() {
    HF_CO_TRY(co_await start_coordinator());
    HF_CO_TRY(co_await start_payment());
    HF_CO_TRY(co_await start_inventory());
    co_return co_await start_orders();
  }
  asio::awaitable<void> stop() {
    co_await stop_orders();
    co_await stop_payment();
    co_await stop_inventory();
    co_await stop_coordinator();
    client_.reset();
    (void)co_await broker_->stop();
  }

  Task<> start_coordinator() {
    HF_CO_TRY(coordinator_db, open(config_.coordinator_db));
    coordinator = std::make_unique<coordinator::Coordinator>(world_, config_.coordinator, *coordinator_db, send_);
    co_return co_await coordinator->start();
  }
  Task<> start_payment() {
    HF_CO_TRY(payment_db, open(config_.payment_db));
    payment = std::make_unique<shop::two_phase::Payment>(world_, config_.payment, link(config_.payment_url),
                                                         *payment_db, send_);
    co_return co_await payment->start();
  }
  Task<> start_inventory() {
    HF_CO_TRY(inventory_db, open(config_.inventory_db));
    inventory = std::make_unique<shop::two_phase::Inventory>(world_, config_.inventory, link(config_.inventory_url),
                                                             *inventory_db, send_);
    co_return co_await inventory->start();
  }
  Task<> start_orders() {
    HF_CO_TRY(orders_db, open(config_.orders_db));
    orders = std::make_unique<shop::two_phase::Orders>(world_, config_.orders, link(config_.orders_url), *orders_db,
                                                       *client_, send_);
    co_return co_await orders->start();
  }
  asio::awaitable<void> stop_coordinator() {
    if (!coordinator) co_return;
    co_await coordinator->stop();
    coordinator.reset();
    co_await coordinator_db->close();
    coordinator_db.reset();
  }
  asio::awaitable<void> stop_payment() {
    if (!payment) co_return;
    co_await payment->close();
    payment.reset();
    co_await payment_db->close();
    payment_db.reset();
  }
  asio::awaitable<void> stop_inventory() {
    if (!inventory) co_return;
    co_await inventory->close();
    inventory.reset();
    co_await inventory_db->close();
    inventory_db.reset();
  }
  asio::awaitable<void> stop_orders() {
    if (!orders) co_return;
    co_await orders->close();
    orders.reset();
    co_await orders_db->close();
    orders_db.reset();
  }

  /// Of "coordinator", "orders", "payment", "inventory"; empty while it does not run.
  net::HttpHandler handler(std::string_view service) const {
    if (service == "coordinator" && coordinator) return coordinator->http();
    if (service == "orders" && orders) return orders->handler();
    if (service == "payment" && payment) return payment->handler();
    if (service == "inventory" && inventory) return inventory->handler();
    return {};
  }
  mq::Client& client() { return *client_; }

  std::unique_ptr<sql::Database> coordinator_db, orders_db, payment_db, inventory_db;
  std::unique_ptr<coordinator::Coordinator> coordinator;
  std::unique_ptr<shop::two_phase::Payment> payment;
  std::unique_ptr<shop::two_phase::Inventory> inventory;
  std::unique_ptr<shop::two_phase::Orders> orders;

 private:
  Result<std::unique_ptr<sql::Database>> open(const std::string& url) { return sql::open(world_, url, config_.folder); }
  participant::TwoPhaseConfig link(const std::string& base_url) const {
    participant::TwoPhaseConfig link = config_.link;
    link.base_url = base_url;
    return link;
  }

  sys::World world_;
  ServicesConfig config_;
  const participant::SendHttp send_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<mq::Client> client_;
};

}  // namespace hf::test
