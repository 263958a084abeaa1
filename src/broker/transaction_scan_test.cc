#include "broker/transaction_scan.h"

#include "broker/records.h"
#include "broker/test_support.h"
#include "log/log.h"
#include "sys/sim.h"

namespace hf::broker {
namespace {

class TransactionScan : public testing::Test {
 protected:
  TransactionScan() {
    EXPECT_TRUE(sim_.disk().make_dirs("/data"));
    auto opened =
        log::Log::open(sim_.world(), "/data/log", {}, std::nullopt, [](const log::RecordView&) { return ok(); });
    EXPECT_TRUE(opened) << opened.error().message;
    log_ = std::move(*opened);
  }
  Position append(RecordKind kind, const std::string& head, const std::string& body = "") {
    const auto position = log_->append(static_cast<log::Kind>(kind), {as_bytes(head), as_bytes(body)});
    EXPECT_TRUE(position);
    return position->value;
  }
  Position half(const std::string& topic, const std::string& id) {
    HalfHeader header;
    header.sender = "client";
    return append(RecordKind::half, encode(header), test::SimBroker::message(topic, id).SerializeAsString());
  }
  void decide(Position half, Verdict verdict) {
    append(RecordKind::decision, encode(DecisionRecord{.half = half, .verdict = verdict}));
  }
  void record(RecordKind kind, Position half, std::uint32_t checks) {
    append(kind, encode(HalfEventRecord{.half = half, .checks = checks}));
  }
  std::vector<HalfInfo> scan(const std::string& topic) {
    EXPECT_TRUE(sim_.run_until_done(log_->flush()));
    auto found = scan_transactions(*log_, topic);
    EXPECT_TRUE(found);
    return std::move(*found);
  }

  sys::SimWorld sim_{1};
  std::unique_ptr<log::Log> log_;
};

TEST_F(TransactionScan, EachTransactionOfTheTopicWithItsState) {
  const Position committed = half("orders", "m1"), rolled_back = half("orders", "m2");
  half("orders", "m3");
  const Position parked = half("orders", "m4");
  half("others", "m5");
  decide(committed, Verdict::commit);
  decide(rolled_back, Verdict::rollback);
  record(RecordKind::parked, parked, 15);
  std::map<std::string, std::string> states;
  for (const HalfInfo& one : scan("orders")) states[one.message_id] = one.state;
  EXPECT_THAT(states, testing::ElementsAre(testing::Pair("m1", "committed"), testing::Pair("m2", "rolled_back"),
                                           testing::Pair("m3", "pending"), testing::Pair("m4", "parked")));
}

// A producer's answer can become durable before the record that it was asked.
TEST_F(TransactionScan, ADecisionStandsWhateverIsRecordedAfterIt) {
  const Position one = half("orders", "m1");
  decide(one, Verdict::commit);
  record(RecordKind::checked, one, 1);
  const auto found = scan("orders");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].state, "committed");
  EXPECT_EQ(found[0].checks, 1);
}

}  // namespace
}  // namespace hf::broker
