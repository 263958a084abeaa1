#include "broker/history.h"

#include <algorithm>

namespace hf::broker {
namespace {

constexpr std::size_t kBodyShown = 4096;

bool is_about(const pb::Message& message, std::string_view wanted) {
  const pb::SystemProperties& system = message.system_properties();
  return system.message_id() == wanted ||
         std::find(system.keys().begin(), system.keys().end(), wanted) != system.keys().end();
}

/// nullopt: another message.
Result<std::optional<TracedMessage>> examine(const log::RecordView& record, const std::string& wanted) {
  TracedMessage traced;
  traced.position = record.position.value;
  traced.kind = static_cast<RecordKind>(record.kind);
  MessageHeader header;
  Bytes body;
  if (traced.kind == RecordKind::half) {
    HF_TRY(const StoredHalf half, decode_half(record.body));
    header = half.header.message;
    body = half.message;
    traced.history.transaction_id = transaction_id(traced.position, half.header.nonce);
  } else if (traced.kind == RecordKind::message) {
    HF_TRY(const StoredMessage message, decode_message(record.body));
    header = message.header;
    body = message.message;
  } else {
    return std::optional<TracedMessage>();
  }
  // Most records are told apart by a plain search; only what contains the text is parsed.
  const bool by_transaction = !traced.history.transaction_id.empty() && traced.history.transaction_id == wanted;
  if (!by_transaction && as_text(body).find(wanted) == std::string_view::npos) return std::optional<TracedMessage>();
  pb::Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return std::optional<TracedMessage>();
  if (!by_transaction && !is_about(message, wanted)) return std::optional<TracedMessage>();
  traced.topic = header.topic;
  MessageHistory& history = traced.history;
  history.message_id = message.system_properties().message_id();
  history.topic = message.topic().name();
  history.born_host = message.system_properties().born_host();
  history.tag = message.system_properties().tag();
  history.keys.assign(message.system_properties().keys().begin(), message.system_properties().keys().end());
  history.body_bytes = message.body().size();
  history.body = message.body().substr(0, kBodyShown);
  history.events.push_back({.at = wall_from_us(header.stored_at_us),
                            .what = traced.kind == RecordKind::half ? "half_stored" : "stored",
                            .group = {},
                            .detail = {}});
  return std::optional<TracedMessage>(std::move(traced));
}

/// Which message a record is about.
class Following {
 public:
  explicit Following(std::vector<TracedMessage>& messages) : messages_(messages) {}

  void event(Position position, std::int64_t at_us, std::string what, std::string detail) {
    for (TracedMessage& message : messages_) {
      if (message.position == position) add(message, at_us, std::move(what), "", std::move(detail));
    }
  }
  void event(SubscriptionId subscription, const OffsetRange& range, std::int64_t at_us, const std::string& what,
             const std::string& detail) {
    for (TracedMessage& message : messages_) {
      const auto reader = message.readers.find(subscription);
      const std::int64_t offset = message.history.offset;
      if (reader == message.readers.end() || offset < range.from || offset >= range.from + range.count) continue;
      add(message, at_us, what, reader->second, detail);
    }
  }

 private:
  static void add(TracedMessage& message, std::int64_t at_us, std::string what, std::string group, std::string detail) {
    message.history.events.push_back({wall_from_us(at_us), std::move(what), std::move(group), std::move(detail)});
  }
  std::vector<TracedMessage>& messages_;
};

Result<void> follow(const log::RecordView& view, Following& following) {
  switch (static_cast<RecordKind>(view.kind)) {
    case RecordKind::decision: {
      HF_TRY(const DecisionRecord record, decode_decision(view.body));
      const std::string what = record.verdict == Verdict::commit ? "committed" : "rolled_back";
      following.event(record.half, record.at_us, what, "by " + std::string(to_string(record.decider)));
      return ok();
    }
    case RecordKind::settled: {
      HF_TRY(const SettledRecord record, decode_settled(view.body));
      for (const OffsetRange& range : record.ranges) {
        following.event(record.subscription, range, record.at_us, record.skipped ? "skipped" : "acknowledged", "");
      }
      return ok();
    }
    case RecordKind::attempts: {
      HF_TRY(const AttemptsRecord record, decode_attempts(view.body));
      following.event(record.subscription, {record.offset, 1}, record.at_us, "delivered_again",
                      fmt::format("attempt {}", record.attempts));
      return ok();
    }
    case RecordKind::dead_letter: {
      HF_TRY(const DeadLetterRecord record, decode_dead_letter(view.body));
      following.event(record.subscription, {record.offset, 1}, record.at_us, "dead_lettered", record.reason);
      return ok();
    }
    case RecordKind::redrive: {
      HF_TRY(const RedriveRecord record, decode_redrive(view.body));
      following.event(record.subscription, {record.offset, 1}, record.at_us, "redriven", "");
      return ok();
    }
    case RecordKind::checked:
    case RecordKind::parked:
    case RecordKind::restarted: {
      HF_TRY(const HalfEventRecord record, decode_half_event(view.body));
      following.event(record.half, record.at_us, std::string(to_string(static_cast<RecordKind>(view.kind))),
                      fmt::format("{} checks", record.checks));
      return ok();
    }
    default:
      return ok();
  }
}

}  // namespace

Result<std::vector<TracedMessage>> find_messages(const log::Log& log, const std::string& wanted) {
  std::vector<TracedMessage> found;
  if (wanted.empty()) return found;
  log::Log::Cursor cursor = log.scan(log.oldest());
  while (true) {
    HF_TRY(const std::optional<log::RecordView> record, cursor.next());
    if (!record) return found;
    HF_TRY(std::optional<TracedMessage> traced, examine(*record, wanted));
    if (traced) found.push_back(std::move(*traced));
  }
}

void locate(State& state, TracedMessage& message) {
  const Topic& topic = state.topic(message.topic);
  for (QueueOffset offset = topic.table.begin(); offset < topic.table.end(); ++offset) {
    if (topic.table.at(offset).position == message.position) message.history.offset = offset;
  }
  for (const SubscriptionId id : topic.subscriptions) message.readers[id] = state.group(state.reading(id).group).name;
}

Result<void> follow_messages(const log::Log& log, std::vector<TracedMessage>& messages) {
  if (messages.empty()) return ok();
  Following following(messages);
  log::Log::Cursor cursor = log.scan({messages.front().position});
  while (true) {
    HF_TRY(const std::optional<log::RecordView> record, cursor.next());
    if (!record) return ok();
    HF_TRY(follow(*record, following));
  }
}

void add_live_facts(Engine& engine, TracedMessage& message, std::int64_t most_listed) {
  const WallTime now = engine.world().clock.wall();
  if (message.history.offset < 0) return;
  for (const auto& [id, group] : message.readers) {
    const Subscription& cursor = engine.state().reading(id).cursor;
    bool out = false;
    for (const auto& one : cursor.list_in_flight(engine.world().clock.now(), static_cast<std::size_t>(most_listed))) {
      if (one.offset != message.history.offset) continue;
      out = true;
      const Client* client = engine.clients().find(one.client);
      message.history.events.push_back(
          {now, one.visible ? "waiting" : "in_flight", group,
           fmt::format("attempt {}{}{}", one.attempt, client ? " with " : "", client ? client->id : "")});
    }
    if (!out && !cursor.is_done(message.history.offset)) {
      message.history.events.push_back({now, "unread", group, ""});
    }
  }
}

}  // namespace hf::broker
