#include "mq/session.h"

#include "base/bytes.h"
#include "base/log.h"
#include "net/backoff.h"
#include "net/crypto.h"
#include "wire/rocketmq/endpoints.h"
#include "wire/rocketmq/status.h"
#include "wire/rocketmq/times.h"

namespace hf::mq {
namespace {

using wire::rocketmq::is_ok;
using wire::rocketmq::to_error;

/// The level of the protocol we speak; from 5.0.3 on Apache's proxy answers ILLEGAL_POLLING_TIME by its name.
constexpr const char* kClientVersion = "5.1.0";

std::array<std::uint8_t, 8> draw_instance(sys::Random& random) {
  std::array<std::uint8_t, 8> instance{};
  random.fill(instance);
  return instance;
}

}  // namespace

Session::Session(sys::World world, const ClientConfig& config, Transport& transport, pb::Settings settings)
    : world_(world),
      config_(config),
      transport_(transport),
      settings_(std::move(settings)),
      client_id_(config.name + "@" + world.random.hex(8)),
      message_ids_(draw_instance(world.random)),
      wake_(world.clock),
      tasks_(world.executor, world.clock) {
  *settings_.mutable_access_point() = transport_.access_point();
  wire::rocketmq::to_proto(config_.request_timeout, *settings_.mutable_request_timeout());
  pb::UA& agent = *settings_.mutable_user_agent();
  agent.set_language(pb::CPP);
  agent.set_version(kClientVersion);
  agent.set_platform("linux");
  agent.set_hostname(config_.name);
}

Session::~Session() { HF_ASSERT(tasks_.running() == 0); }  // close() was awaited, or nothing was ever started

std::vector<std::string> Session::topics() const {
  std::vector<std::string> names;
  for (const pb::Resource& topic : settings_.publishing().topics()) names.push_back(topic.name());
  for (const pb::SubscriptionEntry& entry : settings_.subscription().subscriptions())
    names.push_back(entry.topic().name());
  return names;
}

Task<> Session::start(Monotonic deadline) {
  if (!std::exchange(started_, true)) tasks_.spawn("mq.routes", refresh_routes());
  for (const std::string& topic : topics()) {
    HF_CO_TRY(const std::shared_ptr<const Route> known, co_await route(topic, deadline));
    for (const pb::Endpoints& endpoints : known->endpoints()) HF_CO_TRY(co_await link(endpoints).settled(deadline));
  }
  co_return ok();
}

Link& Session::link(const pb::Endpoints& endpoints) {
  std::unique_ptr<Link>& link = links_[wire::rocketmq::to_string(endpoints)];
  if (!link) {
    link = std::make_unique<Link>(world_, config_, static_cast<LinkOwner&>(*this), endpoints,
                                  transport_.service(endpoints));
    tasks_.spawn("mq.link", link->run());
    if (closing_) link->refuse_waiters();
    if (closed_) link->stop();
  }
  return *link;
}

Link* Session::find_link(const std::string& name) {
  const auto found = links_.find(name);
  return found == links_.end() ? nullptr : found->second.get();
}

Task<std::shared_ptr<const Route>> Session::route(std::string topic, Monotonic deadline) {
  if (const auto known = routes_.find(topic); known != routes_.end()) co_return known->second;
  const net::Backoff backoff{.first = 100ms, .max = 1s};
  for (std::uint32_t retry = 0;; ++retry) {
    if (closing_) co_return Error{Code::unavailable, "the message client is closed"};
    Result<std::shared_ptr<const Route>> route = co_await ask_route(topic, deadline);
    if (route || !may_repeat(route.error().code, Repeatable::idempotent)) co_return route;
    const Monotonic again = world_.clock.now() + backoff.delay(retry, world_.random);
    if (again >= deadline) co_return route;
    co_await wake_.wait_until(again);  // close() wakes us
  }
}

Task<std::shared_ptr<const Route>> Session::ask_route(std::string topic, Monotonic deadline) {
  pb::QueryRouteRequest request;
  request.mutable_topic()->set_name(topic);
  *request.mutable_endpoints() = transport_.access_point();
  wire::rocketmq::CallContext call = context(request_deadline(deadline));
  wire::rocketmq::MessagingService& service = transport_.service(transport_.access_point());
  HF_CO_TRY(const pb::QueryRouteResponse response, co_await service.query_route(std::move(call), std::move(request)));
  if (!is_ok(response.status())) co_return to_error(response.status()).with_context("route of " + topic);
  HF_CO_TRY(Route route, Route::from(response));
  co_return learn(topic, std::move(route));
}

std::shared_ptr<const Route> Session::learn(const std::string& topic, Route route) {
  auto shared = std::make_shared<const Route>(std::move(route));
  const bool is_new = !routes_.contains(topic);
  routes_[topic] = shared;
  if (is_new) announce(topic);
  for (const pb::Endpoints& endpoints : shared->endpoints()) link(endpoints);
  return shared;
}

void Session::announce(const std::string& topic) {
  if (!settings_.has_publishing()) return;
  const auto known = topics();
  if (std::ranges::find(known, topic) != known.end()) return;
  settings_.mutable_publishing()->add_topics()->set_name(topic);
  for (const auto& [name, link] : links_) link->settings_changed();
}

asio::awaitable<void> Session::refresh_routes() {
  Monotonic due = world_.clock.now() + config_.route_refresh;
  while (!closing_) {
    if (co_await wake_.wait_until(due)) continue;  // only close() matters
    std::vector<std::string> known;
    for (const auto& [topic, route] : routes_) known.push_back(topic);
    for (const std::string& topic : known) {
      if (closing_) break;
      const auto route = co_await ask_route(topic, Monotonic::max());
      if (!route) log::warn("mq.route.stale", {{"topic", topic}, {"why", route.error().to_string()}});
    }
    due = world_.clock.now() + config_.route_refresh;
  }
}

wire::rocketmq::CallContext Session::context(Monotonic deadline) {
  const WallTime now = world_.clock.wall();
  if (const std::int64_t second = to_us(now) / 1'000'000; second != signed_second_) {
    signed_second_ = second;
    date_time_ = to_basic_iso8601(now);
    if (!config_.access_key.empty()) {
      authorization_ = "MQv2-HMAC-SHA1 Credential=" + config_.access_key +
                       ", SignedHeaders=x-mq-date-time, Signature=" +
                       hex(as_bytes(net::hmac_sha1(config_.secret_key, date_time_)), HexCase::upper);
    }
  }
  wire::rocketmq::CallContext context;
  context.client_id = client_id_;
  context.language = "CPP";
  context.client_version = kClientVersion;
  context.request_id = std::to_string(++requests_);  // unique beside the client id, which goes with it
  context.date_time = date_time_;
  context.authorization = authorization_;
  context.peer = context.local = "in-process";
  context.deadline = deadline;
  return context;
}

pb::HeartbeatRequest Session::heartbeat() const {
  pb::HeartbeatRequest request;
  request.set_client_type(settings_.client_type());
  if (settings_.has_subscription()) *request.mutable_group() = settings_.subscription().group();
  return request;
}

void Session::on_command(Link& link, pb::TelemetryCommand command) {
  pb::TelemetryCommand reply;
  switch (command.command_case()) {
    case pb::TelemetryCommand::kRecoverOrphanedTransactionCommand:
      if (recover_) return recover_(link, std::move(*command.mutable_recover_orphaned_transaction_command()));
      log::warn("mq.check.ignored",
                {{"why", "this client has no checker"},
                 {"transaction_id", command.recover_orphaned_transaction_command().transaction_id()}});
      return;
    case pb::TelemetryCommand::kPrintThreadStackTraceCommand:
      reply.mutable_thread_stack_trace()->set_nonce(command.print_thread_stack_trace_command().nonce());
      reply.mutable_thread_stack_trace()->set_thread_stack_trace("not available: this client is a C++ program");
      wire::rocketmq::set_status(*reply.mutable_status(), pb::UNSUPPORTED);
      return link.reply(std::move(reply));
    case pb::TelemetryCommand::kVerifyMessageCommand:
      reply.mutable_verify_message_result()->set_nonce(command.verify_message_command().nonce());
      wire::rocketmq::set_status(*reply.mutable_status(), pb::UNSUPPORTED);
      return link.reply(std::move(reply));
    case pb::TelemetryCommand::kReconnectEndpointsCommand:
    case pb::TelemetryCommand::kNotifyUnsubscribeLiteCommand:
    case pb::TelemetryCommand::kSettings:
    case pb::TelemetryCommand::kThreadStackTrace:
    case pb::TelemetryCommand::kVerifyMessageResult:
    case pb::TelemetryCommand::COMMAND_NOT_SET:
      log::debug("mq.command.ignored", {{"kind", static_cast<int>(command.command_case())}});
      return;
  }
}

asio::awaitable<void> Session::say_goodbye(Link& link) {
  pb::NotifyClientTerminationRequest request;
  if (settings_.has_subscription()) *request.mutable_group() = settings_.subscription().group();
  wire::rocketmq::CallContext call = context(request_deadline(Monotonic::max()));
  const auto response = co_await link.service().notify_client_termination(std::move(call), std::move(request));
  if (!response) log::info("mq.goodbye.failed", {{"endpoint", link.name()}, {"why", response.error().to_string()}});
}

void Session::begin_close() {
  closing_ = true;
  wake_.notify_all();
  for (const auto& [name, link] : links_) link->refuse_waiters();
}

asio::awaitable<void> Session::close() {
  begin_close();
  if (std::exchange(closed_, true)) co_return;
  std::vector<Link*> links;  // by pointer: links_ may not be walked across a wait
  for (const auto& [name, link] : links_) links.push_back(link.get());
  for (Link* link : links)
    if (link->ready()) co_await say_goodbye(*link);
  for (const auto& [name, link] : links_) link->stop();
  co_await tasks_.join();
}

}  // namespace hf::mq
