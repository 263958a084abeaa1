#pragma once

/// Events in, HTTP requests out; never one lost, never one decided twice (README.md says what survives what).
///
///   Router router(world, config, database);
///   HF_CO_TRY(co_await router.start());                       // tables, rules file, pending deliveries
///   listener_options.http = router.aws_http();                // port 4010
///   admin_options.http = router.admin_http();                 // or mounted elsewhere
///   HF_CO_TRY(co_await router.subscribe(client));             // topics
///   …  co_await router.stop();

#include <memory>
#include <string>
#include <vector>

#include "mq/client.h"
#include "net/http.h"
#include "router/admin.h"
#include "router/config.h"
#include "router/control.h"
#include "router/dispatcher.h"
#include "router/intake.h"
#include "router/store.h"
#include "sql/database.h"
#include "sys/world.h"

namespace hf::router {

/// One strand. `database` and the mq client outlive it; stop() is awaited before it is destroyed.
class Router final : public Admin {
 public:
  Router(sys::World world, RouterConfig config, sql::Database& database);
  ~Router() override;

  /// Errors: invalid (configuration, rules file), corrupt (database), whatever the database says.
  Task<> start();
  /// Messages of config.topics become events. Call once, after start(). If the broker cannot be reached now, it is
  /// tried again until it can; other errors (a topic name that is not allowed) are returned.
  Task<> subscribe(mq::Client& client);
  /// Takes no new messages, lets attempts under way end.
  asio::awaitable<void> stop();

  /// AWS JSON 1.1, signed; refuses everything before start() with 503.
  net::HttpHandler aws_http();
  net::HttpHandler admin_http();

  Intake& intake() { return intake_; }
  Control& control() { return control_; }

  Task<std::optional<EventStory>> event(std::string id) override;
  Task<std::optional<DeliveryStory>> delivery(std::string id) override;
  Task<std::vector<Delivery>> dead_letters(std::size_t limit) override;
  Task<> redrive(std::string delivery_id) override;
  Task<Store::Counts> counts() override;
  CataloguePtr rules() const override;
  Task<> grant(std::string name, std::vector<Role::Statement> statements) override;

 private:
  Task<> on_message(const mq::Message& message);
  asio::awaitable<void> subscribe_later();
  asio::awaitable<void> prune();

  sys::World world_;
  const RouterConfig config_;
  Store store_;
  Control control_;
  Dispatcher dispatcher_;
  Intake intake_;
  std::unique_ptr<mq::PushConsumer> consumer_;
  bool started_ = false, stopping_ = false;
  sys::Event stop_;
  sys::TaskGroup tasks_;
};

/// Bounds as in config.h. Error: invalid, naming the field.
Result<void> check(const RouterConfig& config);

}  // namespace hf::router
