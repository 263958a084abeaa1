#pragma once

/// Where messages go and come from: a RocketMQ 5 broker, by URL. Behind it is ours or Apache's; ours may be in the same
/// process, and is then called without a network. Nothing else changes.
///
///   mq::ClientConfig config{.url = "rocketmq://127.0.0.1:8081"};
///   HF_TRY(std::unique_ptr<mq::Client> client, mq::Client::make(world, config));
///   auto producer = client->producer({.topics = {"orders"}});
///
/// Complete examples that are compiled and run: tests/conformance/mq/examples_test.cc.

#include <memory>

#include "base/result.h"
#include "mq/config.h"
#include "mq/producer.h"
#include "mq/push_consumer.h"
#include "mq/simple_consumer.h"
#include "mq/transaction_producer.h"
#include "sys/world.h"

namespace hf::wire::rocketmq {
class MessagingService;
}

namespace hf::mq {

class Transport;

/// Makes producers and consumers, and outlives them. One strand, that of `world`; an embedded service lives on it, too.
/// Each producer and consumer is a client of its own to the broker, over shared connections.
class Client {
 public:
  /// `embedded`: the broker of this process, for "embedded:"; outlives the client.
  /// Error: invalid, naming the field that is out of bounds or the URL that is wrong. Nothing is connected yet.
  static Result<std::unique_ptr<Client>> make(sys::World world, ClientConfig config,
                                              wire::rocketmq::MessagingService* embedded = nullptr);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Each: HF_ASSERTs check(config); call check() first on what a user wrote.
  std::unique_ptr<Producer> producer(ProducerConfig config);
  /// `checker` may be empty, with a warning at start (TransactionProducer).
  std::unique_ptr<TransactionProducer> transaction_producer(ProducerConfig config, Checker checker);
  std::unique_ptr<SimpleConsumer> simple_consumer(ConsumerConfig config);
  std::unique_ptr<PushConsumer> push_consumer(ConsumerConfig config, Listener listener);

 private:
  Client(sys::World world, ClientConfig config, std::unique_ptr<Transport> transport);

  sys::World world_;
  const ClientConfig config_;
  std::unique_ptr<Transport> transport_;
};

/// Bounds as in config.h, names as the protocol allows them. Error: invalid, naming the field.
Result<void> check(const ClientConfig& config);
Result<void> check(const ProducerConfig& config);
Result<void> check(const ConsumerConfig& config);

}  // namespace hf::mq
