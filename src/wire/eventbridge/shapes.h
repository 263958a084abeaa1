#pragma once

/// The structures of the API that are stored and acted upon: targets, connections, API destinations. Parsed with the
/// service model's constraints (API version 2015-10-07); every violation of one request is collected.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "wire/eventbridge/input.h"
#include "wire/eventbridge/json_text.h"

namespace hf::wire::eventbridge {

/// What is wrong with a request's members.
class Problems {
 public:
  /// "Value 'V' at 'path' failed to satisfy constraint: C"
  void constraint(std::string_view value, std::string_view path, std::string_view constraint);
  void missing(std::string_view path);
  /// A member of the wrong JSON type.
  void wrong_type(std::string_view path, std::string_view expected);
  /// A rule between members; the text is the whole message.
  void semantic(std::string text);

  bool empty() const { return violations_.empty() && type_error_.empty() && semantic_.empty(); }
  /// What the service calls it: SerializationException or ValidationException.
  std::string exception() const { return type_error_.empty() ? "ValidationException" : "SerializationException"; }
  /// "2 validation errors detected: Value …; Value …"
  std::string message() const;

 private:
  std::vector<std::string> violations_;
  std::string type_error_, semantic_;
};

/// A text member's constraint: length and character rule.
struct TextRule {
  std::size_t min = 0, max = SIZE_MAX;
  bool (*pattern)(std::string_view) = nullptr;
  std::string_view pattern_text = {};  ///< the service's regular expression, for the message
};
extern const TextRule kAnyText, kRuleName, kResourceName, kBusName, kTargetId, kArn, kDescription, kNextToken;

/// Reads the members of one JSON object; null counts as absent, unknown members are ignored.
class ShapeReader {
 public:
  enum class Need { optional, required };
  /// `path`: in front of member names in messages, "" or "targets.1.member.".
  ShapeReader(const JsonText& json, JsonText::Node node, std::string path, Problems& problems)
      : json_(json), node_(node), path_(std::move(path)), problems_(problems) {}

  std::optional<std::string> text(std::string_view name, const TextRule& rule, Need need = Need::optional) const;
  std::optional<std::string> word(std::string_view name, std::vector<std::string_view> allowed,
                                  Need need = Need::optional) const;
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max) const;
  std::optional<bool> boolean(std::string_view name) const;
  /// Seconds since the epoch, fractions allowed.
  std::optional<WallTime> time(std::string_view name) const;
  /// 0 if absent or of the wrong type.
  JsonText::Node object(std::string_view name, Need need = Need::optional) const;
  JsonText::Node list(std::string_view name, Need need = Need::optional) const;
  std::vector<std::string> texts(std::string_view name, const TextRule& rule, Need need = Need::optional) const;
  /// Object of texts.
  std::vector<std::pair<std::string, std::string>> pairs(std::string_view name) const;
  /// A reader of a member object; `node` from object() or of an element of list().
  ShapeReader below(JsonText::Node node, std::string_view name) const;
  ShapeReader element(JsonText::Node node, std::string_view list, std::size_t number) const;

  bool has(std::string_view name) const { return member(name) != 0; }
  const JsonText& json() const { return json_; }
  JsonText::Node node() const { return node_; }
  Problems& problems() const { return problems_; }
  /// "targets.1.member.id"
  std::string path_of(std::string_view name) const;

 private:
  JsonText::Node member(std::string_view name) const;
  bool require(std::string_view name, JsonText::Node found, Need need) const;

  const JsonText& json_;
  JsonText::Node node_;
  std::string path_;
  Problems& problems_;
};

using TextPairs = std::vector<std::pair<std::string, std::string>>;

struct RetryPolicy {
  std::int64_t retries = 185;                         ///< after the first try; 0 … 185
  std::chrono::seconds age = std::chrono::hours(24);  ///< 60 s … 24 h, from when the event was stored
};

struct Target {
  std::string id, arn, role_arn;
  std::string json;  ///< as sent, for ListTargetsByRule
  TargetInput input = TargetInput::whole_event();
  std::vector<std::string> path_values;  ///< may be `$.` paths, like the values below
  TextPairs headers, query;
  RetryPolicy retry;
};
/// Reports into `in.problems()`; the result is only good if there are none.
Target parse_target(const ShapeReader& in);

struct ConnectionParameter {
  std::string key, value;
  bool secret = false;
};
using ConnectionParameters = std::vector<ConnectionParameter>;

struct Connection {
  std::string name, arn, description;
  std::string authorization_type;  ///< BASIC or API_KEY
  std::string username, password;  ///< BASIC
  std::string api_key_name, api_key_value;
  bool has_http_parameters = false;
  ConnectionParameters headers, query, body;
  WallTime created{}, modified{}, authorized{};
};
enum class Secrets { shown, hidden };
/// The AuthParameters member: `shown` for our own store, `hidden` as DescribeConnection answers.
std::string auth_parameters_json(const Connection& connection, Secrets secrets);
/// Reads AuthParameters over what `into` already has (UpdateConnection: inner members are optional).
void parse_auth_parameters(const ShapeReader& in, Connection& into, ShapeReader::Need need);

struct ApiDestination {
  std::string name, arn, description, connection_arn;
  std::string endpoint;  ///< with `*` or `{Name}` where PathParameterValues go
  std::string method;
  std::int64_t rate_per_second = 300;
  WallTime created{}, modified{};
};
/// An InvocationEndpoint must be https, or http to a loopback address. Error: invalid.
Result<void> check_endpoint(std::string_view endpoint);

}  // namespace hf::wire::eventbridge
