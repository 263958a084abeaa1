#include "wire/twilio/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace hf::wire::twilio {
namespace {

namespace json = boost::json;

struct CodeClass {
  int code;
  FailureClass failure;
};

// Only what is not `fix`: that is what an unknown refusal means anyway.
constexpr std::array kRefusals = {
    CodeClass{20009, FailureClass::retry},   CodeClass{20409, FailureClass::retry},
    CodeClass{20429, FailureClass::retry},   CodeClass{20500, FailureClass::unknown},
    CodeClass{20503, FailureClass::unknown}, CodeClass{21211, FailureClass::address},
    CodeClass{21214, FailureClass::address}, CodeClass{21216, FailureClass::address},
    CodeClass{21217, FailureClass::address}, CodeClass{21610, FailureClass::opted_out},
    CodeClass{21611, FailureClass::retry},   CodeClass{21612, FailureClass::address},
    CodeClass{21614, FailureClass::address}, CodeClass{35125, FailureClass::retry},
};

// Only what is not `fallback`.
constexpr std::array kDeliveryFailures = {
    CodeClass{14107, FailureClass::fix},       CodeClass{21610, FailureClass::opted_out},
    CodeClass{30001, FailureClass::later},     CodeClass{30002, FailureClass::fix},
    CodeClass{30003, FailureClass::later},     CodeClass{30005, FailureClass::address},
    CodeClass{30006, FailureClass::address},   CodeClass{30008, FailureClass::later},
    CodeClass{30010, FailureClass::fix},       CodeClass{30017, FailureClass::later},
    CodeClass{30018, FailureClass::fix},       CodeClass{30019, FailureClass::fix},
    CodeClass{30020, FailureClass::later},     CodeClass{30022, FailureClass::later},
    CodeClass{30023, FailureClass::later},     CodeClass{30024, FailureClass::fix},
    CodeClass{30027, FailureClass::later},     CodeClass{30032, FailureClass::fix},
    CodeClass{30034, FailureClass::fix},       CodeClass{30410, FailureClass::later},
    CodeClass{30450, FailureClass::address},   CodeClass{30610, FailureClass::later},
    CodeClass{30640, FailureClass::opted_out}, CodeClass{63001, FailureClass::fix},
    CodeClass{63002, FailureClass::fix},       CodeClass{63003, FailureClass::address},
    CodeClass{63005, FailureClass::fix},       CodeClass{63006, FailureClass::fix},
    CodeClass{63007, FailureClass::fix},       CodeClass{63008, FailureClass::fix},
    CodeClass{63009, FailureClass::later},     CodeClass{63010, FailureClass::later},
    CodeClass{63012, FailureClass::later},     CodeClass{63013, FailureClass::fix},
    CodeClass{63014, FailureClass::opted_out}, CodeClass{63015, FailureClass::fix},
    CodeClass{63017, FailureClass::later},     CodeClass{63018, FailureClass::later},
    CodeClass{63019, FailureClass::fix},       CodeClass{63020, FailureClass::fix},
    CodeClass{63021, FailureClass::fix},       CodeClass{63024, FailureClass::address},
    CodeClass{63026, FailureClass::fix},       CodeClass{63027, FailureClass::fix},
    CodeClass{63028, FailureClass::fix},       CodeClass{63029, FailureClass::fix},
    CodeClass{63030, FailureClass::fix},       CodeClass{63031, FailureClass::fix},
    CodeClass{63033, FailureClass::opted_out}, CodeClass{63034, FailureClass::fix},
    CodeClass{63038, FailureClass::later},     CodeClass{63040, FailureClass::fix},
    CodeClass{63041, FailureClass::fix},
};

template <std::size_t N>
FailureClass look_up(const std::array<CodeClass, N>& table, int code, FailureClass otherwise) {
  const auto found = std::ranges::lower_bound(table, code, {}, &CodeClass::code);
  return found != table.end() && found->code == code ? found->failure : otherwise;
}

static_assert(std::ranges::is_sorted(kRefusals, {}, &CodeClass::code));
static_assert(std::ranges::is_sorted(kDeliveryFailures, {}, &CodeClass::code));

}  // namespace

std::string to_json(const ApiError& error) {
  json::object body;
  if (error.code != 0) body["code"] = error.code;
  if (!error.detail.empty()) body["detail"] = error.detail;
  body["message"] = error.message;
  if (error.code != 0) body["more_info"] = fmt::format("https://www.twilio.com/docs/errors/{}", error.code);
  body["status"] = error.status;
  return json::serialize(body);
}

std::optional<ApiError> parse_error(std::string_view body, int http_status) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  if (failed || !parsed.is_object()) return std::nullopt;
  const json::object& object = parsed.get_object();
  const json::value* code = object.if_contains("code");
  if (code == nullptr || !code->is_int64()) return std::nullopt;
  ApiError error{http_status, static_cast<int>(code->get_int64()), {}, {}};
  if (const json::value* message = object.if_contains("message"); message != nullptr && message->is_string()) {
    error.message = std::string(message->get_string());
  }
  return error;
}

ApiError authentication_failed() { return {401, 20003, "Authenticate", "Your AccountSid or AuthToken was incorrect."}; }
ApiError not_found(std::string_view path) {
  return {404, 20404, fmt::format("The requested resource {} was not found", path), {}};
}
ApiError method_not_allowed() { return {405, 20004, "Method not allowed", {}}; }
ApiError too_many_requests() { return {429, 20429, "Too Many Requests", {}}; }
ApiError service_unavailable() { return {503, 20503, "Service unavailable", {}}; }
ApiError internal_error() { return {500, 20500, "Internal Server Error", {}}; }

FailureClass classify_refusal(int code) { return look_up(kRefusals, code, FailureClass::fix); }
FailureClass classify_delivery_failure(int code) { return look_up(kDeliveryFailures, code, FailureClass::fallback); }

std::string_view to_string(FailureClass failure) {
  switch (failure) {
    case FailureClass::retry:
      return "retry";
    case FailureClass::unknown:
      return "unknown";
    case FailureClass::fix:
      return "fix";
    case FailureClass::address:
      return "address";
    case FailureClass::opted_out:
      return "opted_out";
    case FailureClass::later:
      return "later";
    case FailureClass::fallback:
      return "fallback";
  }
  return "unknown";
}

}  // namespace hf::wire::twilio
