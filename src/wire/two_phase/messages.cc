#include "wire/two_phase/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <utility>

namespace hf::wire::two_phase {
namespace {

namespace json = boost::json;

constexpr std::size_t kIdMax = 64;  // gtrid and bqual of XA
constexpr std::size_t kCoordinatorMax = 12, kUniqueSize = 32;
constexpr std::size_t kTextMax = 2000;  // a URL, a reason

constexpr std::pair<Protocol, std::string_view> kProtocols[] = {
    {Protocol::completion, "completion"}, {Protocol::volatile_, "volatile"}, {Protocol::durable, "durable"}};
constexpr std::pair<Vote, std::string_view> kVotes[] = {{Vote::prepared, "prepared"},
                                                        {Vote::aborted, "aborted"},
                                                        {Vote::committed, "committed"},
                                                        {Vote::read_only, "read-only"}};
constexpr std::pair<Decision, std::string_view> kDecisions[] = {{Decision::commit, "commit"},
                                                                {Decision::abort, "abort"}};
constexpr std::pair<Notified, std::string_view> kNotified[] = {{Notified::committed, "committed"},
                                                               {Notified::aborted, "aborted"}};
constexpr std::pair<Outcome, std::string_view> kOutcomes[] = {
    {Outcome::pending, "pending"}, {Outcome::committed, "committed"}, {Outcome::aborted, "aborted"}};

template <class E, std::size_t N>
std::string_view name_of(E value, const std::pair<E, std::string_view> (&names)[N]) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  HF_ASSERT(false);
}

template <class E, std::size_t N>
std::optional<E> value_of(std::string_view text, const std::pair<E, std::string_view> (&names)[N]) {
  for (const auto& [value, name] : names) {
    if (name == text) return value;
  }
  return std::nullopt;
}

Result<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return Error{Code::invalid, "the body is not a JSON object"};
  return std::move(value).as_object();
}

Result<std::string> text_field(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (!value || !value->is_string()) return Error{Code::invalid, fmt::format("\"{}\" is missing or not a text", name)};
  if (value->as_string().size() > kTextMax) return Error{Code::invalid, fmt::format("\"{}\" is too long", name)};
  return std::string(value->as_string());
}

std::string optional_text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->as_string()) : std::string();
}

Result<std::string> transaction_field(const json::object& object, std::string_view name) {
  HF_TRY(std::string id, text_field(object, name));
  HF_TRY(check_transaction_id(id));
  return id;
}

Result<std::vector<ProtocolAt>> protocols_field(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (!value || !value->is_array() || value->as_array().empty()) {
    return Error{Code::invalid, fmt::format("\"{}\" is missing or no list of protocols", name)};
  }
  std::vector<ProtocolAt> protocols;
  for (const json::value& entry : value->as_array()) {
    if (!entry.is_object()) return Error{Code::invalid, fmt::format("\"{}\" holds something that is no object", name)};
    HF_TRY(const std::string spelled, text_field(entry.as_object(), "name"));
    HF_TRY(std::string url, text_field(entry.as_object(), "url"));
    const std::optional<Protocol> protocol = protocol_from(spelled);
    if (!protocol) return Error{Code::invalid, "Invalid-Protocol. " + spelled};
    protocols.push_back({*protocol, std::move(url)});
  }
  return protocols;
}

json::array array_of(const std::vector<ProtocolAt>& protocols) {
  json::array array;
  for (const ProtocolAt& protocol : protocols) {
    array.push_back({{"name", to_string(protocol.name)}, {"url", protocol.url}});
  }
  return array;
}

}  // namespace

std::string register_url(std::string_view coordinator, std::string_view gtrid) {
  return fmt::format("{}/balcoordinator/initiator/{}/register", coordinator, gtrid);
}
std::string participant_url(std::string_view participant, std::string_view gtrid) {
  return fmt::format("{}/balcoordinator/participant/2pc/{}", participant, gtrid);
}

std::string Gtrid::to_string() const {
  std::string text = fmt::format("hf1.{}.{}.{}", coordinator, epoch, unique);
  HF_ASSERT(text.size() <= kIdMax);
  return text;
}

std::int64_t Gtrid::began_us() const {
  constexpr std::size_t kTimeSize = 12;  // hexadecimal digits of milliseconds
  HF_ASSERT(unique.size() == kUniqueSize);
  std::int64_t ms = 0;
  std::from_chars(unique.data(), unique.data() + kTimeSize, ms, 16);
  return ms * 1000;
}

std::optional<Gtrid> parse_gtrid(std::string_view text) {
  if (!text.starts_with("hf1.") || text.size() > kIdMax) return std::nullopt;
  text.remove_prefix(4);
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view coordinator = text.substr(0, first);
  const std::string_view epoch = text.substr(first + 1, second - first - 1);
  const std::string_view unique = text.substr(second + 1);
  const auto is_name = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (coordinator.empty() || coordinator.size() > kCoordinatorMax || !std::ranges::all_of(coordinator, is_name)) {
    return std::nullopt;
  }
  if (unique.size() != kUniqueSize || !std::ranges::all_of(unique, is_hex)) return std::nullopt;
  Gtrid gtrid{.coordinator = std::string(coordinator), .unique = std::string(unique)};
  const auto [end, error] = std::from_chars(epoch.data(), epoch.data() + epoch.size(), gtrid.epoch);
  if (error != std::errc() || end != epoch.data() + epoch.size()) return std::nullopt;
  return gtrid;
}

