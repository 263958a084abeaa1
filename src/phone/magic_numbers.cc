#include "phone/magic_numbers.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "wire/twilio/address.h"

namespace hf::phone {
namespace {

using wire::twilio::ApiError;
using wire::twilio::Kind;

struct Magic {
  std::string_view number;
  int code;  ///< 0: fine
};
constexpr std::string_view kFine = "+15005550006";
constexpr std::array kMessageFrom = {Magic{"+15005550001", 21212}, Magic{kFine, 0}, Magic{"+15005550007", 21606},
                                     Magic{"+15005550008", 21611}};
constexpr std::array kMessageTo = {Magic{"+15005550001", 21211}, Magic{"+15005550002", 21612},
                                   Magic{"+15005550003", 21408}, Magic{"+15005550004", 21610},
                                   Magic{"+15005550009", 21614}};
constexpr std::array kCallFrom = {Magic{"+15005550001", 21212}, Magic{kFine, 0}};
constexpr std::array kCallTo = {Magic{"+15005550001", 21217}, Magic{"+15005550002", 21214},
                                Magic{"+15005550003", 21215}, Magic{"+15005550004", 21216}};
constexpr int kForeignMessageFrom = 21606, kForeignCallFrom = 21210, kQueueFull = 21611;

int code_of(std::span<const Magic> table, std::string_view number, int otherwise) {
  for (const Magic& row : table) {
    if (row.number == number) return row.code;
  }
  return otherwise;
}

std::string text_of(int code, std::string_view from, std::string_view to) {
  const std::string f = wire::twilio::mask_address(from), t = wire::twilio::mask_address(to);
  switch (code) {
    case 21211:
      return fmt::format("Invalid 'To' Phone Number: {}", t);
    case 21212:
      return fmt::format("The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID.", f);
    case 21408:
      return fmt::format(
          "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {}", t);
    case 21606:
      return fmt::format(
          "The From phone number {} is not a valid, SMS-capable inbound phone number or short code for your account.",
          f);
    case 21610:
      return "Attempt to send to unsubscribed recipient";
    case 21611:
      return "SMS queue is full.";
    case 21612:
      return fmt::format(
          "Message cannot be sent with the current combination of 'To' ({}) and/or 'From' ({}) parameters", t, f);
    case 21614:
      return fmt::format("To number: {}, is not a mobile number", t);
    case 21210:
      return fmt::format("The source phone number provided, {}, is not yet verified for your account.", f);
    case 21214:
      return fmt::format("The phone number you are attempting to call, {}, cannot be reached.", t);
    case 21215:
      return fmt::format("Account not authorized to call {}.", t);
    case 21216:
      return fmt::format("Account not allowed to call {}.", t);
    case 21217:
      return fmt::format("Phone number {} is not valid", t);
  }
  return "Refused";
}

}  // namespace

std::optional<ApiError> magic_refusal(Kind kind, std::string_view from, std::string_view to) {
  const bool message = kind == Kind::message;
  int code = message ? code_of(kMessageFrom, from, kForeignMessageFrom) : code_of(kCallFrom, from, kForeignCallFrom);
  if (code == 0) code = message ? code_of(kMessageTo, to, 0) : code_of(kCallTo, to, 0);
  if (code == 0) return std::nullopt;
  return ApiError{code == kQueueFull ? 429 : 400, code, text_of(code, from, to), {}};
}

}  // namespace hf::phone
