#include "shop/two_phase/order_calls.h"

#include <charconv>

#include "shop/two_phase/branch_service.h"

namespace hf::shop::two_phase {
namespace {

End judge(Call call, const Result<net::HttpResponse>& answer) {
  if (!answer) return judge_silence(call, answer.error().message);
  return judge_answer(call, answer->status, answer->body);
}

std::optional<std::int64_t> parse_total(std::string_view body) {
  std::int64_t total = 0;
  const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), total);
  if (error != std::errc() || end != body.data() + body.size() || total < 0) return std::nullopt;
  return total;
}

/// More than a card can hold is more than any card holds: payment says so itself.
std::int64_t amount_of(std::int64_t total) { return std::min(total, kIntMax); }

}  // namespace

OrderCalls::OrderCalls(sys::World& world, const PlaceOrderConfig& config, participant::SendHttp send, CallLog& log)
    : world_(world),
      config_(config),
      send_(std::move(send)),
      log_(log),
      seconds_(world.metrics.histogram("holdfast_shop_branch_call_seconds", "Calls to payment and inventory")) {}

OrderCalls::Asked OrderCalls::ask(Call call, const std::string& base, std::string_view path, std::string body,
                                  const Begun& tx) const {
  Asked asked{call, base + std::string(path), {}};
  asked.request.method = "POST";
  asked.request.headers.add("Content-Type", "application/json");
  participant::Initiator::mark(tx, asked.request.headers);
  asked.request.headers.add(std::string(kCallIdHeader), std::string(to_string(call)));
  asked.request.body = std::move(body);
  return asked;
}

Task<net::HttpResponse> OrderCalls::send(const Begun& tx, Asked asked, Monotonic deadline) {
  const Monotonic start = world_.clock.now();
  Step step{.name = std::string(to_string(asked.call)), .begun = world_.clock.wall(), .ended = {}};
  step.request = asked.request.method + " " + asked.url;
  for (const auto& [name, value] : asked.request.headers.all()) {
    if (name.starts_with("x-")) step.headers.emplace_back(name, value);
  }
  Result<net::HttpResponse> answer =
      co_await send_(std::move(asked.request), std::move(asked.url), std::min(deadline, start + config_.call_timeout));
  seconds_.observe_seconds(std::chrono::duration<double>(world_.clock.now() - start).count());
  step.ended = world_.clock.wall();
  step.status = answer ? answer->status : 0;
  step.detail = answer ? answer->body.substr(0, 200) : answer.error().message;
  log_.add(tx.gtrid, std::move(step));
  co_return answer;
}

asio::awaitable<End> OrderCalls::get_total_price(const Begun& tx, const OrderRequest& order, Monotonic deadline,
                                                 Quote& into) {
  constexpr Call kCall = Call::get_total_price;
  Asked asked = ask(kCall, config_.inventory_url, "/inventory/getTotalPrice", encode(order), tx);
  const Result<net::HttpResponse> answer = co_await send(tx, std::move(asked), deadline);
  End end = judge(kCall, answer);
  if (end.ended != Ended::done) co_return end;
  const std::optional<std::int64_t> total = parse_total(answer->body);
  if (!total) co_return judge_silence(kCall, "the inventory's total price is no integer");
  into = {*total, answer->headers.get(kKeepsHeader) == "xa"};
  co_return end;
}

asio::awaitable<End> OrderCalls::pay(const Begun& tx, const OrderRequest& order, std::int64_t total,
                                     Monotonic deadline) {
  const PaymentRequest payment{order.card_no, amount_of(total)};
  Asked asked = ask(Call::pay, config_.payment_url, "/payment/pay", encode(payment), tx);
  const Result<net::HttpResponse> answer = co_await send(tx, std::move(asked), deadline);
  co_return judge(Call::pay, answer);
}

asio::awaitable<End> OrderCalls::update_stock(const Begun& tx, const OrderRequest& order, std::int64_t total,
                                              Monotonic deadline) {
  Asked asked = ask(Call::update_stock, config_.inventory_url, "/inventory/updateStock", encode(order), tx);
  asked.request.headers.add(std::string(kTotalHeader), std::to_string(total));
  const Result<net::HttpResponse> answer = co_await send(tx, std::move(asked), deadline);
  co_return judge(Call::update_stock, answer);
}

}  // namespace hf::shop::two_phase
