#include "participant/outbox_message.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"
#include "mq/message_codec.h"
#include "net/crypto.h"
#include "wire/rocketmq/rules.h"

namespace hf::participant {
namespace {

namespace json = boost::json;
namespace rules = wire::rocketmq;

constexpr std::size_t kIdMax = 64, kAggregateMax = 128;

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Result<void> check(const OutboxMessage& message) {
  if (message.id.size() > kIdMax || !printable(message.id)) {
    return Error{Code::invalid, fmt::format("an outbox id has at most {} printable ASCII characters", kIdMax)};
  }
  if (message.aggregate.size() > kAggregateMax) {
    return Error{Code::invalid, fmt::format("an aggregate has at most {} bytes", kAggregateMax)};
  }
  if (message.body.empty() || message.body.size() > rules::MessageLimits{}.body_bytes) {
    return Error{Code::invalid, "a body has 1 byte … 4 MiB"};
  }
  mq::Message sent{.topic = message.topic, .body = "b", .tag = message.tag, .keys = message.keys};
  sent.keys.insert(sent.keys.begin(), message.id);
  sent.properties = message.properties;
  sent.message_group = message.message_group;
  sent.message_id = "id";
  if (rules::Verdict refused = rules::check_topic(message.topic)) return Error{Code::invalid, refused->message};
  const mq::pb::Message encoded = mq::encode(std::move(sent), mq::SendKind::plain, WallTime{}, "");
  if (rules::Verdict refused = rules::check_message(encoded, {}, WallTime{})) {
    return Error{Code::invalid, refused->message};
  }
  return ok();
}

std::string message_id_of(std::string_view topic, std::string_view outbox_id) {
  const std::string digest = net::sha256(fmt::format("{}\n{}", topic, outbox_id));
  return "01" + hex(as_bytes(std::string_view(digest).substr(0, 16)), HexCase::upper);
}

std::string attributes_of(const OutboxMessage& message) {
  json::object all;
  if (!message.keys.empty()) all["keys"] = json::array(message.keys.begin(), message.keys.end());
  if (!message.properties.empty()) {
    json::object properties;
    for (const auto& [name, value] : message.properties) properties[name] = value;
    all["properties"] = std::move(properties);
  }
  if (!message.message_group.empty()) all["message_group"] = message.message_group;
  return json::serialize(all);
}

void read_attributes(std::string_view attributes, mq::Message& into) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(attributes.data(), attributes.size()), failed);
  if (failed || !parsed.is_object()) return;
  const json::object& all = parsed.get_object();
  if (const json::value* keys = all.if_contains("keys"); keys != nullptr && keys->is_array()) {
    for (const json::value& key : keys->get_array()) {
      if (key.is_string()) into.keys.emplace_back(key.get_string());
    }
  }
  if (const json::value* properties = all.if_contains("properties"); properties != nullptr && properties->is_object()) {
    for (const auto& member : properties->get_object()) {
      if (member.value().is_string()) {
        into.properties.emplace(std::string(member.key()), std::string(member.value().get_string()));
      }
    }
  }
  if (const json::value* group = all.if_contains("message_group"); group != nullptr && group->is_string()) {
    into.message_group = std::string(group->get_string());
  }
}

}  // namespace hf::participant
