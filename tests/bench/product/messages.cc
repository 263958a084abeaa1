#include "messages.h"

#include <fmt/format.h>

#include <filesystem>

#include "broker/broker.h"
#include "server.h"
#include "suites.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::bench {
namespace {

constexpr int kInFlight[] = {1, 16, 128};
constexpr std::size_t kBody = 1024;
constexpr Duration kPatience = 30s;
enum class Kind { send, pair };

class ProducerInProcess final : public Producer {
 public:
  explicit ProducerInProcess(wire::rocketmq::MessagingService& service) : service_(service) {
    call_.client_id = "bench";
    call_.peer = call_.local = "in-process";
  }
  Task<pb::SendMessageResponse> send(const pb::SendMessageRequest& request) override {
    return service_.send_message(call_, request);
  }
  Task<pb::EndTransactionResponse> end(const pb::EndTransactionRequest& request) override {
    return service_.end_transaction(call_, request);
  }

 private:
  wire::rocketmq::MessagingService& service_;
  wire::rocketmq::CallContext call_;
};

struct Outcome {
  std::uint64_t done = 0, failed = 0;
  std::vector<double> us;
};

pb::EndTransactionRequest commit_of(const pb::SendMessageResponse& sent) {
  pb::EndTransactionRequest request;
  request.mutable_topic()->set_name(kTopic);

  if (sent.entries_size() == 1) {
    request.set_message_id(sent.entries(0).message_id());
    request.set_transaction_id(sent.entries(0).transaction_id());
  }
  request.set_resolution(pb::COMMIT);
  return request;
}

asio::awaitable<bool> act(Producer& producer, Kind kind, const pb::SendMessageRequest& request) {
  const auto sent = co_await producer.send(request);
  if (!sent || sent->status().code() != pb::OK) co_return false;
  if (kind == Kind::send) co_return true;
  const pb::EndTransactionRequest commit = commit_of(*sent);
  const auto ended = co_await producer.end(commit);
  co_return ended && ended->status().code() == pb::OK;
}

asio::awaitable<void> repeat(Producer& producer, sys::Clock& clock, Kind kind, Monotonic end, Outcome& out) {
  const pb::SendMessageRequest request = send_request(1, kBody, kind == Kind::pair ? pb::TRANSACTION : pb::NORMAL);
  for (Monotonic at = clock.now(); at < end;) {
    const bool good = co_await act(producer, kind, request);
    const Monotonic now = clock.now();
    good ? ++out.done : ++out.failed;
    if (!good) {  // refused, overloaded: as a producer does it, again after a pause
      co_await clock.sleep_for(1ms);
      at = clock.now();
      continue;
    }
    out.us.push_back(std::chrono::duration<double, std::micro>(now - at).count());
    at = now;
  }
}

enum class Path { grpc, in_process };

Result<void> measure(sys::Loop& loop, Producer& producer, Path path, Kind kind, int in_flight, const Plan& plan,
                     const Limits& limits, Report& report) {
  Outcome out;
  sys::Clock& clock = loop.world().clock;
  sys::TaskGroup tasks(loop.executor(), clock);
  const Monotonic begin = clock.now();
  const auto span = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(plan.seconds));
  for (int i = 0; i < in_flight; ++i) tasks.spawn("producer", repeat(producer, clock, kind, begin + span, out));
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(clock.now() - begin).count();
  const std::string name = fmt::format("{}, {} in flight, {}", kind == Kind::send ? "sends" : "half + commit",
                                       in_flight, path == Path::grpc ? "gRPC" : "in process");
  if (out.done == 0) return Error{Code::internal, fmt::format("{}: all {} failed", name, out.failed)};
  if (out.failed > 0) report.add({name + ", refused", "", Better::lower, static_cast<double>(out.failed)});
  const int steps = kind == Kind::send ? 1 : 2;
  Sample rate{name, kind == Kind::send ? "sends/s" : "pairs/s", Better::higher, static_cast<double>(out.done) / seconds,
              limits.rate(in_flight, steps, path == Path::grpc ? steps : 0)};
  if (path == Path::grpc && in_flight == 128) rate.target = kind == Kind::send ? 60'000 : 25'000;
  report.add(rate);
  report.add({name + ", p50", "us", Better::lower, median(out.us), in_flight * 1e6 / rate.limit});
  report.add({name + ", p99", "us", Better::lower, quantile(out.us, 0.99)});
  return ok();
}

