#include "router/admin.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

namespace hf::router {
namespace {

namespace json = boost::json;

json::object to_json(const Delivery& d) {
  json::object out{{"id", d.id},
                   {"eventId", d.event_id},
                   {"rule", d.rule},
                   {"targetId", d.target_id},
                   {"targetArn", d.target_arn},
                   {"state", to_string(d.state)},
                   {"attempts", d.attempts},
                   {"redrives", d.redrives},
                   {"since", to_rfc3339(d.since)},
                   {"updatedAt", to_rfc3339(d.updated)}};
  if (d.state == DeliveryState::pending) out["nextAttemptAt"] = to_rfc3339(d.next_attempt);
  if (!d.error_code.empty()) out["errorCode"] = d.error_code;
  if (!d.error.empty()) out["error"] = d.error;
  if (!d.condition.empty()) out["exhaustedRetryCondition"] = d.condition;
  return out;
}

json::object to_json(const DeliveryStory& story) {
  json::object out = to_json(story.delivery);
  json::array attempts;
  for (const Attempt& a : story.attempts) {
    json::object one{{"number", a.number},
                     {"at", to_rfc3339(a.at)},
                     {"latencyUs", std::chrono::duration_cast<std::chrono::microseconds>(a.latency).count()},
                     {"status", a.status},
                     {"request", a.request}};
    if (!a.error.empty()) one["error"] = a.error;
    if (!a.snippet.empty()) one["answer"] = a.snippet;
    attempts.push_back(std::move(one));
  }
  out["attemptList"] = std::move(attempts);
  return out;
}

/// The envelope stays text, spelled as targets get it.
std::string to_text(const EventStory& story) {
  json::array rules(story.event.rules.begin(), story.event.rules.end());
  json::array deliveries;
  for (const DeliveryStory& one : story.deliveries) deliveries.push_back(to_json(one));
  const json::object out{{"id", story.event.id},
                         {"source", story.event.source},
                         {"detailType", story.event.detail_type},
                         {"origin", story.event.origin},
                         {"receivedAt", to_rfc3339(story.event.received)},
                         {"rules", std::move(rules)},
                         {"deliveries", std::move(deliveries)}};
  std::string text = json::serialize(out);
  text.pop_back();
  return text + ",\"event\":" + story.event.envelope + "}";
}

std::string rules_text(const Catalogue& catalogue) {
  std::string rules;
  for (const auto& [name, rule] : catalogue.rules) {
    if (!rules.empty()) rules += ',';
    rules += fmt::format(R"({{"name":{},"arn":{},"state":"{}","eventPattern":{},"targets":[)", eb::json_string(name),
                         eb::json_string(rule->arn), rule->enabled ? "ENABLED" : "DISABLED", rule->pattern_text);
    for (const eb::Target& target : rule->targets) rules += (rules.back() == '[' ? "" : ",") + target.json;
    rules += "]}";
  }
  json::array destinations, connections, roles;
  for (const auto& [name, d] : catalogue.destinations) {
    destinations.push_back(json::object{{"name", name},
                                        {"arn", d->arn},
                                        {"connectionArn", d->connection_arn},
                                        {"endpoint", d->endpoint},
                                        {"method", d->method},
                                        {"ratePerSecond", d->rate_per_second}});
  }
  for (const auto& [name, c] : catalogue.connections) {
    connections.push_back(json::object{{"name", name}, {"arn", c->arn}, {"authorizationType", c->authorization_type}});
  }
  for (const auto& [arn, role] : catalogue.roles) {
    json::array statements;
    for (const Role::Statement& one : role->statements) {
      statements.push_back(json::object{{"Action", json::array(one.actions.begin(), one.actions.end())},
                                        {"Resource", json::array(one.resources.begin(), one.resources.end())}});
    }
    roles.push_back(json::object{{"arn", arn}, {"statements", std::move(statements)}});
  }
  return fmt::format(R"({{"rules":[{}],"apiDestinations":{},"connections":{},"roles":{}}})", rules,
                     json::serialize(destinations), json::serialize(connections), json::serialize(roles));
}

net::HttpResponse failure(int status, std::string_view code, std::string_view message) {
  return net::HttpResponse::json(status,
                                 json::serialize(json::object{{"error", {{"code", code}, {"message", message}}}}));
}
net::HttpResponse failure(const Error& error) {
  switch (error.code) {
    case Code::invalid:
      return failure(400, "invalid", error.message);
    case Code::denied:
      return failure(403, "denied", error.message);
    case Code::not_found:
      return failure(404, "not_found", error.message);
    case Code::conflict:
      return failure(409, "conflict", error.message);
    default:
      return failure(503, "unavailable", error.message);
  }
}

constexpr std::size_t kListMax = 1'000;

class AdminHttp {
 public:
  explicit AdminHttp(Admin& admin) : admin_(admin) {}

  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) {
    constexpr std::string_view kRoot = "/admin/router";
    std::string_view path = request.path();
    if (!path.starts_with(kRoot)) co_return failure(404, "not_found", "no such path");
    path.remove_prefix(kRoot.size());
    const bool get = request.method == "GET";
    if (path.empty() || path == "/") co_return get ? co_await counts() : wrong_method();
    if (path == "/rules") co_return get ? net::HttpResponse::json(200, rules_text(*admin_.rules())) : wrong_method();
    if (path == "/dlq") co_return get ? co_await dead_letters(request) : wrong_method();
    if (auto id = between(path, "/events/", "")) co_return get ? co_await event(*id) : wrong_method();
    if (auto id = between(path, "/deliveries/", "")) co_return get ? co_await delivery(*id) : wrong_method();
    if (auto id = between(path, "/dlq/", "/redrive"))
      co_return request.method == "POST" ? co_await redrive(*id) : wrong_method();
    if (auto name = between(path, "/roles/", ""))
      co_return request.method == "PUT" ? co_await grant(*name, request.body) : wrong_method();
    co_return failure(404, "not_found", "no such path");
  }

