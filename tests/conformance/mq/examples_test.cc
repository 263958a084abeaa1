// How the message client is used, from connecting to closing: these are the examples its headers point to. They run
// against a real broker.

#include <map>

#include "conformance/mq/rig.h"

namespace hf::mq::test {
namespace {

/// Send one message, receive it, acknowledge it.
Task<std::string> send_and_receive(Client& client) {
  auto consumer = client.simple_consumer({.group = "example", .subscriptions = {{.topic = "greetings"}}});
  HF_CO_TRY(co_await consumer->start(10s));  // from here on the group gets what is sent

  auto producer = client.producer({.topics = {"greetings"}});
  Message message{.topic = "greetings", .body = "hello", .tag = "english", .keys = {"greeting-1"}};
  HF_CO_TRY(const SendReceipt receipt, co_await producer->send(std::move(message)));  // durable when it returns

  std::string heard;
  while (heard.empty()) {
    HF_CO_TRY(std::vector<ReceivedMessage> received, co_await consumer->receive(16, 30s));
    for (const ReceivedMessage& one : received) {
      heard = one.message.body;
      EXPECT_EQ(one.message.message_id, receipt.message_id);
      HF_CO_TRY(co_await consumer->ack(one));  // without it, the message comes again after 30 s
    }
  }
  co_await producer->close();
  co_await consumer->close();
  co_return heard;
}

/// What stands for the database of a shop.
struct Shop {
  std::map<std::string, int> orders;  // committed ones
  bool broken = false;
};

/// An order and its message: both, or neither.
Task<TransactionOutcome> place_order(TransactionProducer& producer, Shop& shop, std::string id, int quantity) {
  // Runs once the half message is durable. It gets the message and the argument; what it returns decides.
  auto executor = [&shop](const HalfMessage& half, const std::any& argument) -> Task<Resolution> {
    const int wanted = std::any_cast<int>(argument);
    if (wanted > 10) co_return Resolution::rollback;
    if (shop.broken) co_return Error{Code::timeout, "the database did not answer the COMMIT"};  // UNKNOWN
    shop.orders[half.message.keys.front()] = wanted;
    co_return Resolution::commit;
  };
  Message message{.topic = "orders", .body = "order " + id, .keys = {id}};
  const std::any argument = quantity;
  co_return co_await producer.send_message_in_transaction(std::move(message), executor, argument);
}

class Examples : public testing::TestWithParam<Way> {
 protected:
  std::unique_ptr<Rig> rig_ = Rig::make(GetParam());
  std::unique_ptr<Client> client_ = rig_->client();
};

TEST_P(Examples, SendAndReceive) {
  const Result<std::string> heard = rig_->run(send_and_receive(*client_));
  ASSERT_TRUE(heard) << heard.error().to_string();
  EXPECT_EQ(*heard, "hello");
}

TEST_P(Examples, AnOrderAndItsMessage) {
  Shop shop;
  // Asked by the broker about transactions that were not decided: perhaps those of another process.
  auto checker = [&shop](const HalfMessage& half) -> Task<Resolution> {
    co_return shop.orders.contains(half.message.keys.front()) ? Resolution::commit : Resolution::unknown;
  };
  auto producer = client_->transaction_producer({.topics = {"orders"}}, checker);
  ASSERT_TRUE(rig_->run(producer->start(10s)));

  // Calls a listener for each message; success acknowledges it, an error brings it back later.
  std::vector<std::string> heard;
  auto listener = [&heard](const ReceivedMessage& received) -> Task<> {
    heard.push_back(received.message.body);
    co_return ok();
  };
  auto consumer = client_->push_consumer({.group = "audit", .subscriptions = {{.topic = "orders"}}}, listener);
  ASSERT_TRUE(rig_->run(consumer->start(10s)));

  const auto placed = rig_->run(place_order(*producer, shop, "order-1", 2));
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->local, Resolution::commit);
  EXPECT_EQ(placed->decided, Decided::taken);
  const auto refused = rig_->run(place_order(*producer, shop, "order-2", 99));
  EXPECT_EQ(refused->local, Resolution::rollback);

  // The database committed, but its answer was lost: the broker asks, the checker looks.
  shop.broken = true;
  const auto unknown = rig_->run(place_order(*producer, shop, "order-3", 1));
  EXPECT_EQ(unknown->local, Resolution::unknown);
  EXPECT_TRUE(unknown->local_error);
  shop.orders["order-3"] = 1;

  EXPECT_TRUE(rig_->eventually(30s, [&] { return heard.size() == 2; }));
  EXPECT_THAT(heard, testing::UnorderedElementsAre("order order-1", "order order-3"));
  rig_->run(producer->close());
  rig_->run(consumer->close());
}

INSTANTIATE_TEST_SUITE_P(Every, Examples, testing::Values(Way::embedded, Way::grpc, Way::grpc_tls),
                         [](const auto& info) { return to_string(info.param); });

}  // namespace
}  // namespace hf::mq::test
