#include "mq/route.h"

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "wire/rocketmq/endpoints.h"

namespace hf::mq {
namespace {

constexpr int kMaster = 0;

bool writable(const pb::MessageQueue& queue) {
  return queue.permission() == pb::WRITE || queue.permission() == pb::READ_WRITE;
}

/// Brokers in turn: the first queue of each, then the second of each, …
void spread(std::vector<pb::MessageQueue>& queues) {
  std::ranges::sort(queues, {}, [](const pb::MessageQueue& q) { return std::pair(q.id(), q.broker().name()); });
}

struct SipState {
  std::uint64_t v0, v1, v2, v3;
  void round() {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  }
  void absorb(std::uint64_t word) {
    v3 ^= word;
    round(), round();
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t sip_hash(std::string_view data) {
  constexpr std::uint64_t k0 = 0x0706050403020100, k1 = 0x0f0e0d0c0b0a0908;
  SipState s{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
  const std::uint64_t length = data.size();
  for (; data.size() >= 8; data.remove_prefix(8)) s.absorb(get_u64(as_bytes(data).data()));
  std::uint64_t last = length << 56;
  for (std::size_t i = 0; i < data.size(); ++i) last |= std::uint64_t{static_cast<std::uint8_t>(data[i])} << (8 * i);
  s.absorb(last);
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

Result<Route> Route::from(const pb::QueryRouteResponse& response) {
  Route route;
  std::vector<std::string> seen;
  for (const pb::MessageQueue& queue : response.message_queues()) {
    if (queue.broker().id() != kMaster || queue.broker().endpoints().addresses().empty()) continue;
    if (writable(queue)) route.writable_.push_back(queue);
    std::string key = wire::rocketmq::to_string(queue.broker().endpoints());
    if (std::ranges::find(seen, key) != seen.end()) continue;
    seen.push_back(std::move(key));
    route.endpoints_.push_back(queue.broker().endpoints());
  }
  if (route.endpoints_.empty()) return Error{Code::unavailable, "the route names no master"};
  spread(route.writable_);
  return route;
}

Result<const pb::MessageQueue*> Route::pick(std::string_view message_group, std::uint64_t turn) const {
  if (writable_.empty()) return Error{Code::denied, "the topic has no writable queue"};
  const auto count = static_cast<std::int64_t>(writable_.size());
  if (message_group.empty()) return &writable_[turn % writable_.size()];
  const std::int64_t remainder = static_cast<std::int64_t>(sip_hash(message_group)) % count;  // Java's floorMod
  return &writable_[static_cast<std::size_t>(remainder < 0 ? remainder + count : remainder)];
}

Result<void> Route::check_type(pb::MessageType type) const {
  if (writable_.empty()) return ok();  // pick() says what is wrong
  const auto& accepted = writable_.front().accept_message_types();
  if (accepted.empty() || std::ranges::find(accepted, type) != accepted.end()) return ok();
  return Error{Code::invalid, "the topic does not take messages of type " + pb::MessageType_Name(type)};
}

}  // namespace hf::mq
