#pragma once

/// For tests of the client alone: a MessagingService that does what the test says, above all what a real broker does
/// not do on demand (lose answers, forget clients, break streams). What a broker does is tested with the real one, in
/// tests/conformance/mq.

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "mq/transport.h"
#include "sys/sim.h"
#include "sys/wait.h"
#include "wire/rocketmq/endpoints.h"
#include "wire/rocketmq/status.h"

namespace hf::mq {

using wire::rocketmq::CallContext;

class ScriptedService final : public wire::rocketmq::MessagingService, public Transport {
 public:
  explicit ScriptedService(sys::Clock& clock) : clock_(clock), broken_(clock), more_(clock) {
    access_point_ = *wire::rocketmq::parse_endpoints("10.0.0.1:8081");
    server_settings_ = [](const pb::Settings& own) { return own; };
  }

  // What the test looks at, and changes.
  std::vector<std::string> trace;      ///< "telemetry", "settings", "heartbeat", "send ID", …
  std::vector<pb::Settings> settings;  ///< as they came
  std::vector<pb::SendMessageRequest> sends;
  std::vector<pb::EndTransactionRequest> ends;
  std::vector<pb::AckMessageRequest> acks;
  std::vector<pb::ChangeInvisibleDurationRequest> changes;
  std::vector<pb::ForwardMessageToDeadLetterQueueRequest> dead;
  std::vector<pb::ReceiveMessageRequest> receives;
  std::deque<Result<pb::Code>> send_answers, end_answers, ack_answers, heartbeat_answers, route_answers;  ///< then OK
  std::deque<std::vector<pb::Message>> batches;  ///< for receives; empty: they wait out their polling time
  std::function<pb::Settings(const pb::Settings&)> server_settings_;
  bool answers_settings = true;
  std::size_t streams = 0, goodbyes = 0;

  void break_telemetry() { broken_.notify_all(); }
  void deliver(std::vector<pb::Message> batch) {
    batches.push_back(std::move(batch));
    more_.notify_all();
  }
  asio::awaitable<void> command(pb::TelemetryCommand command) {
    HF_ASSERT(to_client_ != nullptr);
    (void)co_await to_client_->write(std::move(command));
  }

  // Transport.
  const pb::Endpoints& access_point() const override { return access_point_; }
  wire::rocketmq::MessagingService& service(const pb::Endpoints&) override { return *this; }

