#include "router/router.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "router/aws_edge.h"
#include "router/rules_file.h"

namespace hf::router {
namespace {

constexpr Duration kPruneEvery = 10min;
constexpr std::size_t kPruneBatch = 500;
constexpr Duration kSubscribeTimeout = 5s, kSubscribeAgain = 1s;

Error out_of_bounds(std::string_view field, std::string_view bounds) {
  return {Code::invalid, fmt::format("router.{} must be {}", field, bounds)};
}

}  // namespace

Result<void> check(const RouterConfig& c) {
  const bool digits = std::ranges::all_of(c.account, [](char d) { return d >= '0' && d <= '9'; });
  if (c.account.size() != 12 || !digits) return out_of_bounds("account", "12 digits");
  if (c.region.empty()) return out_of_bounds("region", "given");
  if (c.access_keys.empty()) return out_of_bounds("access_keys", "at least one");
  for (const AccessKey& key : c.access_keys) {
    if (key.id.empty() || key.secret.empty()) return out_of_bounds("access_keys", "an id and a secret each");
  }
  if (c.clock_tolerance < 1min || c.clock_tolerance > 60min) return out_of_bounds("clock_tolerance", "1m to 60m");
  if (c.request_timeout < 100ms || c.request_timeout > 60s) return out_of_bounds("request_timeout", "100ms to 60s");
  if (c.concurrency_per_destination < 1 || c.concurrency_per_destination > 1'000) {
    return out_of_bounds("concurrency_per_destination", "1 to 1000");
  }
  if (c.queue_per_destination < 1) return out_of_bounds("queue_per_destination", "at least 1");
  if (c.retry_first < 1ms || c.retry_max < c.retry_first)
    return out_of_bounds("retry_first", "at least 1ms and at most retry_max");
  if (c.retry_after_max < Duration::zero()) return out_of_bounds("retry_after_max", "0s or more");
  return ok();
}

Router::Router(sys::World world, RouterConfig config, sql::Database& database)
    : world_(world),
      config_(std::move(config)),
      store_(database),
      control_(world, config_, store_),
      dispatcher_(world, config_, store_, control_),
      intake_(world, config_, control_, store_, dispatcher_),
      stop_(world.clock),
      tasks_(world.executor, world.clock) {}
Router::~Router() = default;

Task<> Router::start() {
  HF_CO_TRY(check(config_));
  std::string rules(default_rules());
  if (!config_.rules_file.empty()) {
    HF_CO_TRY(rules, sys::read_file(world_.files, config_.rules_file));
  }
  HF_CO_TRY(co_await store_.migrate());
  HF_CO_TRY(co_await control_.load());
  HF_CO_TRY(co_await apply_rules_file(control_, config_, world_, std::move(rules)));
  HF_CO_TRY(co_await dispatcher_.start());
  if (config_.keep_finished > Duration::zero()) tasks_.spawn("router.prune", prune());
  started_ = true;
  co_return ok();
}

Task<> Router::subscribe(mq::Client& client) {
  mq::ConsumerConfig config;
  config.group = config_.group;
  config.concurrency = 256;  // a listener mostly waits for the commit it shares with others
  for (const TopicSubscription& topic : config_.topics) config.subscriptions.push_back({.topic = topic.topic});
  HF_CO_TRY(mq::check(config));
  mq::Listener listener = [this](const mq::ReceivedMessage& received) -> Task<> {
    return on_message(received.message);
  };
  consumer_ = client.push_consumer(std::move(config), std::move(listener));
  const Result<void> first = co_await consumer_->start(kSubscribeTimeout);
  if (!first && first.error().code != Code::unavailable && first.error().code != Code::timeout) co_return first;
  if (!first) {  // the broker may be down for a while: PutEvents and what is pending go on without it
    log::warn("router.subscribe_waits", {{"error", first.error().to_string()}});
    tasks_.spawn("router.subscribe", subscribe_later());
  }
  co_return ok();
}

asio::awaitable<void> Router::subscribe_later() {
  while (!stopping_) {
    co_await stop_.wait_until(world_.clock.now() + kSubscribeAgain);
    if (stopping_) co_return;
    const Result<void> again = co_await consumer_->start(kSubscribeTimeout);
    if (again) {
      log::info("router.subscribed", {{"group", config_.group}});
      co_return;
    }
    log::warn("router.subscribe_waits", {{"error", again.error().to_string()}});
  }
}

/// Success acknowledges. What can never become an event goes back to the broker until it is a dead letter there, with
/// its log line.
Task<> Router::on_message(const mq::Message& message) {
  const auto topic = std::ranges::find(config_.topics, message.topic, &TopicSubscription::topic);
  if (topic == config_.topics.end()) co_return Error{Code::invalid, "no subscription names topic " + message.topic};
  Result<Intake::Incoming> incoming =
      intake_.from_message(*topic, message.message_id, message.tag, message.properties, message.body);
  if (!incoming) {
    log::error("router.message_refused",
               {{"topic", message.topic}, {"message_id", message.message_id}, {"error", incoming.error().message}});
    co_return incoming.error();
  }
  std::vector<Intake::Incoming> one;
  one.push_back(std::move(*incoming));
  co_return co_await intake_.accept(std::move(one));
}

asio::awaitable<void> Router::stop() {
  stopping_ = true;
  stop_.notify_all();
  if (consumer_) co_await consumer_->close();
  co_await tasks_.join();
  co_await dispatcher_.stop();
  started_ = false;
}

asio::awaitable<void> Router::prune() {
  const auto keep = std::chrono::duration_cast<WallTime::duration>(config_.keep_finished);
  while (!stopping_) {
    const Result<std::int64_t> removed = co_await store_.prune(world_.clock.wall() - keep, kPruneBatch);
    if (!removed) log::warn("router.prune_failed", {{"error", removed.error().to_string()}});
    const bool more = removed && *removed == static_cast<std::int64_t>(kPruneBatch);
    if (!more && !stopping_) co_await stop_.wait_until(world_.clock.now() + kPruneEvery);
  }
}

net::HttpHandler Router::aws_http() {
  auto edge = std::make_shared<AwsEdge>(world_, config_, control_, intake_);
  return [this, edge](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
    return edge->handle(std::move(request), started_ ? AwsEdge::Open::yes : AwsEdge::Open::no);
  };
}
net::HttpHandler Router::admin_http() { return hf::router::admin_http(*this); }

Task<std::optional<EventStory>> Router::event(std::string id) {
  // "topic/message id" is how a message's event names its origin; ids themselves have no slash.
  if (const std::size_t slash = id.find('/'); slash != std::string::npos) {
    id = event_id_of_message(std::string_view(id).substr(0, slash), std::string_view(id).substr(slash + 1));
  }
  return store_.event(std::move(id));
}
Task<std::optional<DeliveryStory>> Router::delivery(std::string id) { return store_.delivery(std::move(id)); }
Task<std::vector<Delivery>> Router::dead_letters(std::size_t limit) { return store_.dead(limit); }
Task<Store::Counts> Router::counts() { return store_.counts(); }
CataloguePtr Router::rules() const { return control_.catalogue(); }

Task<> Router::redrive(std::string delivery_id) {
  HF_CO_TRY(Delivery delivery, co_await store_.redrive(delivery_id, world_.clock.wall()));
  log::info("router.redriven", {{"delivery_id", delivery.id}, {"redrives", delivery.redrives}});
  dispatcher_.enqueue(std::move(delivery), nullptr);
  co_return ok();
}

Task<> Router::grant(std::string name, std::vector<Role::Statement> statements) {
  return control_.put_role({control_.role_arn(name), std::move(statements)});
}

}  // namespace hf::router