Result<void> measure_all(sys::Loop& loop, Producer& producer, Path path, const Plan& plan, const Limits& limits,
                         Report& report) {
  for (const Kind kind : {Kind::send, Kind::pair}) {
    for (const int in_flight : kInFlight) {
      HF_TRY(measure(loop, producer, path, kind, in_flight, plan, limits, report));
    }
  }
  return ok();
}

}  // namespace

pb::SendMessageRequest send_request(int messages, std::size_t bytes, pb::MessageType type) {
  pb::SendMessageRequest request;
  for (int i = 0; i < messages; ++i) {
    pb::Message& message = *request.add_messages();
    message.mutable_topic()->set_name(kTopic);
    message.set_body(std::string(bytes, 'x'));
    message.mutable_system_properties()->set_message_id("01000000000000000000000000000000AB");
    message.mutable_system_properties()->set_message_type(type);
  }
  return request;
}

template <class Response, class Request>
Task<Response> ProducerOverGrpc::call(const char* path, const Request& request) {
  net::GrpcMetadata metadata{{"x-mq-client-id", "bench"}};
  HF_CO_TRY(const std::string bytes,
            co_await channel_.call(path, std::move(metadata), request.SerializeAsString(), clock_.now() + kPatience));
  Response response;
  if (!response.ParseFromString(bytes)) co_return Error{Code::internal, "the broker's answer cannot be read"};
  co_return response;
}

Task<pb::SendMessageResponse> ProducerOverGrpc::send(const pb::SendMessageRequest& request) {
  return call<pb::SendMessageResponse>("/apache.rocketmq.v2.MessagingService/SendMessage", request);
}

Task<pb::EndTransactionResponse> ProducerOverGrpc::end(const pb::EndTransactionRequest& request) {
  return call<pb::EndTransactionResponse>("/apache.rocketmq.v2.MessagingService/EndTransaction", request);
}

Result<void> measure_messages_over_grpc(const Plan& plan, const Limits& limits, Report& report) {
  const Server::Setup setup{
      plan.binary, plan.folder + "/grpc", "broker",
      fmt::format("[broker]\ntopics = [\"{}:MIXED\"]\nkeep_consumed_bytes = 1073741824\n", kTopic)};
  HF_TRY(Server server, Server::start(setup));
  {
    sys::Loop loop;
    net::GrpcChannel::Options to;
    to.host = "127.0.0.1";
    to.port = server.port("broker");
    net::GrpcChannel channel(loop.world(), to);
    ProducerOverGrpc producer(channel, loop.world().clock);
    Result<void> measured = measure_all(loop, producer, Path::grpc, plan, limits, report);
    channel.close();
    loop.drain(1s);
    HF_TRY(std::move(measured));
  }
  HF_TRY(server.stop());
  std::filesystem::remove_all(setup.folder);
  return ok();
}

Result<void> measure_messages_in_process(const Plan& plan, const Limits& limits, Report& report) {
  const std::string folder = plan.folder + "/in_process";
  sys::Loop loop;
  broker::BrokerConfig config;
  config.topics = {{kTopic, broker::TopicType::mixed}};
  config.retention.keep_consumed_bytes = 1ull << 30;
  HF_TRY(const auto broker, broker::Broker::open(loop.world(), config, folder));
  ProducerInProcess producer(broker->service());
  Result<void> measured = measure_all(loop, producer, Path::in_process, plan, limits, report);
  Result<void> stopped = loop.run_until_done(broker->stop());
  loop.drain(1s);
  HF_TRY(std::move(measured));
  HF_TRY(std::move(stopped));
  std::filesystem::remove_all(folder);
  return ok();
}

}  // namespace hf::bench
