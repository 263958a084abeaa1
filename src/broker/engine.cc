#include "broker/engine.h"

#include <charconv>

#include "base/log.h"

namespace hf::broker {
namespace {

constexpr std::size_t kDecidedKept = 1000;

/// "a-b-c…", each lower-case hex. False if `text` is anything else.
template <class... N>
bool parse_hex_fields(std::string_view text, N&... fields) {
  const char* at = text.data();
  const char* const end = at + text.size();
  std::size_t left = sizeof...(fields);
  const auto one = [&](auto& field) {
    const auto [next, error] = std::from_chars(at, end, field, 16);
    if (error != std::errc{}) return false;
    at = next;
    return --left == 0 ? at == end : (at != end && *at++ == '-');
  };
  return (one(fields) && ...);
}

}  // namespace

std::string transaction_id(Position half, std::uint32_t nonce) { return fmt::format("{:016x}-{:08x}", half, nonce); }

Result<Engine::HalfSent> parse_transaction_id(std::string_view text) {
  Engine::HalfSent sent;
  if (!parse_hex_fields(text, sent.position, sent.nonce)) return Error{Code::not_found, "not a transaction id of ours"};
  return sent;
}

std::string to_text(const Engine::Handle& handle) {
  return fmt::format("{:x}-{:x}-{:x}-{:x}", handle.epoch, handle.subscription.value(), handle.offset, handle.nonce);
}

Result<Engine::Handle> parse_handle(std::string_view text) {
  Engine::Handle handle;
  std::uint32_t subscription = 0;
  if (!parse_hex_fields(text, handle.epoch, subscription, handle.offset, handle.nonce) || handle.offset < 0) {
    return Error{Code::not_found, "not a receipt handle of ours"};
  }
  handle.subscription = SubscriptionId(subscription);
  return handle;
}

EngineMetrics::EngineMetrics(metrics::Registry& r)
    : sent(r.counter("holdfast_broker_messages_total", "messages stored", {{"kind", "normal"}})),
      halves(r.counter("holdfast_broker_messages_total", "messages stored", {{"kind", "half"}})),
      committed(r.counter("holdfast_broker_decisions_total", "half messages decided", {{"verdict", "commit"}})),
      rolled_back(r.counter("holdfast_broker_decisions_total", "half messages decided", {{"verdict", "rollback"}})),
      decision_conflicts(r.counter("holdfast_broker_decision_conflicts_total", "decisions refused: decided otherwise")),
      delivered(r.counter("holdfast_broker_deliveries_total", "messages delivered", {{"attempt", "first"}})),
      redelivered(r.counter("holdfast_broker_deliveries_total", "messages delivered", {{"attempt", "repeated"}})),
      acknowledged(r.counter("holdfast_broker_acknowledged_total", "messages acknowledged")),
      skipped(r.counter("holdfast_broker_skipped_total", "messages passed over by a group's filter")),
      stale_handles(r.counter("holdfast_broker_stale_handles_total", "receipt handles refused")),
      dead_letters(r.counter("holdfast_broker_dead_letters_total", "messages moved to a dead letter topic")),
      damaged(r.counter("holdfast_broker_damaged_total", "stored messages that could not be read")),
      checks(r.counter("holdfast_broker_checks_total", "check-backs", {{"outcome", "delivered"}})),
      checks_nobody(r.counter("holdfast_broker_checks_total", "check-backs", {{"outcome", "nobody"}})),
      parked(r.counter("holdfast_broker_parked_total", "half messages parked")),
      refused_overload(r.counter("holdfast_broker_overload_total", "calls refused with TOO_MANY_REQUESTS")),
      half_pending(r.gauge("holdfast_broker_half_messages", "undecided half messages", {{"state", "pending"}})),
      half_parked(r.gauge("holdfast_broker_half_messages", "undecided half messages", {{"state", "parked"}})),
      polls(r.gauge("holdfast_broker_polls", "long polls waiting")),
      clients(r.gauge("holdfast_broker_clients", "clients known")),
      waiting_records(r.gauge("holdfast_broker_waiting_records", "records appended and not yet durable")) {}

Engine::Engine(sys::World world, BrokerConfig config)
    : world_(world),
      config_(std::move(config)),
      metrics_(world_.metrics),
      state_(config_.check_back),
      clients_(config_.client_expiry, config_.settings_grace, config_.limits.clients),
      tasks_(world_.executor, world_.clock),
      epoch_(static_cast<std::uint32_t>(world_.random.u64())),
      check_wake_(world_.clock),
      janitor_wake_(world_.clock) {}

Result<std::unique_ptr<Engine>> Engine::open(sys::World world, BrokerConfig config, std::string dir) {
  HF_TRY(validate(config));
  std::unique_ptr<Engine> engine(new Engine(world, std::move(config)));
  Engine* raw = engine.get();
  Store::Listener listener{
      .grew = [raw](TopicId topic) { raw->grew(topic); },
      .opened = [raw](SubscriptionId id) { raw->poll_event(id).notify_all(); },
      .applied = [raw](RecordKind kind, std::string_view body, Position at) { raw->applied(kind, body, at); },
      .failed =
          [raw](const Error& error) {
            for (const auto& event : raw->poll_events_) event->notify_all();
            if (raw->on_failed_) raw->on_failed_(error);
          }};
  HF_TRY(engine->store_, Store::open(world, engine->config_, std::move(dir), engine->state_, std::move(listener)));
  HF_TRY(engine->apply_config());
  engine->tasks_.spawn("broker.maintain", engine->store_->maintain());
  engine->tasks_.spawn("broker.check_backs", engine->run_check_backs());
  engine->tasks_.spawn("broker.janitor", engine->run_janitor());
  return engine;
}

Result<void> Engine::apply_config() {
  for (const TopicConfig& wanted : config_.topics) {
    HF_TRY(const TopicId id, topic(wanted.name, Create::yes, wanted.type));
    if (state_.topic(id).type != wanted.type) {
      return Error{Code::invalid, fmt::format("topic {} is configured as {} and stored as {}", wanted.name,
                                              to_string(wanted.type), to_string(state_.topic(id).type))};
    }
  }
  for (const GroupConfig& wanted : config_.groups) {
    HF_TRY(const GroupId id, group(wanted.name, Create::yes, wanted.max_attempts));
    state_.group(id).max_attempts = wanted.max_attempts;
  }
  return ok();
}

Task<> Engine::stop() {
  stopping_ = true;
  for (const auto& event : poll_events_) event->notify_all();
  check_wake_.notify_all();
  janitor_wake_.notify_all();
  Result<void> stopped = co_await store_->stop();
  co_await tasks_.join();
  co_return stopped;
}

Result<TopicId> Engine::topic(std::string_view name, Create create, TopicType type) {
  if (const Topic* known = state_.find_topic(name)) return known->id;
  if (create == Create::never || (create == Create::if_allowed && !config_.auto_create_topics)) {
    return Error{Code::not_found, fmt::format("no topic {}", name)};
  }
  if (state_.topics().size() >= config_.limits.topics) return Error{Code::exhausted, "too many topics"};
  const TopicRecord record{state_.next_topic_id(), type, std::string(name)};
  HF_TRY([[maybe_unused]] const Position at, store_->append(RecordKind::topic, encode(record), nullptr, nullptr));
  HF_TRY(state_.define_topic(record));
  log::info("broker.topic.created", {{"topic", name}, {"type", to_string(type)}});
  return record.id;
}

Result<GroupId> Engine::group(std::string_view name, Create create, int max_attempts) {
  if (const Group* known = state_.find_group(name)) return known->id;
  if (create == Create::never || (create == Create::if_allowed && !config_.auto_create_groups)) {
    return Error{Code::not_found, fmt::format("no consumer group {}", name)};
  }
  if (state_.groups().size() >= config_.limits.groups) return Error{Code::exhausted, "too many consumer groups"};
  const int attempts = max_attempts > 0 ? max_attempts : config_.max_attempts;
  const GroupRecord record{state_.next_group_id(), static_cast<std::uint32_t>(attempts), std::string(name)};
  HF_TRY([[maybe_unused]] const Position at, store_->append(RecordKind::group, encode(record), nullptr, nullptr));
  HF_TRY(state_.define_group(record));
  log::info("broker.group.created", {{"group", name}});
  return record.id;
}

Task<SubscriptionId> Engine::reading(GroupId group, TopicId topic) {
  if (const Reading* known = state_.find_reading(group, topic)) co_return known->id;
  const auto key = std::pair(group, topic);
  auto opening = opening_.find(key);
  if (opening == opening_.end()) {
    const std::string& name = state_.group(group).name;
    const bool configured = std::any_of(config_.groups.begin(), config_.groups.end(),
                                        [&](const GroupConfig& config) { return config.name == name; });
    // Dead letters are there before anybody comes to read them.
    const bool earliest = configured || state_.topic(topic).holds_dead_letters();
    const SubscriptionRecord record{group, topic, earliest ? StartAt::earliest : StartAt::end};
    HF_CO_TRY(const Position at, store_->append(RecordKind::subscription, encode(record), nullptr, nullptr));
    opening = opening_.emplace(key, at).first;
  }
  Result<void> durable = co_await store_->durable(opening->second);
  opening_.erase(key);
  if (!durable) co_return durable.error();
  const Reading* opened = state_.find_reading(group, topic);
  HF_ASSERT(opened != nullptr);
  co_return opened->id;
}

sys::Event& Engine::poll_event(SubscriptionId subscription) {
  while (poll_events_.size() < subscription.value()) {
    poll_events_.push_back(std::make_shared<sys::Event>(world_.clock));
  }
  return *poll_events_[subscription.value() - 1];
}

void Engine::grew(TopicId topic) {
  for (const SubscriptionId id : state_.topic(topic).subscriptions) poll_event(id).notify_one();
}

void Engine::applied(RecordKind kind, std::string_view body, Position position) {
  if (kind == RecordKind::half || kind == RecordKind::restarted) {
    if (state_.halves().next_due() < check_wake_at_) check_wake_.notify_all();
  }
  if (kind != RecordKind::decision) return;
  const Result<DecisionRecord> decision = decode_decision(as_bytes(body));
  HF_ASSERT(decision.has_value());
  decided_.push_back({decision->half, decision->verdict, decision->decider, decision->at_us});
  if (decided_.size() > kDecidedKept) decided_.pop_front();
  (void)position;
}

void Engine::announce(Client& client, std::set<TopicId> topics) {
  const Monotonic now = world_.clock.now();
  for (const TopicId topic : topics) state_.halves().announced(topic, now);
  clients_.publishes(client, std::move(topics));
  check_wake_.notify_all();
}

void Engine::terminate(Client& client) {
  const Monotonic visible_at = world_.clock.now() + 1s;  // RocketMQ invisibleTimeMillisWhenClear
  for (Reading& reading : state_.readings()) {
    reading.cursor.release(client.number, visible_at);
    poll_event(reading.id).notify_one();
  }
}

asio::awaitable<void> Engine::run_janitor() {
  while (!stopping_) {
    co_await janitor_wake_.wait_until(world_.clock.now() + 5s);
    if (stopping_) break;
    for (const ClientNumber number : clients_.expire(world_.clock.now())) {
      Client* client = clients_.find(number);
      if (client == nullptr) continue;
      log::info("broker.client.gone", {{"client_id", client->id}});
      terminate(*client);
    }
    metrics_.half_pending.set(static_cast<double>(state_.halves().pending()));
    metrics_.half_parked.set(static_cast<double>(state_.halves().parked()));
    metrics_.polls.set(static_cast<double>(polls_));
    metrics_.clients.set(static_cast<double>(clients_.size()));
    metrics_.waiting_records.set(static_cast<double>(store_->waiting()));
  }
}

}  // namespace hf::broker
