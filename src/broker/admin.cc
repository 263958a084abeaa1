#include "broker/admin.h"

#include "broker/engine.h"
#include "broker/history.h"
#include "broker/transaction_scan.h"
#include "wire/rocketmq/rules.h"

namespace hf::broker {
namespace {

constexpr std::int64_t kMostInFlightListed = 10'000;

Result<void> to_result(const std::optional<wire::rocketmq::Refusal>& refused) {
  if (refused) return Error{Code::invalid, refused->message};
  return ok();
}

/// Fills what only the message itself knows. An unreadable one stays without.
void describe(const Result<StoredBody>& body, HalfInfo& info) {
  pb::Message message;
  if (!body || !message.ParseFromArray(body->message().data(), static_cast<int>(body->message().size()))) return;
  info.message_id = message.system_properties().message_id();
  info.keys.assign(message.system_properties().keys().begin(), message.system_properties().keys().end());
  if (info.topic.empty()) info.topic = message.topic().name();
  info.stored_at = wall_from_us(body->stored_at_us);
}

}  // namespace

Admin::Admin(Engine& engine) : engine_(engine), worker_(engine.world().make_worker("broker-admin", 1)) {}

std::vector<TopicInfo> Admin::topics() const {
  std::vector<TopicInfo> list;
  for (const Topic& topic : engine_.state().topics()) {
    TopicInfo info;
    info.name = topic.name;
    info.type = topic.type;
    info.holds_dead_letters = topic.holds_dead_letters();
    info.first_offset = topic.table.begin();
    info.next_offset = topic.table.end();
    for (const SubscriptionId id : topic.subscriptions) {
      info.groups.push_back(engine_.state().group(engine_.state().reading(id).group).name);
    }
    list.push_back(std::move(info));
  }
  return list;
}

std::vector<GroupInfo> Admin::groups() const {
  std::vector<GroupInfo> list;
  for (const Group& group : engine_.state().groups()) {
    GroupInfo info{.name = group.name, .max_attempts = group.max_attempts, .topics = {}};
    for (const SubscriptionId id : group.subscriptions) {
      const Reading& reading = engine_.state().reading(id);
      const Topic& topic = engine_.state().topic(reading.topic);
      info.topics.push_back({.topic = topic.name,
                             .lag = reading.cursor.lag(topic.table.end()),
                             .in_flight = static_cast<std::int64_t>(reading.cursor.in_flight()),
                             .next_offset = reading.cursor.done_below()});
    }
    list.push_back(std::move(info));
  }
  return list;
}

std::vector<ClientInfo> Admin::clients() const {
  std::vector<ClientInfo> list;
  for (const Client* client : engine_.clients().list()) {
    ClientInfo info;
    info.client_id = client->id;
    info.type = pb::ClientType_Name(client->type);
    info.peer = client->peer;
    info.language = client->language;
    info.version = client->version;
    info.group = client->group;
    info.connected = client->reachable();
    for (const TopicId topic : client->publishes) info.publishes.push_back(engine_.state().topic(topic).name);
    list.push_back(std::move(info));
  }
  return list;
}

BrokerCounters Admin::counters() const {
  const EngineMetrics& m = engine_.metrics();
  const auto count = [](const metrics::Counter& counter) { return static_cast<std::uint64_t>(counter.value()); };
  const log::Stats stats = engine_.store().log().stats();
  BrokerCounters counters;
  counters.half_pending = engine_.state().halves().pending();
  counters.half_parked = engine_.state().halves().parked();
  counters.committed = count(m.committed);
  counters.rolled_back = count(m.rolled_back);
  counters.checks = count(m.checks);
  counters.parked = count(m.parked);
  counters.sent = count(m.sent);
  counters.delivered = count(m.delivered);
  counters.redelivered = count(m.redelivered);
  counters.acknowledged = count(m.acknowledged);
  counters.dead_letters = count(m.dead_letters);
  counters.log_bytes = stats.disk_bytes;
  counters.segments = stats.segments;
  return counters;
}

Task<> Admin::create_topic(std::string name, TopicType type) {
  HF_CO_TRY(to_result(wire::rocketmq::check_topic(name)));
  HF_CO_TRY(const TopicId id, engine_.topic(name, Engine::Create::yes, type));
  if (engine_.state().topic(id).type != type) {
    co_return Error{Code::conflict,
                    fmt::format("topic {} exists, of type {}", name, to_string(engine_.state().topic(id).type))};
  }
  co_return co_await engine_.store().log().flush();
}

Task<> Admin::create_group(std::string name, int max_attempts) {
  HF_CO_TRY(to_result(wire::rocketmq::check_group(name)));
  if (max_attempts < 0 || max_attempts > 1000) co_return Error{Code::invalid, "max attempts must be 1 … 1000"};
  HF_CO_TRY([[maybe_unused]] const GroupId id, engine_.group(name, Engine::Create::yes, max_attempts));
  co_return co_await engine_.store().log().flush();
}

Task<std::vector<HalfInfo>> Admin::half_messages(std::size_t limit) {
  const std::vector<HalfMessages::Info> halves = engine_.state().halves().list(limit);
  std::vector<Position> positions;
  for (const HalfMessages::Info& half : halves) positions.push_back(half.position);
  HF_CO_TRY(const auto bodies, co_await engine_.store().read(std::move(positions)));
  const Monotonic now = engine_.world().clock.now();
  std::vector<HalfInfo> list;
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const HalfMessages::Info& half = halves[i];
    HalfInfo info;
    info.transaction_id = transaction_id(half.position, half.half.nonce);
    info.topic = engine_.state().topic(half.half.topic).name;
    info.sender = half.half.sender;
    info.state = half.parked ? "parked" : half.deciding ? "deciding" : "pending";
    info.checks = half.checks;
    info.stored_at = wall_from_us(half.half.stored_at_us);
    if (!half.parked) info.next_check_in = std::max(Duration::zero(), half.next_check - now);
    info.producer_connected = engine_.clients().has_producer(half.half.topic);
    describe(bodies[i], info);
    list.push_back(std::move(info));
  }
  co_return list;
}