 private:
  static net::HttpResponse wrong_method() {
    return failure(405, "wrong_method", "this path does not take that method");
  }
  static std::optional<std::string> between(std::string_view path, std::string_view before, std::string_view after) {
    if (!path.starts_with(before) || !path.ends_with(after) || path.size() <= before.size() + after.size())
      return std::nullopt;
    return percent_decode(path.substr(before.size(), path.size() - before.size() - after.size()));
  }

  asio::awaitable<net::HttpResponse> counts() {
    const Result<Store::Counts> found = co_await admin_.counts();
    if (!found) co_return failure(found.error());
    co_return net::HttpResponse::json(200, json::serialize(json::object{{"events", found->events},
                                                                        {"pending", found->pending},
                                                                        {"delivered", found->delivered},
                                                                        {"dead", found->dead}}));
  }
  asio::awaitable<net::HttpResponse> event(std::string id) {
    const Result<std::optional<EventStory>> found = co_await admin_.event(id);
    if (!found) co_return failure(found.error());
    if (!*found) co_return failure(404, "not_found", "there is no event " + id);
    co_return net::HttpResponse::json(200, to_text(**found));
  }
  asio::awaitable<net::HttpResponse> delivery(std::string id) {
    const Result<std::optional<DeliveryStory>> found = co_await admin_.delivery(id);
    if (!found) co_return failure(found.error());
    if (!*found) co_return failure(404, "not_found", "there is no delivery " + id);
    co_return net::HttpResponse::json(200, json::serialize(to_json(**found)));
  }
  asio::awaitable<net::HttpResponse> dead_letters(const net::HttpRequest& request) {
    const Result<net::FormFields> query = net::parse_form(request.query());
    if (!query) co_return failure(query.error());
    std::size_t limit = 100;
    if (const auto text = net::find_field(*query, "limit")) {
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
      if (error != std::errc{} || end != text->data() + text->size() || limit < 1 || limit > kListMax) {
        co_return failure(400, "invalid", fmt::format("limit must be 1 to {}", kListMax));
      }
    }
    const Result<std::vector<Delivery>> found = co_await admin_.dead_letters(limit);
    if (!found) co_return failure(found.error());
    json::array list;
    for (const Delivery& one : *found) list.push_back(to_json(one));
    co_return net::HttpResponse::json(200, json::serialize(json::object{{"deadLetters", std::move(list)}}));
  }
  asio::awaitable<net::HttpResponse> redrive(std::string id) {
    const Result<void> done = co_await admin_.redrive(id);
    if (!done) co_return failure(done.error());
    co_return net::HttpResponse::json(202, json::serialize(json::object{{"id", id}, {"state", "pending"}}));
  }
  asio::awaitable<net::HttpResponse> grant(std::string name, std::string body) {
    const Result<eb::JsonText> parsed = eb::JsonText::parse(body);
    if (!parsed) co_return failure(parsed.error());
    eb::Problems problems;
    const eb::ShapeReader in(*parsed, eb::JsonText::root(), "", problems);
    std::vector<Role::Statement> statements;
    if (const auto list = in.list("statements", eb::ShapeReader::Need::required)) {
      std::size_t number = 0;
      parsed->for_each_child(list, [&](eb::JsonText::Node child) {
        const eb::ShapeReader one = in.element(child, "statements", ++number);
        statements.push_back({one.texts("Action", eb::kAnyText, eb::ShapeReader::Need::required),
                              one.texts("Resource", eb::kAnyText, eb::ShapeReader::Need::required)});
      });
    }
    if (!problems.empty()) co_return failure(400, "invalid", problems.message());
    const Result<void> done = co_await admin_.grant(std::move(name), std::move(statements));
    if (!done) co_return failure(done.error());
    co_return net::HttpResponse::json(200, "{}");
  }

  Admin& admin_;
};

}  // namespace

net::HttpHandler admin_http(Admin& admin) {
  auto face = std::make_shared<AdminHttp>(admin);
  return [face](net::HttpRequest request) { return face->handle(std::move(request)); };
}

}  // namespace hf::router
