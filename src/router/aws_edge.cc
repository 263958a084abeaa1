#include "router/aws_edge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/log.h"
#include "router/put_events.h"

namespace hf::router {
namespace {

namespace json = boost::json;
using eb::JsonKind;
using eb::JsonText;
using Need = eb::ShapeReader::Need;

constexpr std::string_view kContentType = "application/x-amz-json-1.1";
constexpr std::array kMethods =
    std::to_array<std::string_view>({"POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"});

/// Operations of the service that are not built: named, so that nobody mistakes them for a typing error.
constexpr std::array kNotYet = std::to_array<std::string_view>({"ActivateEventSource",
                                                                "CancelReplay",
                                                                "CreateArchive",
                                                                "CreateEndpoint",
                                                                "CreateEventBus",
                                                                "CreatePartnerEventSource",
                                                                "DeactivateEventSource",
                                                                "DeauthorizeConnection",
                                                                "DeleteArchive",
                                                                "DeleteEndpoint",
                                                                "DeleteEventBus",
                                                                "DeletePartnerEventSource",
                                                                "DescribeArchive",
                                                                "DescribeEndpoint",
                                                                "DescribeEventSource",
                                                                "DescribePartnerEventSource",
                                                                "DescribeReplay",
                                                                "ListArchives",
                                                                "ListEndpoints",
                                                                "ListEventSources",
                                                                "ListPartnerEventSourceAccounts",
                                                                "ListPartnerEventSources",
                                                                "ListReplays",
                                                                "PutPartnerEvents",
                                                                "PutPermission",
                                                                "RemovePermission",
                                                                "StartReplay",
                                                                "TagResource",
                                                                "UntagResource",
                                                                "UpdateArchive",
                                                                "UpdateEndpoint",
                                                                "UpdateEventBus"});

Refusal refuse(const Error& error) {
  switch (error.code) {
    case Code::invalid:
      return {"ValidationException", error.message};
    case Code::not_found:
      return {"ResourceNotFoundException", error.message};
    case Code::conflict:
      return {"ResourceAlreadyExistsException", error.message};
    case Code::denied:
      return {"AccessDeniedException", error.message};
    case Code::exhausted:
      return {"LimitExceededException", error.message};
    case Code::timeout:
    case Code::unavailable:
    case Code::corrupt:
    case Code::internal:
      return {"InternalException", error.message};
  }
  HF_ASSERT(false);  // the list is closed
}

Refusal bad_pattern(const Error& error) {
  return {"InvalidEventPatternException", "Event pattern is not valid. Reason: " + error.message};
}

/// Whole seconds: every SDK reads them, none trips over the length.
std::int64_t stamp(WallTime time) { return to_us(time) / 1'000'000; }

void put_if(json::object& out, std::string_view name, const std::string& value) {
  if (!value.empty()) out[name] = value;
}

}  // namespace

struct AwsEdge::Input {
  explicit Input(JsonText text) : json(std::move(text)), reader(json, JsonText::root(), "", problems) {}
  Input(const Input&) = delete;  // the reader refers to its neighbours
  Input& operator=(const Input&) = delete;
  std::optional<Refusal> refusal() const {
    if (problems.empty()) return std::nullopt;
    return Refusal{problems.exception(), problems.message()};
  }
  JsonText json;
  eb::Problems problems;
  eb::ShapeReader reader;
};

namespace {

/// One page of a list ordered by name; the token is the last name of the page before.
struct Page {
  std::size_t limit = 100;
  std::string after;
  std::string next;  ///< out: empty on the last page