Task<std::vector<HalfInfo>> Admin::recently_decided(std::size_t limit) {
  std::vector<Engine::Decided> decided;
  std::vector<Position> positions;
  for (auto at = engine_.recently_decided().rbegin(); at != engine_.recently_decided().rend(); ++at) {
    if (decided.size() == limit) break;
    decided.push_back(*at);
    positions.push_back(at->half);
  }
  HF_CO_TRY(const auto bodies, co_await engine_.store().read(std::move(positions)));
  std::vector<HalfInfo> list;
  for (std::size_t i = 0; i < decided.size(); ++i) {
    HalfInfo info;
    info.state = decided[i].verdict == Verdict::commit ? "committed" : "rolled_back";
    info.decided_by = to_string(decided[i].decider);
    info.decided_at = wall_from_us(decided[i].at_us);
    describe(bodies[i], info);
    if (const Result<log::Record> record = engine_.store().read_record(decided[i].half)) {
      if (const Result<StoredHalf> half = decode_half(as_bytes(record->body))) {
        info.transaction_id = transaction_id(decided[i].half, half->header.nonce);
        info.sender = half->header.sender;
      }
    }
    list.push_back(std::move(info));
  }
  co_return list;
}

Task<> Admin::decide(std::string transaction_id, bool commit) {
  HF_CO_TRY(const Engine::HalfSent half, parse_transaction_id(transaction_id));
  TopicId topic;
  if (const auto info = engine_.state().halves().find(half.position)) {
    topic = info->half.topic;
  } else {
    HF_CO_TRY(const log::Record record, engine_.store().read_record(half.position));
    if (static_cast<RecordKind>(record.kind) != RecordKind::half)
      co_return Error{Code::not_found, "no such transaction"};
    HF_CO_TRY(const StoredHalf stored, decode_half(as_bytes(record.body)));
    topic = stored.header.message.topic;
  }
  co_return co_await engine_.end_transaction(topic, half.position, half.nonce,
                                             commit ? Verdict::commit : Verdict::rollback, Decider::operator_);
}

Task<> Admin::commit(std::string transaction_id) { co_return co_await decide(std::move(transaction_id), true); }
Task<> Admin::roll_back(std::string transaction_id) { co_return co_await decide(std::move(transaction_id), false); }

Task<> Admin::recheck(std::string transaction_id) {
  HF_CO_TRY(const Engine::HalfSent half, parse_transaction_id(transaction_id));
  const auto info = engine_.state().halves().find(half.position);
  if (!info || info->half.nonce != half.nonce) co_return Error{Code::not_found, "no such undecided transaction"};
  if (!engine_.recheck_half(half.position)) {
    co_return Error{Code::conflict, info->parked ? "it is parked: restart it" : "it is being decided or parked"};
  }
  co_return ok();
}