  // MessagingService.
  Task<pb::QueryRouteResponse> query_route(CallContext, pb::QueryRouteRequest request) override {
    pb::QueryRouteResponse response;
    trace.push_back("route " + request.topic().name());
    HF_CO_TRY(const pb::Code code, next(route_answers));
    wire::rocketmq::set_status(*response.mutable_status(), code);
    if (code == pb::OK) *response.add_message_queues() = queue(request.topic());
    co_return response;
  }
  Task<pb::QueryAssignmentResponse> query_assignment(CallContext, pb::QueryAssignmentRequest request) override {
    pb::QueryAssignmentResponse response;
    wire::rocketmq::set_status(*response.mutable_status(), pb::OK);
    pb::MessageQueue& assigned = *response.add_assignments()->mutable_message_queue();
    assigned = queue(request.topic());
    assigned.set_id(-1);
    co_return response;
  }
  Task<pb::HeartbeatResponse> heartbeat(CallContext, pb::HeartbeatRequest) override {
    trace.push_back("heartbeat");
    return plain<pb::HeartbeatResponse>(next(heartbeat_answers));
  }
  Task<pb::SendMessageResponse> send_message(CallContext context, pb::SendMessageRequest request) override {
    sends.push_back(request);
    Result<pb::Code> code = next(send_answers);
    if (!code && code.error().code == Code::timeout) co_await clock_.sleep_until(context.deadline);
    HF_CO_TRY(const pb::Code verdict, std::move(code));
    pb::SendMessageResponse response;
    wire::rocketmq::set_status(*response.mutable_status(), verdict);
    for (const pb::Message& message : request.messages()) {
      pb::SendResultEntry& entry = *response.add_entries();
      wire::rocketmq::set_status(*entry.mutable_status(), verdict);
      entry.set_message_id(message.system_properties().message_id());
      if (message.system_properties().message_type() == pb::TRANSACTION)
        entry.set_transaction_id("tx-" + message.system_properties().message_id());
    }
    co_return response;
  }
  Task<pb::EndTransactionResponse> end_transaction(CallContext, pb::EndTransactionRequest request) override {
    ends.push_back(request);
    return plain<pb::EndTransactionResponse>(next(end_answers));
  }
  Task<pb::AckMessageResponse> ack_message(CallContext, pb::AckMessageRequest request) override {
    acks.push_back(request);
    return plain<pb::AckMessageResponse>(next(ack_answers));
  }
  Task<pb::ChangeInvisibleDurationResponse> change_invisible_duration(
      CallContext, pb::ChangeInvisibleDurationRequest request) override {
    changes.push_back(request);
    pb::ChangeInvisibleDurationResponse response;
    wire::rocketmq::set_status(*response.mutable_status(), pb::OK);
    response.set_receipt_handle(request.receipt_handle() + "'");
    co_return response;
  }
  Task<pb::ForwardMessageToDeadLetterQueueResponse> forward_message_to_dead_letter_queue(
      CallContext, pb::ForwardMessageToDeadLetterQueueRequest request) override {
    dead.push_back(request);
    return plain<pb::ForwardMessageToDeadLetterQueueResponse>(pb::OK);
  }
  Task<pb::NotifyClientTerminationResponse> notify_client_termination(CallContext,
                                                                      pb::NotifyClientTerminationRequest) override {
    ++goodbyes;
    return plain<pb::NotifyClientTerminationResponse>(pb::OK);
  }
  Task<> receive_message(CallContext context, pb::ReceiveMessageRequest request,
                         StreamWriter<pb::ReceiveMessageResponse>& out) override {
    receives.push_back(request);
    const Monotonic until = clock_.now() + std::chrono::seconds(request.long_polling_timeout().seconds());
    if (context.on_cancel) context.on_cancel([this] { more_.notify_all(); });
    auto cancelled = [&] { return context.cancelled && context.cancelled(); };
    while (batches.empty() && !cancelled() && co_await more_.wait_until(until)) continue;
    if (cancelled()) co_return Error{Code::unavailable, "cancelled"};
    pb::ReceiveMessageResponse frame;
    wire::rocketmq::set_status(*frame.mutable_status(), batches.empty() ? pb::MESSAGE_NOT_FOUND : pb::OK);
    HF_CO_TRY(co_await out.write(std::move(frame)));
    if (batches.empty()) co_return ok();
    std::vector<pb::Message> batch = std::move(batches.front());
    batches.pop_front();
    for (pb::Message& message : batch) {
      pb::ReceiveMessageResponse item;
      *item.mutable_message() = std::move(message);
      HF_CO_TRY(co_await out.write(std::move(item)));
    }
    co_return ok();
  }
  Task<> telemetry(CallContext context, StreamReader<pb::TelemetryCommand>& from_client,
                   StreamWriter<pb::TelemetryCommand>& to_client) override {
    using namespace asio::experimental::awaitable_operators;
    trace.push_back("telemetry");
    ++streams;
    to_client_ = &to_client;
    if (context.on_cancel) context.on_cancel([this] { broken_.notify_all(); });
    co_await (serve(from_client, to_client) || broken_.wait());
    to_client_ = nullptr;
    co_return ok();
  }

  static pb::Message message(const std::string& id, int attempt = 1) {
    pb::Message m;
    m.mutable_topic()->set_name("orders");
    m.set_body("body of " + id);
    m.mutable_system_properties()->set_message_id(id);
    m.mutable_system_properties()->set_receipt_handle("handle-" + id);
    m.mutable_system_properties()->set_delivery_attempt(attempt);
    return m;
  }

 private:
  static Result<pb::Code> next(std::deque<Result<pb::Code>>& answers) {
    if (answers.empty()) return pb::OK;
    Result<pb::Code> answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
  template <class Response>
  static Task<Response> plain(Result<pb::Code> code) {
    HF_CO_TRY(const pb::Code verdict, std::move(code));
    Response response;
    wire::rocketmq::set_status(*response.mutable_status(), verdict);
    co_return response;
  }
  pb::MessageQueue queue(const pb::Resource& topic) const {
    pb::MessageQueue queue;
    *queue.mutable_topic() = topic;
    queue.set_permission(pb::READ_WRITE);
    queue.mutable_broker()->set_name("broker-a");
    *queue.mutable_broker()->mutable_endpoints() = access_point_;
    for (const pb::MessageType type : {pb::NORMAL, pb::FIFO, pb::DELAY, pb::TRANSACTION})
      queue.add_accept_message_types(type);
    return queue;
  }
  asio::awaitable<void> serve(StreamReader<pb::TelemetryCommand>& from_client,
                              StreamWriter<pb::TelemetryCommand>& to_client) {
    while (true) {
      Result<std::optional<pb::TelemetryCommand>> read = co_await from_client.read();
      if (!read || !*read) co_return;
      if (!(*read)->has_settings()) continue;
      trace.push_back("settings");
      settings.push_back((*read)->settings());
      if (!answers_settings) continue;
      pb::TelemetryCommand answer;
      wire::rocketmq::set_status(*answer.mutable_status(), pb::OK);
      *answer.mutable_settings() = server_settings_((*read)->settings());
      (void)co_await to_client.write(std::move(answer));
    }
  }

  sys::Clock& clock_;
  pb::Endpoints access_point_;
  sys::Event broken_, more_;
  StreamWriter<pb::TelemetryCommand>* to_client_ = nullptr;
};

}  // namespace hf::mq