  static Page read(const eb::ShapeReader& in) {
    Page out;
    out.limit = static_cast<std::size_t>(in.integer("Limit", 1, 100).value_or(100));
    if (const auto token = in.text("NextToken", eb::kNextToken)) {
      const std::optional<std::string> name = unbase64(*token, Base64::url_unpadded);
      if (!name) in.problems().semantic("Parameter NextToken is not valid.");
      out.after = name.value_or("");
    }
    return out;
  }
  /// Calls `each` for what belongs to this page.
  template <class T, class Wanted, class Each>
  void walk(const Named<T>& all, Wanted wanted, Each each) {
    std::size_t taken = 0;
    std::string last;
    for (auto it = after.empty() ? all.begin() : all.upper_bound(after); it != all.end(); ++it) {
      if (!wanted(*it->second)) continue;
      if (taken == limit) {
        next = base64(as_bytes(last), Base64::url_unpadded);
        return;
      }
      each(*it->second);
      last = it->first;
      ++taken;
    }
  }
};

bool has_tags(const eb::ShapeReader& in) {
  const JsonText::Node tags = in.list("Tags");
  return tags && in.json().next(tags) != tags + 1;
}

}  // namespace

AwsEdge::AwsEdge(sys::World world, const RouterConfig& config, Control& control, Intake& intake)
    : world_(world), config_(config), control_(control), intake_(intake) {}

const std::map<std::string_view, AwsEdge::Handler>& AwsEdge::handlers() {
  static const std::map<std::string_view, Handler> all = {
      {"PutEvents", &AwsEdge::put_events},
      {"PutRule", &AwsEdge::put_rule},
      {"DescribeRule", &AwsEdge::describe_rule},
      {"ListRules", &AwsEdge::list_rules},
      {"EnableRule", &AwsEdge::enable_rule},
      {"DisableRule", &AwsEdge::disable_rule},
      {"DeleteRule", &AwsEdge::delete_rule},
      {"ListRuleNamesByTarget", &AwsEdge::list_rule_names_by_target},
      {"PutTargets", &AwsEdge::put_targets},
      {"ListTargetsByRule", &AwsEdge::list_targets_by_rule},
      {"RemoveTargets", &AwsEdge::remove_targets},
      {"TestEventPattern", &AwsEdge::test_event_pattern},
      {"DescribeEventBus", &AwsEdge::describe_event_bus},
      {"ListEventBuses", &AwsEdge::list_event_buses},
      {"CreateConnection", &AwsEdge::create_connection},
      {"DescribeConnection", &AwsEdge::describe_connection},
      {"UpdateConnection", &AwsEdge::update_connection},
      {"DeleteConnection", &AwsEdge::delete_connection},
      {"ListConnections", &AwsEdge::list_connections},
      {"CreateApiDestination", &AwsEdge::create_api_destination},
      {"DescribeApiDestination", &AwsEdge::describe_api_destination},
      {"UpdateApiDestination", &AwsEdge::update_api_destination},
      {"DeleteApiDestination", &AwsEdge::delete_api_destination},
      {"ListApiDestinations", &AwsEdge::list_api_destinations},
      {"ListTagsForResource", &AwsEdge::list_tags_for_resource},
  };
  return all;
}

asio::awaitable<net::HttpResponse> AwsEdge::handle(net::HttpRequest request, Open open) {
  const std::string target(request.headers.get("X-Amz-Target").value_or(""));
  const std::string operation = target.starts_with("AWSEvents.") ? target.substr(10) : "";
  const std::string request_id = world_.random.uuid();
  Answer outcome = Refusal{"ServiceUnavailableException", "The router is starting or stopping."};
  int status = 503;
  if (open == Open::yes) {
    outcome = co_await answer(request, operation);
    status = 200;
  }
  const bool known = handlers().contains(operation);
  const Refusal* refusal = std::get_if<Refusal>(&outcome);
  world_.metrics
      .counter("holdfast_router_requests_total", "Calls of the API, by operation and result.",
               {{"operation", known ? operation : "unknown"}, {"result", refusal ? refusal->exception : "ok"}})
      .add();
  std::string body;
  if (refusal) {
    if (status == 200) status = refusal->exception == "InternalException" ? 500 : 400;
    body = json::serialize(json::object{{"__type", refusal->exception}, {"message", refusal->message}});
    log::info(
        "router.request_refused",
        {{"request_id", request_id}, {"operation", known ? operation : "unknown"}, {"exception", refusal->exception}});
  } else {
    body = std::get<std::string>(std::move(outcome));
  }
  net::HttpResponse response = net::HttpResponse::text(status, std::move(body), std::string(kContentType));
  response.headers.add("x-amzn-RequestId", request_id);
  if (refusal) response.headers.add("x-amzn-ErrorType", refusal->exception);
  co_return response;
}

asio::awaitable<AwsEdge::Answer> AwsEdge::answer(const net::HttpRequest& request, std::string_view operation) {
  const SignatureScope scope{config_.region, "events", config_.clock_tolerance};
  if (auto refusal = verify_signature(request, config_.access_keys, scope, world_.clock.wall())) co_return *refusal;
  if (request.method != "POST" || request.path() != "/")
    co_return Refusal{"UnknownOperationException", "Requests are POST /."};
  const auto handler = handlers().find(operation);
  if (handler == handlers().end()) {
    const bool later = std::ranges::find(kNotYet, operation) != kNotYet.end();
    co_return Refusal{"UnknownOperationException",
                      later ? fmt::format("{} is not supported yet.", operation) : "Unknown operation."};
  }
  Result<JsonText> body =
      JsonText::parse(request.body.empty() ? std::string_view("{}") : std::string_view(request.body));
  if (!body) co_return Refusal{"SerializationException", body.error().message};
  if (body->kind(JsonText::root()) != JsonKind::object)
    co_return Refusal{"SerializationException", "The request is not a JSON object."};
  Input input(std::move(*body));
  co_return co_await (this->*handler->second)(input);
}

bool AwsEdge::is_default_bus(std::string_view bus) const {
  return bus.empty() || bus == "default" || bus == control_.bus_arn();
}

std::optional<Refusal> AwsEdge::unknown_bus(Input& in) const {
  const std::string bus = in.reader.text("EventBusName", eb::kBusName).value_or("default");
  if (auto refusal = in.refusal()) return refusal;
  if (is_default_bus(bus)) return std::nullopt;
  return Refusal{"ResourceNotFoundException", fmt::format("Event bus {} does not exist.", bus)};
}

asio::awaitable<AwsEdge::Answer> AwsEdge::put_events(Input& in) {
  PutEvents request = read_put_events(
      in.reader, {config_.account, config_.region, control_.bus_arn(), world_.clock.wall()}, world_.random);
  if (auto refusal = in.refusal()) co_return *refusal;
  std::vector<Intake::Incoming> accepted;
  for (PutEventsEntry& entry : request.entries) {
    if (!entry.error_code.empty()) continue;
    if (entry.on_default_bus) {
      accepted.push_back({std::move(entry.event), "PutEvents"});
    } else {  // the service drops these without a word; the answer stays the same, the operator is told
      world_.metrics.counter("holdfast_router_events_unknown_bus_total", "Entries for a bus that does not exist.")
          .add();
      log::warn("router.unknown_bus", {{"event_id", entry.event_id}});
    }
  }
  if (!accepted.empty()) {
    const Result<void> stored = co_await intake_.accept(std::move(accepted));
    if (!stored && (stored.error().code == Code::exhausted || stored.error().code == Code::unavailable)) {
      co_return Refusal{"ThrottlingException", "Rate exceeded"};  // SDKs repeat it with back-off
    }
    if (!stored) co_return refuse(stored.error());
  }
  co_return put_events_answer(request);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::put_rule(Input& in) {
  RuleInput rule;
  rule.name = in.reader.text("Name", eb::kRuleName, Need::required).value_or("");
  const auto pattern = in.reader.text("EventPattern", {0, eb::EventPattern::kTextMax});
  const auto schedule = in.reader.text("ScheduleExpression", {0, 256});
  rule.enabled = in.reader.word("State", {"ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"})
                     .value_or("ENABLED") != "DISABLED";
  rule.description = in.reader.text("Description", eb::kDescription).value_or("");
  rule.role_arn = in.reader.text("RoleArn", eb::kArn).value_or("");
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  if (schedule && !schedule->empty())
    co_return Refusal{"ValidationException", "ScheduleExpression is not supported yet."};
  if (has_tags(in.reader)) co_return Refusal{"ValidationException", "Tags are not supported yet."};
  if (!pattern || pattern->empty()) {
    co_return Refusal{"ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."};
  }
  if (const auto compiled = eb::EventPattern::compile(*pattern); !compiled) co_return bad_pattern(compiled.error());
  rule.pattern_text = *pattern;
  const Result<std::string> arn = co_await control_.put_rule(std::move(rule));
  if (!arn) co_return refuse(arn.error());
  co_return json::serialize(json::object{{"RuleArn", *arn}});
}

namespace {

json::object to_json(const Rule& rule) {
  json::object out{{"Name", rule.name},
                   {"Arn", rule.arn},
                   {"EventPattern", rule.pattern_text},
                   {"State", rule.enabled ? "ENABLED" : "DISABLED"}};
  put_if(out, "Description", rule.description);
  put_if(out, "RoleArn", rule.role_arn);
  out["EventBusName"] = "default";
  return out;
}
std::string list_answer(std::string_view name, json::array items, const Page& page) {
  json::object out{{name, std::move(items)}};
  put_if(out, "NextToken", page.next);
  return json::serialize(out);
}

}  // namespace

asio::awaitable<AwsEdge::Answer> AwsEdge::describe_rule(Input& in) {
  const std::string name = in.reader.text("Name", eb::kRuleName, Need::required).value_or("");
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  const CataloguePtr catalogue = control_.catalogue();
  const auto rule = catalogue->rules.find(name);
  if (rule == catalogue->rules.end()) co_return refuse(no_such_rule(name));
  json::object out = to_json(*rule->second);
  out["CreatedBy"] = config_.account;
  co_return json::serialize(out);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_rules(Input& in) {
  const std::string prefix = in.reader.text("NamePrefix", eb::kRuleName).value_or("");
  Page page = Page::read(in.reader);
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  json::array rules;
  page.walk(
      control_.catalogue()->rules, [&](const Rule& rule) { return rule.name.starts_with(prefix); },
      [&](const Rule& rule) { rules.push_back(to_json(rule)); });
  co_return list_answer("Rules", std::move(rules), page);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::set_rule_state(Input& in, bool enabled) {
  const std::string name = in.reader.text("Name", eb::kRuleName, Need::required).value_or("");
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  const Result<void> done = co_await control_.set_rule_state(name, enabled);
  if (!done) co_return refuse(done.error());
  co_return std::string();
}
asio::awaitable<AwsEdge::Answer> AwsEdge::enable_rule(Input& in) { return set_rule_state(in, true); }
asio::awaitable<AwsEdge::Answer> AwsEdge::disable_rule(Input& in) { return set_rule_state(in, false); }

asio::awaitable<AwsEdge::Answer> AwsEdge::delete_rule(Input& in) {
  const std::string name = in.reader.text("Name", eb::kRuleName, Need::required).value_or("");
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  const Result<void> done = co_await control_.delete_rule(name);
  if (!done) co_return refuse(done.error());
  co_return std::string();
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_rule_names_by_target(Input& in) {
  const std::string arn = in.reader.text("TargetArn", eb::kArn, Need::required).value_or("");
  Page page = Page::read(in.reader);
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  json::array names;
  page.walk(
      control_.catalogue()->rules,
      [&](const Rule& rule) { return std::ranges::find(rule.targets, arn, &eb::Target::arn) != rule.targets.end(); },
      [&](const Rule& rule) { names.emplace_back(rule.name); });
  co_return list_answer("RuleNames", std::move(names), page);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::put_targets(Input& in) {
  const std::string rule = in.reader.text("Rule", eb::kRuleName, Need::required).value_or("");
  std::vector<eb::Target> targets;
  if (const JsonText::Node list = in.reader.list("Targets", Need::required)) {
    in.json.for_each_child(list, [&](JsonText::Node child) {
      const eb::ShapeReader one = in.reader.element(child, "Targets", targets.size() + 1);
      targets.push_back(eb::parse_target(one));
      const eb::Target& target = targets.back();
      if (target.arn.find(":api-destination/") == std::string::npos) {
        in.problems.semantic(fmt::format(
            "Parameter Arn of target {} is not valid. Reason: only API destinations are supported yet.", target.id));
      } else if (target.role_arn.empty()) {
        in.problems.semantic(fmt::format("RoleArn is required for target {}.", target.id));
      }
    });
    if (targets.empty() || targets.size() > 100) {
      in.problems.constraint(std::to_string(targets.size()), "targets", "Member must have length from 1 to 100");
    }
  }
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  const Result<void> done = co_await control_.put_targets(rule, std::move(targets));
  if (!done) co_return refuse(done.error());
  co_return std::string(R"({"FailedEntryCount":0,"FailedEntries":[]})");
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_targets_by_rule(Input& in) {
  const std::string name = in.reader.text("Rule", eb::kRuleName, Need::required).value_or("");
  (void)Page::read(in.reader);  // checked; a rule's five targets always fit one page … unless asked for fewer
  const auto limit = static_cast<std::size_t>(in.reader.integer("Limit", 1, 100).value_or(100));
  const std::string token = in.reader.text("NextToken", eb::kNextToken).value_or("");
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  const CataloguePtr catalogue = control_.catalogue();
  const auto rule = catalogue->rules.find(name);
  if (rule == catalogue->rules.end()) co_return refuse(no_such_rule(name));
  const std::string after = unbase64(token, Base64::url_unpadded).value_or("");
  const std::vector<eb::Target>& targets = rule->second->targets;
  auto from = targets.begin();
  if (!after.empty()) from = std::ranges::find(targets, after, &eb::Target::id);
  if (!after.empty() && from != targets.end()) ++from;
  std::string out = "{\"Targets\":[";
  std::size_t taken = 0;
  for (; from != targets.end() && taken < limit; ++from, ++taken) out += (taken ? "," : "") + from->json;
  out += ']';
  if (from != targets.end())
    out += ",\"NextToken\":" + eb::json_string(base64(as_bytes(std::prev(from)->id), Base64::url_unpadded));
  co_return out + '}';
}

asio::awaitable<AwsEdge::Answer> AwsEdge::remove_targets(Input& in) {
  const std::string rule = in.reader.text("Rule", eb::kRuleName, Need::required).value_or("");
  std::vector<std::string> ids = in.reader.texts("Ids", eb::kTargetId, Need::required);
  if (auto refusal = unknown_bus(in)) co_return *refusal;
  const Result<void> done = co_await control_.remove_targets(rule, std::move(ids));
  if (!done) co_return refuse(done.error());
  co_return std::string(R"({"FailedEntryCount":0,"FailedEntries":[]})");
}

asio::awaitable<AwsEdge::Answer> AwsEdge::test_event_pattern(Input& in) {
  const std::string text = in.reader.text("EventPattern", eb::kAnyText, Need::required).value_or("");
  const std::string event_text = in.reader.text("Event", eb::kAnyText, Need::required).value_or("");
  if (auto refusal = in.refusal()) co_return *refusal;
  const Result<eb::EventPattern> pattern = eb::EventPattern::compile(text);
  if (!pattern) co_return bad_pattern(pattern.error());
  const Result<JsonText> event = JsonText::parse(event_text);
  bool whole = event && event->kind(JsonText::root()) == JsonKind::object;
  for (const char* name : {"id", "account", "source", "time", "region", "detail-type"}) {
    whole = whole && event->find(JsonText::root(), name) != 0;
  }
  if (!whole) co_return Refusal{"ValidationException", "Parameter Event is not valid."};
  const bool matched = !eb::RuleIndex({&*pattern}).match(*event).empty();
  co_return std::string(matched ? R"({"Result":true})" : R"({"Result":false})");
}

asio::awaitable<AwsEdge::Answer> AwsEdge::describe_event_bus(Input& in) {
  const std::string name = in.reader.text("Name", eb::kBusName).value_or("default");
  if (auto refusal = in.refusal()) co_return *refusal;
  if (!is_default_bus(name))
    co_return Refusal{"ResourceNotFoundException", fmt::format("Event bus {} does not exist.", name)};
  co_return json::serialize(json::object{{"Name", "default"}, {"Arn", control_.bus_arn()}});
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_event_buses(Input& in) {
  const std::string prefix = in.reader.text("NamePrefix", eb::kBusName).value_or("");
  (void)Page::read(in.reader);
  if (auto refusal = in.refusal()) co_return *refusal;
  json::array buses;
  if (std::string_view("default").starts_with(prefix))
    buses.push_back(json::object{{"Name", "default"}, {"Arn", control_.bus_arn()}});
  co_return json::serialize(json::object{{"EventBuses", std::move(buses)}});
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_tags_for_resource(Input& in) {
  (void)in.reader.text("ResourceARN", eb::kArn, Need::required);
  if (auto refusal = in.refusal()) co_return *refusal;
  co_return std::string(R"({"Tags":[]})");  // none can be given; Terraform asks after every creation
}

namespace {

json::object head(const eb::Connection& c, std::string_view state) {
  return {{"ConnectionArn", c.arn},
          {"ConnectionState", state},
          {"CreationTime", stamp(c.created)},
          {"LastModifiedTime", stamp(c.modified)},
          {"LastAuthorizedTime", stamp(c.authorized)}};
}
std::string_view state_of(const eb::ApiDestination& d, const Catalogue& catalogue) {
  return catalogue.connection_by_arn(d.connection_arn) ? "ACTIVE" : "INACTIVE";
}
json::object head(const eb::ApiDestination& d, const Catalogue& catalogue) {
  return {{"ApiDestinationArn", d.arn},
          {"ApiDestinationState", state_of(d, catalogue)},
          {"CreationTime", stamp(d.created)},
          {"LastModifiedTime", stamp(d.modified)}};
}
json::object whole(const eb::ApiDestination& d, const Catalogue& catalogue) {
  json::object out = head(d, catalogue);
  out["Name"] = d.name;
  out["ConnectionArn"] = d.connection_arn;
  out["InvocationEndpoint"] = d.endpoint;
  out["HttpMethod"] = d.method;
  out["InvocationRateLimitPerSecond"] = d.rate_per_second;
  return out;
}

constexpr std::array kAuthorizations =
    std::to_array<std::string_view>({"BASIC", "OAUTH_CLIENT_CREDENTIALS", "API_KEY"});
std::vector<std::string_view> words(std::span<const std::string_view> list) { return {list.begin(), list.end()}; }

std::optional<Refusal> not_built(const eb::ShapeReader& in, std::string_view authorization) {
  if (authorization == "OAUTH_CLIENT_CREDENTIALS")
    return Refusal{"ValidationException", "OAUTH_CLIENT_CREDENTIALS is not supported yet."};
  if (in.has("InvocationConnectivityParameters"))
    return Refusal{"ValidationException", "Private connectivity is not supported yet."};
  if (in.has("KmsKeyIdentifier")) return Refusal{"ValidationException", "KmsKeyIdentifier is not supported yet."};
  return std::nullopt;
}

}  // namespace

asio::awaitable<AwsEdge::Answer> AwsEdge::create_connection(Input& in) {
  eb::Connection connection;
  connection.name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  connection.description = in.reader.text("Description", eb::kDescription).value_or("");
  connection.authorization_type =
      in.reader.word("AuthorizationType", words(kAuthorizations), Need::required).value_or("");
  const JsonText::Node parameters = in.reader.object("AuthParameters", Need::required);
  if (auto refusal = in.refusal()) co_return *refusal;
  if (auto refusal = not_built(in.reader, connection.authorization_type)) co_return *refusal;
  eb::parse_auth_parameters(in.reader.below(parameters, "AuthParameters"), connection, Need::required);
  if (auto refusal = in.refusal()) co_return *refusal;
  const Result<eb::Connection> made = co_await control_.create_connection(std::move(connection));
  if (!made) co_return refuse(made.error());
  json::object out = head(*made, "AUTHORIZED");
  out.erase("LastAuthorizedTime");
  co_return json::serialize(out);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::describe_connection(Input& in) {
  const std::string name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  if (auto refusal = in.refusal()) co_return *refusal;
  const CataloguePtr catalogue = control_.catalogue();
  const auto found = catalogue->connections.find(name);
  if (found == catalogue->connections.end()) co_return refuse(no_such_connection(name));
  const eb::Connection& connection = *found->second;
  json::object out = head(connection, "AUTHORIZED");
  out["Name"] = name;
  put_if(out, "Description", connection.description);
  out["AuthorizationType"] = connection.authorization_type;
  out["AuthParameters"] = json::parse(eb::auth_parameters_json(connection, eb::Secrets::hidden));
  co_return json::serialize(out);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::update_connection(Input& in) {
  const std::string name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  const auto description = in.reader.text("Description", eb::kDescription);
  const auto authorization = in.reader.word("AuthorizationType", words(kAuthorizations));
  const JsonText::Node parameters = in.reader.object("AuthParameters");
  if (auto refusal = in.refusal()) co_return *refusal;
  if (auto refusal = not_built(in.reader, authorization.value_or(""))) co_return *refusal;
  // Runs inside the awaited call: `in` outlives it.
  std::function<Result<void>(eb::Connection&)> edit = [&](eb::Connection& connection) -> Result<void> {
    if (description) connection.description = *description;
    const bool other = authorization && *authorization != connection.authorization_type;
    if (authorization) connection.authorization_type = *authorization;
    if (parameters) {
      eb::parse_auth_parameters(in.reader.below(parameters, "AuthParameters"), connection,
                                other ? Need::required : Need::optional);
    } else if (other) {
      return Error{Code::invalid,
                   "Parameter AuthParameters is not valid. Reason: it must be given with a new AuthorizationType."};
    }
    return in.problems.empty() ? ok() : Result<void>(Error{Code::invalid, in.problems.message()});
  };
  const Result<eb::Connection> changed = co_await control_.update_connection(name, std::move(edit));
  if (auto refusal = in.refusal()) co_return *refusal;
  if (!changed) co_return refuse(changed.error());
  co_return json::serialize(head(*changed, "AUTHORIZED"));
}

asio::awaitable<AwsEdge::Answer> AwsEdge::delete_connection(Input& in) {
  const std::string name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  if (auto refusal = in.refusal()) co_return *refusal;
  const Result<eb::Connection> gone = co_await control_.delete_connection(name);
  if (!gone) co_return refuse(gone.error());
  co_return json::serialize(head(*gone, "DELETING"));
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_connections(Input& in) {
  const std::string prefix = in.reader.text("NamePrefix", eb::kResourceName).value_or("");
  const std::string state = in.reader.text("ConnectionState", eb::kAnyText).value_or("AUTHORIZED");
  Page page = Page::read(in.reader);
  if (auto refusal = in.refusal()) co_return *refusal;
  json::array list;
  page.walk(
      control_.catalogue()->connections,
      [&](const eb::Connection& c) { return c.name.starts_with(prefix) && state == "AUTHORIZED"; },
      [&](const eb::Connection& c) {
        json::object one = head(c, "AUTHORIZED");
        one["Name"] = c.name;
        one["AuthorizationType"] = c.authorization_type;
        list.push_back(std::move(one));
      });
  co_return list_answer("Connections", std::move(list), page);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::create_api_destination(Input& in) {
  eb::ApiDestination d;
  d.name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  d.description = in.reader.text("Description", eb::kDescription).value_or("");
  d.connection_arn = in.reader.text("ConnectionArn", eb::kArn, Need::required).value_or("");
  d.endpoint = in.reader.text("InvocationEndpoint", {1, 2'048}, Need::required).value_or("");
  d.method = in.reader.word("HttpMethod", words(kMethods), Need::required).value_or("");
  d.rate_per_second = in.reader.integer("InvocationRateLimitPerSecond", 1, INT32_MAX).value_or(300);
  if (auto refusal = in.refusal()) co_return *refusal;
  const Result<eb::ApiDestination> made = co_await control_.create_destination(std::move(d));
  if (!made) co_return refuse(made.error());
  co_return json::serialize(head(*made, *control_.catalogue()));
}

asio::awaitable<AwsEdge::Answer> AwsEdge::describe_api_destination(Input& in) {
  const std::string name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  if (auto refusal = in.refusal()) co_return *refusal;
  const CataloguePtr catalogue = control_.catalogue();
  const auto found = catalogue->destinations.find(name);
  if (found == catalogue->destinations.end()) co_return refuse(no_such_destination(name));
  json::object out = whole(*found->second, *catalogue);
  put_if(out, "Description", found->second->description);
  co_return json::serialize(out);
}

asio::awaitable<AwsEdge::Answer> AwsEdge::update_api_destination(Input& in) {
  const std::string name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  DestinationChange change;
  change.description = in.reader.text("Description", eb::kDescription);
  change.connection_arn = in.reader.text("ConnectionArn", eb::kArn);
  change.endpoint = in.reader.text("InvocationEndpoint", {1, 2'048});
  change.method = in.reader.word("HttpMethod", words(kMethods));
  change.rate_per_second = in.reader.integer("InvocationRateLimitPerSecond", 1, INT32_MAX);
  if (auto refusal = in.refusal()) co_return *refusal;
  const Result<eb::ApiDestination> changed = co_await control_.update_destination(name, std::move(change));
  if (!changed) co_return refuse(changed.error());
  co_return json::serialize(head(*changed, *control_.catalogue()));
}

asio::awaitable<AwsEdge::Answer> AwsEdge::delete_api_destination(Input& in) {
  const std::string name = in.reader.text("Name", eb::kResourceName, Need::required).value_or("");
  if (auto refusal = in.refusal()) co_return *refusal;
  const Result<void> done = co_await control_.delete_destination(name);
  if (!done) co_return refuse(done.error());
  co_return std::string("{}");
}

asio::awaitable<AwsEdge::Answer> AwsEdge::list_api_destinations(Input& in) {
  const std::string prefix = in.reader.text("NamePrefix", eb::kResourceName).value_or("");
  const std::string connection = in.reader.text("ConnectionArn", eb::kArn).value_or("");
  Page page = Page::read(in.reader);
  if (auto refusal = in.refusal()) co_return *refusal;
  const CataloguePtr catalogue = control_.catalogue();
  json::array list;
  page.walk(
      catalogue->destinations,
      [&](const eb::ApiDestination& d) {
        return d.name.starts_with(prefix) && (connection.empty() || d.connection_arn == connection);
      },
      [&](const eb::ApiDestination& d) { list.push_back(whole(d, *catalogue)); });
  co_return list_answer("ApiDestinations", std::move(list), page);
}

}  // namespace hf::router
