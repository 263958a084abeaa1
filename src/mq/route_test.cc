#include "mq/route.h"

#include "wire/rocketmq/endpoints.h"

namespace hf::mq {
namespace {

void add(pb::QueryRouteResponse& response, const char* broker, int broker_id, int id, pb::Permission permission,
         const char* address) {
  pb::MessageQueue& queue = *response.add_message_queues();
  queue.set_id(id);
  queue.set_permission(permission);
  queue.mutable_broker()->set_name(broker);
  queue.mutable_broker()->set_id(broker_id);
  *queue.mutable_broker()->mutable_endpoints() = *wire::rocketmq::parse_endpoints(address);
  queue.add_accept_message_types(pb::NORMAL);
}

TEST(Route, WritableQueuesOfMastersInTurn) {
  pb::QueryRouteResponse response;
  add(response, "a", 0, 0, pb::READ, "10.0.0.1:1");
  add(response, "a", 0, 1, pb::READ_WRITE, "10.0.0.1:1");
  add(response, "a", 0, 2, pb::WRITE, "10.0.0.1:1");
  add(response, "b", 0, 1, pb::READ_WRITE, "10.0.0.2:1");
  add(response, "b", 1, 1, pb::READ_WRITE, "10.0.0.3:1");
  const Result<Route> route = Route::from(response);
  ASSERT_TRUE(route);
  ASSERT_EQ(route->endpoints().size(), 2u) << "replicas are not used";
  std::string picked;
  for (std::uint64_t turn = 0; turn < 4; ++turn) {
    const pb::MessageQueue& queue = **route->pick("", turn);
    picked += queue.broker().name() + std::to_string(queue.id()) + " ";
  }
  EXPECT_EQ(picked, "a1 b1 a2 a1 ");
  EXPECT_EQ(*route->pick("customer-7", 0), *route->pick("customer-7", 1)) << "a group stays with its queue";
  EXPECT_TRUE(route->check_type(pb::NORMAL));
  EXPECT_EQ(route->check_type(pb::TRANSACTION).error().code, Code::invalid);
}

TEST(Route, NothingWritable) {
  pb::QueryRouteResponse response;
  EXPECT_EQ(Route::from(response).error().code, Code::unavailable);
  add(response, "a", 0, 0, pb::READ, "10.0.0.1:1");
  EXPECT_EQ(Route::from(response)->pick("", 0).error().code, Code::denied);
}

// The vectors of the SipHash paper: the key 00 … 0f, the input 00 01 … of the given length.
TEST(Route, SipHash) {
  std::string input;
  for (char c = 0; c < 15; ++c) input += c;
  EXPECT_EQ(sip_hash(""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(sip_hash(input.substr(0, 1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(sip_hash(input.substr(0, 8)), 0x93f5f5799a932462u);
  EXPECT_EQ(sip_hash(input), 0xa129ca6149be45e5u);
}

}  // namespace
}  // namespace hf::mq
