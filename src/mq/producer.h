#pragma once

/// Sends messages; made by Client::producer().
///
///   HF_CO_TRY(co_await producer->start(10s));
///   mq::Message message{.topic = "orders", .body = "{}", .keys = {"order-17"}};
///   HF_CO_TRY(const mq::SendReceipt receipt, co_await producer->send(std::move(message)));

#include <memory>
#include <vector>

#include "base/task.h"
#include "mq/config.h"
#include "mq/message.h"
#include "sys/world.h"

namespace hf::mq {

class InFlight;
class Sender;
class Session;
class Transport;

/// One strand; as many sends at a time as wanted. close() is awaited before it is destroyed.
class Producer {
 public:
  Producer(sys::World world, const ClientConfig& client, Transport& transport, ProducerConfig config);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  /// Waits until the broker knows the configured topics and us. Optional: a send does what is missing. May be repeated.
  /// Errors: as for send().
  Task<> start(Duration timeout);
  /// When it returns, the broker has the message durably. An attempt that failed is repeated with the same message id
  /// while `send_timeout` lasts, so a message may come twice, never half.
  /// Errors: invalid (breaks a rule; nothing was sent) · not_found (no such topic) · denied · exhausted, unavailable
  /// (it was not stored) · timeout (it may have been stored).
  Task<SendReceipt> send(Message message);
  /// In one request; all of one topic. Each message has its own verdict; the outer error is of all.
  Task<std::vector<Result<SendReceipt>>> send_batch(std::vector<Message> messages);
  /// Nothing new is sent; waits for the sends under way (those that wait for the broker end with `unavailable`), then
  /// says goodbye to it.
  asio::awaitable<void> close();

 private:
  const ProducerConfig config_;
  sys::Clock& clock_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Sender> sender_;
  std::unique_ptr<InFlight> in_flight_;
  metrics::Counter &sent_, &failed_;
};

}  // namespace hf::mq