Result<void> check_transaction_id(std::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == ':' || c == '-';
  };
  if (id.empty() || id.size() > kIdMax || !std::ranges::all_of(id, allowed)) {
    return Error{Code::invalid, "a transaction id has 1 to 64 letters, digits, or . _ : -"};
  }
  return ok();
}

std::string_view to_string(Protocol protocol) { return name_of(protocol, kProtocols); }
std::optional<Protocol> protocol_from(std::string_view text) { return value_of(text, kProtocols); }
std::string_view to_string(Vote vote) { return name_of(vote, kVotes); }
std::optional<Vote> vote_from(std::string_view text) { return value_of(text, kVotes); }
std::string_view to_string(Decision decision) { return name_of(decision, kDecisions); }
std::optional<Decision> decision_from(std::string_view text) { return value_of(text, kDecisions); }
std::string_view to_string(Notified notified) { return name_of(notified, kNotified); }
std::optional<Notified> notified_from(std::string_view text) { return value_of(text, kNotified); }
std::string_view to_string(Outcome outcome) { return name_of(outcome, kOutcomes); }
std::optional<Outcome> outcome_from(std::string_view text) { return value_of(text, kOutcomes); }

std::string encode(const RegisterRequest& request) {
  return json::serialize(json::object{{"transactionId", request.transaction_id},
                                      {"participantId", request.participant_id},
                                      {"participantProtocols", array_of(request.protocols)}});
}
std::string encode(const RegisterResponse& response) {
  return json::serialize(
      json::object{{"transactionId", response.transaction_id}, {"coordinatorProtocols", array_of(response.protocols)}});
}
std::string encode_error_message(std::string_view message) {
  return json::serialize(json::object{{"errorMessage", message}});
}

Result<RegisterRequest> parse_register_request(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  RegisterRequest request;
  HF_TRY(request.transaction_id, transaction_field(object, "transactionId"));
  HF_TRY(request.participant_id, text_field(object, "participantId"));
  if (request.participant_id.empty()) return Error{Code::invalid, "\"participantId\" is empty"};
  HF_TRY(request.protocols, protocols_field(object, "participantProtocols"));
  return request;
}

Result<RegisterResponse> parse_register_response(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  RegisterResponse response;
  HF_TRY(response.transaction_id, transaction_field(object, "transactionId"));
  HF_TRY(response.protocols, protocols_field(object, "coordinatorProtocols"));
  return response;
}

std::string encode(const PrepareRequest& request) {
  return json::serialize(json::object{{"transactionId", request.transaction_id}});
}
std::string encode(const NotifyRequest& request) {
  return json::serialize(
      json::object{{"transactionId", request.transaction_id}, {"message", to_string(request.decision)}});
}
std::string encode(const Message& message) {
  json::object object{{"message", message.message}};
  if (!message.reason.empty()) object["reason"] = message.reason;
  return json::serialize(object);
}

Result<PrepareRequest> parse_prepare_request(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  PrepareRequest request;
  HF_TRY(request.transaction_id, transaction_field(object, "transactionId"));
  return request;
}

Result<NotifyRequest> parse_notify_request(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  NotifyRequest request;
  HF_TRY(request.transaction_id, transaction_field(object, "transactionId"));
  HF_TRY(const std::string spelled, text_field(object, "message"));
  const std::optional<Decision> decision = decision_from(spelled);
  if (!decision) return Error{Code::invalid, "\"message\" is neither commit nor abort"};
  request.decision = *decision;
  return request;
}

Result<Message> parse_message(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  Message message;
  HF_TRY(message.message, text_field(object, "message"));
  message.reason = optional_text(object, "reason");
  return message;
}

std::string encode(const Begun& begun) {
  return json::serialize(json::object{{"gtrid", begun.gtrid}, {"register_at", begun.register_at}});
}
std::string encode(const OutcomeReport& report) {
  json::object object{{"gtrid", report.gtrid},
                      {"coordinator", report.coordinator},
                      {"outcome", to_string(report.outcome)},
                      {"finished", report.finished}};
  if (!report.participant.empty()) object["participant"] = report.participant;
  if (!report.reason.empty()) object["reason"] = report.reason;
  return json::serialize(object);
}

Result<Begun> parse_begun(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  Begun begun;
  HF_TRY(begun.gtrid, transaction_field(object, "gtrid"));
  HF_TRY(begun.register_at, text_field(object, "register_at"));
  return begun;
}

Result<OutcomeReport> parse_outcome_report(std::string_view text) {
  HF_TRY(const json::object object, parse_object(text));
  OutcomeReport report;
  HF_TRY(report.gtrid, transaction_field(object, "gtrid"));
  HF_TRY(report.coordinator, text_field(object, "coordinator"));
  HF_TRY(const std::string spelled, text_field(object, "outcome"));
  const std::optional<Outcome> outcome = outcome_from(spelled);
  if (!outcome) return Error{Code::invalid, "\"outcome\" is none of pending, committed, aborted"};
  report.outcome = *outcome;
  const json::value* finished = object.if_contains("finished");
  if (!finished || !finished->is_bool())
    return Error{Code::invalid, "\"finished\" is missing or neither true nor false"};
  report.finished = finished->as_bool();
  report.participant = optional_text(object, "participant");
  report.reason = optional_text(object, "reason");
  return report;
}

}  // namespace hf::wire::two_phase
