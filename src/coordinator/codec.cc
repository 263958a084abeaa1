#include "coordinator/codec.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/time.h"

namespace hf::coordinator {
namespace {

namespace json = boost::json;
using wire::two_phase::to_string;

constexpr std::size_t kReasonMax = 1000, kCallsMax = 64;

json::string text(std::string_view value) { return json::string(json::string_view(value.data(), value.size())); }

json::object to_object(const Participant& p) {
  json::object out{{"id", p.id}, {"protocol", text(to_string(p.protocol))}, {"url", p.url}};
  out["stage"] = text(to_string(p.stage));
  if (p.vote) out["vote"] = text(to_string(*p.vote));
  if (!p.detail.empty()) out["detail"] = p.detail;
  if (p.tries != 0) out["tries"] = p.tries;
  return out;
}

json::object to_object(const Step& step) {
  json::object out{{"at_us", step.at_us}, {"what", step.what}};
  if (!step.participant.empty()) out["participant"] = step.participant;
  if (!step.detail.empty()) out["detail"] = step.detail;
  if (step.until_us != 0) out["until_us"] = step.until_us;
  return out;
}

json::object to_object(const Heuristic& h) {
  return {{"gtrid", h.gtrid}, {"participant", h.participant}, {"decided", h.decided},
          {"found", h.found}, {"reason", h.reason},           {"at", to_rfc3339(wall_from_us(h.at_us))},
          {"at_us", h.at_us}};
}

json::value time_or_null(std::int64_t at_us) {
  if (at_us == 0) return nullptr;
  return json::string(to_rfc3339(wall_from_us(at_us)));
}

/// What all views have in common.
json::object summary_of(const Transaction& tx) {
  json::object out{{"gtrid", tx.gtrid}};
  out["state"] = text(to_string(tx.state));
  out["outcome"] = text(to_string(tx.outcome()));
  out["finished"] = tx.finished();
  out["unacknowledged"] = tx.unacknowledged();
  out["damaged"] = tx.damaged;
  if (!tx.refused_by.empty()) out["participant"] = tx.refused_by;
  if (!tx.reason.empty()) out["reason"] = tx.reason;
  out["began_at"] = time_or_null(tx.began_us);
  out["decided_at"] = time_or_null(tx.decided_us);
  out["ended_at"] = time_or_null(tx.ended_us);
  out["began_at_us"] = tx.began_us;
  out["decided_at_us"] = tx.decided_us;
  out["ended_at_us"] = tx.ended_us;
  json::array participants;
  for (const Participant& p : tx.participants) participants.push_back(to_object(p));
  out["participants"] = std::move(participants);
  return out;
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::int64_t integer_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return 0;
  if (value->is_int64()) return value->get_int64();
  return value->is_uint64() && value->get_uint64() <= INT64_MAX ? static_cast<std::int64_t>(value->get_uint64()) : 0;
}

Result<json::array> parse_stored(std::string_view stored) {
  boost::system::error_code failed;
  json::value value = json::parse(stored, failed);
  if (failed || !value.is_array()) return Error{Code::corrupt, "a transaction's record is not readable"};
  return std::move(value).as_array();
}

Result<json::object> parse_body(std::string_view body) {
  boost::system::error_code failed;
  json::value value = json::parse(body, failed);
  if (failed || !value.is_object()) return Error{Code::invalid, "the body is not a JSON object"};
  return std::move(value).as_object();
}

Result<std::string> reason_of(const json::object& object) {
  const json::value* value = object.if_contains("reason");
  if (value != nullptr && !value->is_string()) return Error{Code::invalid, "\"reason\" is not a text"};
  std::string reason = text_at(object, "reason");
  if (reason.size() > kReasonMax) {
    return Error{Code::invalid, fmt::format("\"reason\" has at most {} bytes", kReasonMax)};
  }
  return reason;
}

Result<Step> call_of(const json::value& value) {
  if (!value.is_object()) return Error{Code::invalid, "\"calls\" holds something that is no object"};
  const json::object& object = value.get_object();
  Step call{.at_us = integer_at(object, "began_at_us"),
            .what = "call",
            .participant = text_at(object, "participant"),
            .detail = text_at(object, "what"),
            .until_us = integer_at(object, "ended_at_us")};
  if (const std::string detail = text_at(object, "detail"); !detail.empty()) call.detail += ": " + detail;
  if (call.at_us <= 0 || call.until_us < call.at_us || call.participant.empty()) {
    return Error{Code::invalid, "a call has a participant, began_at_us and ended_at_us"};
  }
  if (call.participant.size() > 128 || call.detail.size() > kReasonMax) {
    return Error{Code::invalid, "a call's texts are too long"};
  }
  return call;
}

}  // namespace

std::string encode_participants(const std::vector<Participant>& participants) {
  json::array out;
  for (const Participant& p : participants) out.push_back(to_object(p));
  return json::serialize(out);
}

std::string encode_story(const std::vector<Step>& story) {
  json::array out;
  for (const Step& step : story) out.push_back(to_object(step));
  return json::serialize(out);
}

Result<std::vector<Participant>> decode_participants(std::string_view stored) {
  HF_TRY(const json::array array, parse_stored(stored));
  std::vector<Participant> out;
  for (const json::value& value : array) {
    if (!value.is_object()) return Error{Code::corrupt, "a participant's record is not readable"};
    const json::object& object = value.get_object();
    const auto protocol = wire::two_phase::protocol_from(text_at(object, "protocol"));
    const auto stage = stage_from(text_at(object, "stage"));
    if (!protocol || !stage) return Error{Code::corrupt, "a participant's record is not readable"};
    Participant p{.id = text_at(object, "id"), .protocol = *protocol, .url = text_at(object, "url"), .stage = *stage};
    p.vote = wire::two_phase::vote_from(text_at(object, "vote"));
    p.detail = text_at(object, "detail");
    p.tries = static_cast<std::uint32_t>(integer_at(object, "tries"));
    out.push_back(std::move(p));
  }
  return out;
}

Result<std::vector<Step>> decode_story(std::string_view stored) {
  HF_TRY(const json::array array, parse_stored(stored));
  std::vector<Step> out;
  for (const json::value& value : array) {
    if (!value.is_object()) return Error{Code::corrupt, "a story's record is not readable"};
    const json::object& object = value.get_object();
    out.push_back({integer_at(object, "at_us"), text_at(object, "what"), text_at(object, "participant"),
                   text_at(object, "detail"), integer_at(object, "until_us")});
  }
  return out;
}

std::string story_json(const Transaction& tx, std::string_view coordinator, const std::vector<Heuristic>& heuristics) {
  json::object out = summary_of(tx);
  out["coordinator"] = text(coordinator);
  json::array steps;
  for (const Step& step : tx.story) {
    json::object line = to_object(step);
    line["at"] = to_rfc3339(wall_from_us(step.at_us));
    steps.push_back(std::move(line));
  }
  out["story"] = std::move(steps);
  json::array damages;
  for (const Heuristic& h : heuristics) damages.push_back(to_object(h));
  out["heuristics"] = std::move(damages);
  return json::serialize(out);
}

std::string list_json(const std::vector<Transaction>& transactions) {
  json::array out;
  for (const Transaction& tx : transactions) out.push_back(summary_of(tx));
  return json::serialize(json::object{{"transactions", std::move(out)}});
}

std::string heuristics_json(const std::vector<Heuristic>& heuristics) {
  json::array out;
  for (const Heuristic& h : heuristics) out.push_back(to_object(h));
  return json::serialize(json::object{{"heuristics", std::move(out)}});
}

Result<Told> parse_told(std::string_view body) {
  Told told;
  if (body.empty()) return told;
  HF_TRY(const json::object object, parse_body(body));
  HF_TRY(told.reason, reason_of(object));
  const json::value* calls = object.if_contains("calls");
  if (calls == nullptr) return told;
  if (!calls->is_array() || calls->get_array().size() > kCallsMax) {
    return Error{Code::invalid, fmt::format("\"calls\" is a list of at most {}", kCallsMax)};
  }
  for (const json::value& value : calls->get_array()) {
    HF_TRY(Step call, call_of(value));
    told.calls.push_back(std::move(call));
  }
  return told;
}

Result<Resolution> parse_resolution(std::string_view body) {
  HF_TRY(const json::object object, parse_body(body));
  Resolution resolution;
  HF_TRY(resolution.reason, reason_of(object));
  if (resolution.reason.empty()) return Error{Code::invalid, "\"reason\" is missing: it is recorded with the decision"};
  const auto decision = wire::two_phase::decision_from(text_at(object, "decision"));
  if (!decision) return Error{Code::invalid, "\"decision\" is neither commit nor abort"};
  resolution.decision = *decision;
  return resolution;
}

}  // namespace hf::coordinator
