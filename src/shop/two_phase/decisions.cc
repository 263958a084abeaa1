#include "shop/two_phase/decisions.h"

#include <algorithm>

#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

using wire::two_phase::Outcome;
using wire::two_phase::OutcomeReport;

/// What others answer goes into rows, headers and the customer's hands: one line, not long, ASCII as the contract's.
std::string tidy(std::string_view text) {
  constexpr std::size_t kBytesMax = 200;
  std::string tidied(text.substr(0, kBytesMax));
  std::replace_if(tidied.begin(), tidied.end(), [](char c) { return c < 0x20 || c == 0x7f; }, '?');
  return tidied;
}

/// "Payment failed! Card not found!": the customer's words first, then why.
std::string with_prefix(std::string_view prefix, std::string_view reason) {
  if (prefix.empty()) return tidy(reason);
  return std::string(prefix) + " " + tidy(reason);
}

std::string_view prefix_of(Call call) {
  switch (call) {
    case Call::get_total_price:
      return "";
    case Call::pay:
      return kPaymentFailed;
    case Call::update_stock:
      return kInventoryUpdateFailed;
  }
  return "";
}

/// What is the customer's to change. 412 is not (the price moved), nor 401 and 403 (we are configured wrongly).
bool refuses(int status) { return status == 400 || status == 404 || status == 409 || status == 422; }

/// "payment:1f0a…": the name, then which life of the service it was.
std::string_view prefix_of_participant(std::string_view participant) {
  participant = participant.substr(0, participant.find(':'));
  if (participant == "payment") return kPaymentFailed;
  if (participant == "inventory") return kInventoryUpdateFailed;
  return "";
}

}  // namespace

std::string_view to_string(Call call) {
  switch (call) {
    case Call::get_total_price:
      return "inventory.getTotalPrice";
    case Call::pay:
      return "payment.pay";
    case Call::update_stock:
      return "inventory.updateStock";
  }
  return "";
}

End judge_answer(Call call, int status, std::string_view body) {
  if (status >= 200 && status < 300) return {};
  return {refuses(status) ? Ended::refused : Ended::passing, with_prefix(prefix_of(call), body)};
}

End judge_silence(Call call, std::string_view error) { return {Ended::passing, with_prefix(prefix_of(call), error)}; }

End both(End pay, End update_stock) {
  if (pay.ended == Ended::refused) return pay;
  if (update_stock.ended == Ended::refused) return update_stock;
  return pay.ended == Ended::done ? update_stock : pay;
}

End judge_outcome(const OutcomeReport& report) {
  if (report.outcome == Outcome::committed) return {};
  if (report.outcome == Outcome::pending) return {Ended::unknown, ""};
  return {is_refusal(report.reason) ? Ended::refused : Ended::passing,
          with_prefix(prefix_of_participant(report.participant), report.reason)};
}

bool try_again(const End& end, std::size_t tries, std::size_t tries_max, bool late) {
  return end.ended == Ended::passing && tries < tries_max && !late;
}

Orphan decide_orphan(const OutcomeReport& report) {
  if (report.outcome == Outcome::aborted) return Orphan::drop;
  if (report.outcome == Outcome::pending) return Orphan::abort;
  return report.finished ? Orphan::confirm : Orphan::wait;
}

}  // namespace hf::shop::two_phase
