#pragma once

/// The story of a message, told from the log: what Admin::history() is made of. The two walks over the log may run on
/// any thread; the rest on the strand.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/admin.h"
#include "broker/engine.h"
#include "log/log.h"

namespace hf::broker {

struct TracedMessage {
  Position position = 0;
  RecordKind kind = RecordKind::message;
  TopicId topic;
  std::map<SubscriptionId, std::string> readers;  ///< of its topic, with the group's name
  MessageHistory history;
};

/// Messages and half messages whose id or key, or whose transaction id, is `wanted`.
Result<std::vector<TracedMessage>> find_messages(const log::Log& log, const std::string& wanted);
/// Fills offset and readers from the tables.
void locate(State& state, TracedMessage& message);
/// Adds what later records say about them.
Result<void> follow_messages(const log::Log& log, std::vector<TracedMessage>& messages);
/// Adds where it is now: with a consumer, waiting, unread.
void add_live_facts(Engine& engine, TracedMessage& message, std::int64_t most_listed);

}  // namespace hf::broker
