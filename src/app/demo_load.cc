#include "app/demo_load.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "sys/wait.h"

namespace hf::app {
namespace {

namespace json = boost::json;

constexpr Duration kTryTimeout = 5s, kPauseMin = 20ms, kPauseMax = 500ms;

std::string text_at(const json::value& body, const char* pointer) {
  boost::system::error_code failed;
  const json::value* found = body.find_pointer(pointer, failed);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

}  // namespace

DemoLoad::DemoLoad(sys::World world, std::string shop_url, const std::vector<PlannedOrder>& plan, std::int64_t buyers,
                   Monotonic deadline)
    : world_(world),
      url_(std::move(shop_url) + "/orders"),
      plan_(plan),
      buyers_(buyers),
      deadline_(deadline),
      http_(world, {}) {}

asio::awaitable<void> DemoLoad::run() {
  sys::TaskGroup buyers(world_.executor, world_.clock);
  for (std::int64_t i = 0; i < buyers_; ++i) buyers.spawn("buyer", buy_until_empty());
  co_await buyers.join();
}

asio::awaitable<void> DemoLoad::buy_until_empty() {
  while (next_ < plan_.size()) co_await buy(plan_[next_++]);
}

asio::awaitable<void> DemoLoad::buy(const PlannedOrder& order) {
  const Monotonic start = world_.clock.now();
  const std::optional<Answer> first = co_await place(order);
  if (!first) {
    ++report_.gave_up;
    co_return;
  }
  report_.answer_us.push_back(
      std::chrono::duration_cast<std::chrono::microseconds>(world_.clock.now() - start).count());
  judge(order, *first);
  ++report_.answered;
  if (!order.again) co_return;
  const std::optional<Answer> second = co_await place(order);
  if (!second) co_return;
  if (second->order_id == first->order_id && second->code == first->code) {
    ++report_.repeated_same;
  } else {
    report_.violations.push_back(fmt::format("the same key got two answers: {} {} and {} {}", first->status,
                                             first->order_id, second->status, second->order_id));
  }
}

asio::awaitable<std::optional<DemoLoad::Answer>> DemoLoad::place(const PlannedOrder& order) {
  for (Duration pause = kPauseMin;; pause = std::min(pause * 2, kPauseMax)) {
    std::optional<Answer> answer = co_await try_once(order);
    if (answer) co_return answer;
    ++report_.broken_off;
    if (world_.clock.now() + pause >= deadline_) co_return std::nullopt;
    co_await world_.clock.sleep_for(pause);
  }
}

/// nullopt: no answer, or one that says "not yet": the same request is sent again.
asio::awaitable<std::optional<DemoLoad::Answer>> DemoLoad::try_once(const PlannedOrder& order) {
  net::HttpRequest request;
  request.method = "POST";
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Idempotency-Key", order.key);
  request.body = order.body;
  const Monotonic until = std::min(deadline_, world_.clock.now() + kTryTimeout);
  const Result<net::HttpResponse> response = co_await http_.send(std::move(request), url_, until);
  if (!response || response->status == 202 || response->status >= 500 || response->status == 429)
    co_return std::nullopt;
  boost::system::error_code failed;
  const json::value body = json::parse(response->body, failed);
  Answer answer;
  answer.status = response->status;
  answer.order_id = failed ? "" : text_at(body, "/order_id");
  answer.code = failed ? "" : text_at(body, "/error/code");
  co_return answer;
}

void DemoLoad::judge(const PlannedOrder& order, const Answer& answer) {
  const bool accepted = answer.status == 200 || answer.status == 201;
  if (accepted) {
    ++report_.confirmed;
    if (report_.example_order_id.empty()) report_.example_order_id = answer.order_id;
  } else {
    ++report_.refused[answer.code.empty() ? fmt::format("HTTP {}", answer.status) : answer.code];
  }
  if (accepted && order.kind == PlannedOrder::Kind::bad) {
    report_.violations.push_back(fmt::format("bad input was accepted: {}", order.what));
  }
  if (accepted && answer.order_id.empty()) report_.violations.push_back("an accepted order without an id");
  if (!accepted && order.kind == PlannedOrder::Kind::good && answer.status != 409) {
    report_.violations.push_back(fmt::format("a good order was refused: {} {}", answer.status, answer.code));
  }
}

}  // namespace hf::app
