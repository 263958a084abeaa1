#include <fmt/format.h>

#include <filesystem>

#include "messages.h"
#include "server.h"
#include "suites.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::bench {
namespace {

constexpr int kBatch = 32, kWriters = 16;
constexpr std::size_t kBody = 256;

constexpr Duration kRefusedPause = 10ms, kFillLimit = 180s;

struct Filling {
  std::uint64_t left = 0, failed = 0, refused = 0;  ///< refused: requests told to come again later, which they did
  std::string why{};
};

std::string reason(const Result<pb::SendMessageResponse>& sent) {
  return sent ? sent->status().message() : sent.error().to_string();
}

/// As a producer does it: a broker that is overloaded is asked again after a pause.
Task<pb::SendMessageResponse> send_patiently(Producer& producer, const pb::SendMessageRequest& request,
                                             sys::Clock& clock, Filling& filling) {
  for (const Monotonic limit = clock.now() + kFillLimit;;) {
    auto sent = co_await producer.send(request);
    if (!sent || sent->status().code() != pb::TOO_MANY_REQUESTS || clock.now() > limit) co_return sent;
    ++filling.refused;
    co_await clock.sleep_for(kRefusedPause);
  }
}

asio::awaitable<void> fill(Producer& producer, sys::Clock& clock, Filling& filling) {
  const pb::SendMessageRequest whole = send_request(kBatch, kBody, pb::NORMAL);
  while (filling.left > 0) {
    const auto take = static_cast<int>(std::min<std::uint64_t>(filling.left, kBatch));
    filling.left -= static_cast<std::uint64_t>(take);
    const pb::SendMessageRequest request = take == kBatch ? whole : send_request(take, kBody, pb::NORMAL);
    const auto sent = co_await send_patiently(producer, request, clock, filling);
    if (sent && sent->status().code() == pb::OK) continue;
    filling.failed += static_cast<std::uint64_t>(take);
    filling.why = reason(sent);
  }
}

struct Filled {
  double seconds = 0;
  std::uint64_t refused = 0;
};

Result<Filled> fill_all(std::uint16_t port, std::uint64_t messages) {
  sys::Loop loop;
  net::GrpcChannel::Options to;
  to.host = "127.0.0.1";
  to.port = port;
  net::GrpcChannel channel(loop.world(), to);
  ProducerOverGrpc producer(channel, loop.world().clock);
  Filling filling{.left = messages};
  sys::TaskGroup tasks(loop.executor(), loop.world().clock);
  const Monotonic begin = loop.world().clock.now();
  for (int i = 0; i < kWriters; ++i) tasks.spawn("fill", fill(producer, loop.world().clock, filling));
  loop.run_until_done(tasks.join());
  const double seconds = std::chrono::duration<double>(loop.world().clock.now() - begin).count();
  channel.close();
  loop.drain(1s);
  if (filling.failed > 0) {
    return Error{Code::internal,
                 fmt::format("{} of {} sends failed, the last: {}", filling.failed, messages, filling.why)};
  }
  return Filled{seconds, filling.refused};
}

}  // namespace

Result<void> measure_backlog(const Plan& plan, Report& report) {
  // The group is there before the first message, so all of them wait for it.
  const Server::Setup setup{plan.binary, plan.folder + "/backlog", "broker",
                            fmt::format("[broker]\ntopics = [\"{}:MIXED\"]\ngroups = [\"bench\"]\n", kTopic)};
  const std::string what = fmt::format("{} messages of {} bytes", plan.backlog, kBody);
  {
    HF_TRY(Server server, Server::start(setup));
    HF_TRY(const Filled filled, fill_all(server.port("broker"), plan.backlog));
    report.add({fmt::format("sends, {} a request, {} bytes, gRPC", kBatch, kBody), "sends/s", Better::higher,
                static_cast<double>(plan.backlog) / filled.seconds});
    report.add({"  of these requests told to come again later", "requests", Better::lower,
                static_cast<double>(filled.refused)});
    report.add({"broker memory, backlog " + what, "MiB", Better::lower, server.resident_mib()});
    HF_TRY(server.stop());
  }
  HF_TRY(Server again, Server::start(setup));
  report.add({"broker start, backlog " + what, "ms", Better::lower, again.start_ms()});
  report.add({"broker memory after that start", "MiB", Better::lower, again.resident_mib()});
  HF_TRY(again.stop());
  std::filesystem::remove_all(setup.folder);
  return ok();
}

}  // namespace hf::bench
