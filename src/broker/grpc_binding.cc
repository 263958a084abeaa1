#include "broker/grpc_binding.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace hf::broker {
namespace {

using wire::rocketmq::CallContext;
using wire::rocketmq::MessagingService;
namespace pb = wire::rocketmq::pb;

std::string text_of(const net::GrpcMetadata& metadata, std::string_view name) {
  return std::string(net::find_metadata(metadata, name).value_or(std::string_view()));
}

/// Ends when the call does: receive() below notifies as well.
asio::awaitable<void> wake_on_cancel(net::GrpcCallPtr call, std::function<void()> wake) {
  if (!call->cancelled) co_await call->on_cancel->wait();
  if (call->cancelled) wake();
}

CallContext context_of(const net::GrpcCallPtr& call, sys::Executor executor) {
  CallContext context;
  context.client_id = text_of(call->metadata, "x-mq-client-id");
  context.language = text_of(call->metadata, "x-mq-language");
  context.client_version = text_of(call->metadata, "x-mq-client-version");
  context.request_id = text_of(call->metadata, "x-mq-request-id");
  context.date_time = text_of(call->metadata, "x-mq-date-time");
  context.authorization = text_of(call->metadata, "authorization");
  context.peer = call->peer;
  context.local = call->local;
  context.deadline = call->deadline;
  context.cancelled = [call] { return call->cancelled; };
  context.on_cancel = [call, executor = std::move(executor)](std::function<void()> wake) {
    if (call->on_cancel) asio::co_spawn(executor, wake_on_cancel(call, std::move(wake)), asio::detached);
  };
  return context;
}

Error malformed() { return Error{Code::invalid, "the request is not a message of its kind"}; }

template <class Request, class Response>
void bind_unary(net::GrpcService& grpc, sys::World& world, MessagingService& service, const char* method,
                Task<Response> (MessagingService::*call_method)(CallContext, Request)) {
  grpc.unary(std::string("/apache.rocketmq.v2.MessagingService/") + method,
             [&service, executor = world.executor, call_method](net::GrpcCallPtr call,
                                                                std::string bytes) -> Task<std::string> {
               Request request;
               if (!request.ParseFromString(bytes)) co_return malformed();
               HF_CO_TRY(const Response response,
                         co_await (service.*call_method)(context_of(call, executor), std::move(request)));
               co_return response.SerializeAsString();
             });
}

template <class Message>
class Reader final : public StreamReader<Message> {
 public:
  explicit Reader(net::GrpcServerStream& stream) : stream_(stream) {}
  Task<std::optional<Message>> read() override {
    HF_CO_TRY(const std::optional<std::string> bytes, co_await stream_.read());
    if (!bytes) co_return std::optional<Message>();
    Message message;
    if (!message.ParseFromString(*bytes)) co_return malformed();
    co_return std::optional<Message>(std::move(message));
  }

 private:
  net::GrpcServerStream& stream_;
};

template <class Message>
class Writer final : public StreamWriter<Message> {
 public:
  explicit Writer(net::GrpcServerStream& stream) : stream_(stream) {}
  Task<> write(Message message) override { co_return co_await stream_.write(message.SerializeAsString()); }

 private:
  net::GrpcServerStream& stream_;
};

asio::awaitable<net::GrpcStatus> receive(MessagingService& service, net::GrpcCallPtr call, sys::Executor executor,
                                         net::GrpcServerStream& stream) {
  Reader<pb::ReceiveMessageRequest> reader(stream);
  Result<std::optional<pb::ReceiveMessageRequest>> request = co_await reader.read();
  if (!request || !request->has_value()) co_return net::to_grpc_status(malformed());
  Writer<pb::ReceiveMessageResponse> writer(stream);
  const Result<void> ended =
      co_await service.receive_message(context_of(call, std::move(executor)), std::move(**request), writer);
  if (call->on_cancel) call->on_cancel->notify_all();
  co_return ended ? net::GrpcStatus{} : net::to_grpc_status(ended.error());
}

asio::awaitable<net::GrpcStatus> telemetry(MessagingService& service, CallContext context,
                                           net::GrpcServerStream& stream) {
  Reader<pb::TelemetryCommand> reader(stream);
  Writer<pb::TelemetryCommand> writer(stream);
  const Result<void> ended = co_await service.telemetry(std::move(context), reader, writer);
  co_return ended ? net::GrpcStatus{} : net::to_grpc_status(ended.error());
}

}  // namespace

void register_messaging_service(net::GrpcService& grpc, MessagingService& service, sys::World& world) {
  bind_unary(grpc, world, service, "QueryRoute", &MessagingService::query_route);
  bind_unary(grpc, world, service, "QueryAssignment", &MessagingService::query_assignment);
  bind_unary(grpc, world, service, "Heartbeat", &MessagingService::heartbeat);
  bind_unary(grpc, world, service, "SendMessage", &MessagingService::send_message);
  bind_unary(grpc, world, service, "EndTransaction", &MessagingService::end_transaction);
  bind_unary(grpc, world, service, "AckMessage", &MessagingService::ack_message);
  bind_unary(grpc, world, service, "ChangeInvisibleDuration", &MessagingService::change_invisible_duration);
  bind_unary(grpc, world, service, "ForwardMessageToDeadLetterQueue",
             &MessagingService::forward_message_to_dead_letter_queue);
  bind_unary(grpc, world, service, "NotifyClientTermination", &MessagingService::notify_client_termination);
  grpc.stream("/apache.rocketmq.v2.MessagingService/ReceiveMessage",
              [&service, executor = world.executor](net::GrpcCallPtr call, net::GrpcServerStream& stream) {
                return receive(service, std::move(call), executor, stream);
              });
  grpc.stream("/apache.rocketmq.v2.MessagingService/Telemetry",
              [&service, executor = world.executor](net::GrpcCallPtr call, net::GrpcServerStream& stream) {
                return telemetry(service, context_of(call, executor), stream);
              });
}

}  // namespace hf::broker
