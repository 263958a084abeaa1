#include "mq/link.h"

#include "base/log.h"
#include "wire/rocketmq/endpoints.h"
#include "wire/rocketmq/status.h"

namespace hf::mq {
namespace {

LinkMachine::Timing timing(const ClientConfig& config) {
  // The official clients' patience: the request's timeout and three seconds more.
  return {.answer = config.request_timeout + 3s,
          .first_heartbeat = std::min<Duration>(1s, config.heartbeat_interval),
          .heartbeat = config.heartbeat_interval,
          .settings_refresh = config.settings_refresh};
}

bool permanent(Code code) { return code == Code::invalid || code == Code::denied; }

}  // namespace

Link::Link(sys::World world, const ClientConfig& config, LinkOwner& owner, pb::Endpoints endpoints,
           wire::rocketmq::MessagingService& service)
    : world_(world),
      config_(config),
      owner_(owner),
      endpoints_(std::move(endpoints)),
      name_(wire::rocketmq::to_string(endpoints_)),
      service_(service),
      machine_(timing(config), world.clock.now()),
      up_(world.clock),
      wake_(world.clock),
      changed_(world.clock),
      tasks_(world.executor, world.clock),
      opened_(
          world.metrics.counter("holdfast_mq_telemetry_opened_total", "Telemetry streams opened by message clients")) {}

asio::awaitable<void> Link::run() {
  while (!stopping_) {
    switch (machine_.next(world_.clock.now())) {
      case LinkMachine::Action::open:
        tasks_.spawn("mq.telemetry", stream());
        break;
      case LinkMachine::Action::send_settings:
        send_settings();
        break;
      case LinkMachine::Action::heartbeat:
        tasks_.spawn("mq.heartbeat", heartbeat());
        break;
      case LinkMachine::Action::abandon:
        log::warn("mq.settings.unanswered", {{"endpoint", name_}});
        cancellation_.cancel();
        up_.close();
        break;
      case LinkMachine::Action::none:
        co_await wake_.wait_until(machine_.wake_at());
        break;
    }
  }
  up_.close();  // the orderly end; a server that does not take it is cancelled
  const Monotonic patience = world_.clock.now() + config_.request_timeout;
  while (streaming_ && co_await wake_.wait_until(patience)) continue;
  cancellation_.cancel();
  co_await tasks_.join();
}

void Link::stop() {
  stopping_ = true;
  wake_.notify_all();
  refuse_waiters();
}

void Link::refuse_waiters() {
  refusing_ = true;
  changed_.notify_all();
}

asio::awaitable<void> Link::stream() {
  cancellation_ = Cancellation();
  wire::rocketmq::CallContext context = owner_.context(Monotonic::max());
  cancellation_.attach(context);
  opened_.add();
  streaming_ = true;
  const Result<void> ended = co_await service_.telemetry(std::move(context), up_, *this);
  if (!ended) refused(ended.error());
  if (!stopping_) {
    log::warn("mq.telemetry.ended",
              {{"endpoint", name_}, {"why", ended ? "by the server" : ended.error().to_string()}});
  }
  up_.reset();
  streaming_ = false;
  const Duration spread = std::max<Duration>(config_.reconnect_max - config_.reconnect_min, 1ns);
  const auto drawn = world_.random.below(static_cast<std::uint64_t>(spread.count()));
  machine_.ended(world_.clock.now(), config_.reconnect_min + Duration(drawn));
  wake_.notify_all();
  changed_.notify_all();
}

void Link::refused(Error error) {
  last_error_ = std::move(error);
  changed_.notify_all();
}

void Link::send_settings() {
  pb::TelemetryCommand command;
  *command.mutable_settings() = owner_.settings();
  (void)up_.push(std::move(command));  // full or closed: no answer comes, and the machine ends the stream
}

Task<> Link::write(pb::TelemetryCommand command) {
  if (!command.has_settings()) {
    owner_.on_command(*this, std::move(command));
    co_return ok();
  }
  if (command.has_status() && !wire::rocketmq::is_ok(command.status())) {
    refused(wire::rocketmq::to_error(command.status()));
    co_return Error{Code::unavailable, "the server does not take our settings"};
  }
  last_error_.reset();
  known_ = true;
  machine_.settings_answered(world_.clock.now());
  owner_.on_settings(command.settings());
  wake_.notify_all();
  changed_.notify_all();
  co_return ok();
}

asio::awaitable<void> Link::heartbeat() {
  wire::rocketmq::CallContext context = owner_.context(world_.clock.now() + config_.request_timeout);
  const Result<pb::HeartbeatResponse> response = co_await service_.heartbeat(std::move(context), owner_.heartbeat());
  if (!response) {
    log::warn("mq.heartbeat.failed", {{"endpoint", name_}, {"why", response.error().to_string()}});
  } else if (response->status().code() == pb::UNRECOGNIZED_CLIENT_TYPE) {
    log::info("mq.settings.forgotten", {{"endpoint", name_}});
    machine_.settings_lost();
    wake_.notify_all();
  } else if (!wire::rocketmq::is_ok(response->status())) {
    log::warn("mq.heartbeat.failed",
              {{"endpoint", name_}, {"why", wire::rocketmq::to_error(response->status()).message}});
  }
}

void Link::settings_changed() {
  machine_.settings_changed();
  wake_.notify_all();
}

Task<> Link::settled(Monotonic deadline) {
  const std::uint64_t version = machine_.wanted();
  while (!machine_.settled(version)) {
    if (refusing_) co_return Error{Code::unavailable, "the message client is closed"};
    if (last_error_ && permanent(last_error_->code)) co_return Error(*last_error_);
    if (co_await changed_.wait_until(deadline)) continue;
    Error late(Code::unavailable, "no session with the broker at " + name_);
    co_return last_error_ ? last_error_->with_context(late.message) : late;
  }
  co_return ok();
}

void Link::reply(pb::TelemetryCommand command) {
  if (!up_.push(std::move(command))) log::warn("mq.reply.dropped", {{"endpoint", name_}});
}

}  // namespace hf::mq