Task<> Admin::restart(std::string transaction_id) {
  HF_CO_TRY(const Engine::HalfSent half, parse_transaction_id(transaction_id));
  const auto info = engine_.state().halves().find(half.position);
  if (!info || info->half.nonce != half.nonce) co_return Error{Code::not_found, "no such undecided transaction"};
  co_return co_await engine_.restart_half(half.position);
}

Task<std::vector<DeadLetterInfo>> Admin::dead_letters(std::string group, std::size_t limit) {
  struct Found {
    const Topic* topic;
    QueueOffset offset;
    Position record, origin;
  };
  std::vector<Found> found;
  std::vector<Position> origins;
  for (const Topic& topic : engine_.state().topics()) {
    if (!topic.holds_dead_letters()) continue;
    if (!group.empty() && topic.name != std::string(kDeadLetterPrefix) + group) continue;
    for (const auto& [offset, record] : topic.letters) {
      if (found.size() == limit) break;
      found.push_back({&topic, offset, record, topic.table.at(offset).position});
      origins.push_back(found.back().origin);
    }
  }
  HF_CO_TRY(const auto bodies, co_await engine_.store().read(std::move(origins)));
  std::vector<DeadLetterInfo> list;
  for (std::size_t i = 0; i < found.size(); ++i) {
    DeadLetterInfo info;
    info.dead_letter_topic = found[i].topic->name;
    info.offset = found[i].offset;
    info.group = info.dead_letter_topic.substr(kDeadLetterPrefix.size());
    HalfInfo about;
    describe(bodies[i], about);
    info.message_id = about.message_id;
    info.keys = about.keys;
    if (bodies[i]) info.topic = engine_.state().topic(bodies[i]->topic).name;
    HF_CO_TRY(const log::Record record, engine_.store().read_record(found[i].record));
    HF_CO_TRY(const DeadLetterRecord letter, decode_dead_letter(as_bytes(record.body)));
    info.reason = letter.reason;
    info.attempts = static_cast<int>(letter.attempts);
    info.at = wall_from_us(letter.at_us);
    list.push_back(std::move(info));
  }
  co_return list;
}

Task<> Admin::redrive(std::string dead_letter_topic, std::int64_t offset) {
  const Topic* topic = engine_.state().find_topic(dead_letter_topic);
  if (topic == nullptr) co_return Error{Code::not_found, "no such dead letter topic"};
  co_return co_await engine_.redrive(topic->id, offset);
}

Task<std::size_t> Admin::redrive_all(std::string group) {
  const Topic* topic = engine_.state().find_topic(std::string(kDeadLetterPrefix) + group);
  if (topic == nullptr) co_return std::size_t{0};
  std::vector<QueueOffset> offsets;
  for (const auto& [offset, record] : topic->letters) offsets.push_back(offset);
  const TopicId id = topic->id;
  for (const QueueOffset offset : offsets) HF_CO_TRY(co_await engine_.redrive(id, offset));
  co_return offsets.size();
}

Task<std::vector<MessageHistory>> Admin::history(std::string id_or_key) {
  Store& store = engine_.store();
  std::function<Result<std::vector<TracedMessage>>()> find = [&] { return find_messages(store.log(), id_or_key); };
  HF_CO_TRY(std::vector<TracedMessage> traced, co_await worker_->run<std::vector<TracedMessage>>(std::move(find)));
  for (TracedMessage& message : traced) locate(engine_.state(), message);
  std::function<Result<void>()> follow = [&] { return follow_messages(store.log(), traced); };
  HF_CO_TRY(co_await worker_->run<void>(std::move(follow)));
  std::vector<MessageHistory> histories;
  for (TracedMessage& message : traced) {
    add_live_facts(engine_, message, kMostInFlightListed);
    histories.push_back(std::move(message.history));
  }
  co_return histories;
}

Task<std::vector<HalfInfo>> Admin::all_transactions(std::string topic) {
  Store& store = engine_.store();
  std::function<Result<std::vector<HalfInfo>>()> scan = [&] { return scan_transactions(store.log(), topic); };
  co_return co_await worker_->run<std::vector<HalfInfo>>(std::move(scan));
}

}  // namespace hf::broker
