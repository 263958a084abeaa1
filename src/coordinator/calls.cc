#include "coordinator/calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace hf::coordinator {
namespace {

namespace wire = hf::wire::two_phase;

/// A stranger's text as we store it: not too long, and well-formed, or a database would refuse the row that holds it.
std::string shown(std::string text, std::size_t limit = 500) {
  if (text.size() > limit) {
    text.resize(limit);
    while (!text.empty() && !is_utf8(text) && (text.back() & 0x80) != 0) text.pop_back();  // half a character
    text += "…";
  }
  if (is_utf8(text)) return text;
  std::ranges::replace_if(text, [](char c) { return (c & 0x80) != 0; }, '?');
  return text;
}

/// Why an answer is none: for the story.
std::string no_answer(const Result<net::HttpResponse>& answer) {
  if (!answer) return shown(answer.error().message);
  return shown(fmt::format("HTTP {} {}", answer->status, answer->body));
}

std::optional<wire::Message> message_of(const Result<net::HttpResponse>& answer) {
  if (!answer) return std::nullopt;
  Result<wire::Message> message = wire::parse_message(answer->body);
  if (!message) return std::nullopt;
  return std::move(*message);
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Event read_vote(std::size_t who, const Result<net::HttpResponse>& answer) {
  const auto message = message_of(answer);
  if (message && answer->status == 200) {
    if (const auto vote = wire::vote_from(message->message)) return Voted{who, *vote, shown(message->reason)};
  }
  return Silent{who, "prepare: " + no_answer(answer)};
}

Event read_acknowledgement(std::size_t who, Decision decision, const Result<net::HttpResponse>& answer) {
  const auto message = message_of(answer);
  if (message && answer->status == 404 && message->message == wire::kTransactionUnknown) {
    if (decision == Decision::abort) return Acknowledged{who, "it knows no such transaction"};
    return Contradicted{who, "unknown"};
  }
  const auto ended = message && answer->status == 200 ? wire::notified_from(message->message) : std::nullopt;
  if (!ended) return NotTold{who, no_answer(answer)};
  const bool agrees = (*ended == wire::Notified::committed) == (decision == Decision::commit);
  if (agrees) return Acknowledged{who, {}};
  return Contradicted{who, std::string(wire::to_string(*ended))};
}

Calls::Calls(sys::World world, const CoordinatorConfig& config, SendHttp send)
    : world_(world),
      config_(config),
      send_(std::move(send)),
      prepare_seconds_(world.metrics.histogram("holdfast_coordinator_prepare_seconds", "prepare calls")),
      notify_seconds_(world.metrics.histogram("holdfast_coordinator_notify_seconds", "tries of a notify")) {}

asio::awaitable<Event> Calls::prepare(std::string gtrid, std::size_t who, std::string url) {
  if (const Result<void> reached = co_await world_.faults.reach("coordinator.before_prepare"); !reached) {
    co_return Silent{who, reached.error().message};
  }
  if (world_.faults.drops("coordinator.prepare_request")) co_return Silent{who, "prepare: the request was lost"};
  const Monotonic begun = world_.clock.now();
  std::string body = wire::encode(wire::PrepareRequest{std::move(gtrid)});
  const Result<net::HttpResponse> answer =
      co_await post(std::move(url) + "/prepare", std::move(body), config_.prepare_timeout);
  prepare_seconds_.observe_seconds(seconds(world_.clock.now() - begun));
  if (world_.faults.drops("coordinator.prepare_reply")) co_return Silent{who, "prepare: the answer was lost"};
  co_return read_vote(who, answer);
}

asio::awaitable<Event> Calls::notify(std::string gtrid, std::size_t who, std::string url, Decision decision) {
  if (world_.faults.drops("coordinator.notify_request")) co_return NotTold{who, "the request was lost"};
  const Monotonic begun = world_.clock.now();
  std::string body = wire::encode(wire::NotifyRequest{std::move(gtrid), decision});
  const Result<net::HttpResponse> answer =
      co_await post(std::move(url) + "/notify", std::move(body), config_.notify_timeout);
  notify_seconds_.observe_seconds(seconds(world_.clock.now() - begun));
  if (world_.faults.drops("coordinator.notify_ack")) co_return NotTold{who, "the acknowledgement was lost"};
  co_return read_acknowledgement(who, decision, answer);
}

Task<net::HttpResponse> Calls::post(std::string url, std::string body, Duration timeout) {
  const Monotonic deadline = world_.clock.now() + timeout;
  HF_CO_TRY(const net::Url parsed, net::parse_url(url));
  const std::string origin = parsed.origin();
  std::unique_ptr<Lane>& slot = lanes_[origin];
  if (!slot) slot = std::make_unique<Lane>(world_.clock);
  Lane& lane = *slot;  // stays while it has users
  ++lane.users;
  Result<net::HttpResponse> answer = co_await post_in(lane, std::move(url), std::move(body), deadline);
  if (--lane.users == 0) lanes_.erase(origin);
  co_return answer;
}

Task<net::HttpResponse> Calls::post_in(Lane& lane, std::string url, std::string body, Monotonic deadline) {
  while (lane.under_way >= config_.calls_per_participant) {
    if (world_.clock.now() >= deadline) co_return Error{Code::unavailable, "too many calls wait for this participant"};
    co_await lane.free.wait_until(deadline);
  }
  net::HttpRequest request;
  request.method = "POST";
  request.headers.add("Content-Type", "application/json");
  if (!config_.secret.empty()) request.headers.add(std::string(wire::kSecretHeader), "Bearer " + config_.secret);
  request.body = std::move(body);
  ++lane.under_way;
  Result<net::HttpResponse> answer = co_await send_(std::move(request), std::move(url), deadline);
  --lane.under_way;
  lane.free.notify_one();
  co_return answer;
}

}  // namespace hf::coordinator
