#include "broker/transaction_scan.h"

#include <unordered_map>

#include "apache/rocketmq/v2/definition.pb.h"
#include "broker/engine.h"
#include "broker/records.h"

namespace hf::broker {
namespace {

namespace pb = ::apache::rocketmq::v2;

class Scan {
 public:
  explicit Scan(const std::string& topic) : topic_(topic) {}

  Result<void> take(const log::RecordView& record) {
    switch (static_cast<RecordKind>(record.kind)) {
      case RecordKind::half:
        return add(record);
      case RecordKind::decision: {
        HF_TRY(const DecisionRecord decision, decode_decision(record.body));
        if (HalfInfo* half = find(decision.half)) {
          half->state = decision.verdict == Verdict::commit ? "committed" : "rolled_back";
          half->decided_by = to_string(decision.decider);
          half->decided_at = wall_from_us(decision.at_us);
        }
        return ok();
      }
      case RecordKind::checked:
      case RecordKind::parked:
      case RecordKind::restarted: {
        HF_TRY(const HalfEventRecord event, decode_half_event(record.body));
        if (HalfInfo* half = find(event.half)) {
          half->checks = static_cast<int>(event.checks);
          // The question may have been answered before it was recorded that it was asked: decisions are final (P3).
          if (!half->decided_by.empty()) return ok();
          half->state = static_cast<RecordKind>(record.kind) == RecordKind::parked ? "parked" : "pending";
        }
        return ok();
      }
      default:
        return ok();
    }
  }
  std::vector<HalfInfo> result() && { return std::move(found_); }

 private:
  Result<void> add(const log::RecordView& record) {
    HF_TRY(const StoredHalf stored, decode_half(record.body));
    pb::Message message;
    if (!message.ParseFromArray(stored.message.data(), static_cast<int>(stored.message.size()))) {
      return Error{Code::corrupt, "a half message cannot be read"};
    }
    if (!topic_.empty() && message.topic().name() != topic_) return ok();
    const pb::SystemProperties& system = message.system_properties();
    HalfInfo half;
    half.transaction_id = transaction_id(record.position.value, stored.header.nonce);
    half.message_id = system.message_id();
    half.topic = message.topic().name();
    half.sender = stored.header.sender;
    half.keys.assign(system.keys().begin(), system.keys().end());
    half.state = "pending";
    half.stored_at = wall_from_us(stored.header.message.stored_at_us);
    by_position_.emplace(record.position.value, found_.size());
    found_.push_back(std::move(half));
    return ok();
  }
  HalfInfo* find(Position half) {
    const auto found = by_position_.find(half);
    return found == by_position_.end() ? nullptr : &found_[found->second];  // of another topic, or removed by retention
  }

  const std::string& topic_;
  std::vector<HalfInfo> found_;
  std::unordered_map<Position, std::size_t> by_position_;
};

}  // namespace

Result<std::vector<HalfInfo>> scan_transactions(const log::Log& log, const std::string& topic) {
  Scan scan(topic);
  log::Log::Cursor cursor = log.scan(log.oldest());
  for (;;) {
    HF_TRY(const std::optional<log::RecordView> record, cursor.next());
    if (!record) return std::move(scan).result();
    HF_TRY(scan.take(*record));
  }
}

}  // namespace hf::broker
