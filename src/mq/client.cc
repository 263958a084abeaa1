#include "mq/client.h"

#include "mq/transport.h"

namespace hf::mq {

Result<std::unique_ptr<Client>> Client::make(sys::World world, ClientConfig config,
                                             wire::rocketmq::MessagingService* embedded) {
  HF_TRY(check(config));
  HF_TRY(std::unique_ptr<Transport> transport, make_transport(world, config, embedded));
  return std::unique_ptr<Client>(new Client(world, std::move(config), std::move(transport)));
}

Client::Client(sys::World world, ClientConfig config, std::unique_ptr<Transport> transport)
    : world_(world), config_(std::move(config)), transport_(std::move(transport)) {}

Client::~Client() = default;

std::unique_ptr<Producer> Client::producer(ProducerConfig config) {
  HF_ASSERT(check(config));
  return std::make_unique<Producer>(world_, config_, *transport_, std::move(config));
}

std::unique_ptr<TransactionProducer> Client::transaction_producer(ProducerConfig config, Checker checker) {
  HF_ASSERT(check(config));
  return std::make_unique<TransactionProducer>(world_, config_, *transport_, std::move(config), std::move(checker));
}

std::unique_ptr<SimpleConsumer> Client::simple_consumer(ConsumerConfig config) {
  HF_ASSERT(check(config));
  return std::make_unique<SimpleConsumer>(world_, config_, *transport_, std::move(config));
}

std::unique_ptr<PushConsumer> Client::push_consumer(ConsumerConfig config, Listener listener) {
  HF_ASSERT(check(config));
  return std::make_unique<PushConsumer>(world_, config_, *transport_, std::move(config), std::move(listener));
}

}  // namespace hf::mq
