#include "app/broker_admin.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/bytes.h"
#include "net/http_problem.h"
#include "net/http_router.h"

namespace hf::app {
namespace {

namespace json = boost::json;
using broker::Admin;
using net::HttpRequest;
using net::HttpResponse;
using net::PathValues;

constexpr std::size_t kListLimit = 1000;

HttpResponse answer(json::object body) { return HttpResponse::json(200, json::serialize(body)); }

json::array texts(const std::vector<std::string>& all) { return json::array(all.begin(), all.end()); }
std::string time_text(WallTime time) { return time == WallTime{} ? "" : to_rfc3339(time); }

json::object to_json(const broker::HalfInfo& half) {
  return {{"transaction_id", half.transaction_id},
          {"message_id", half.message_id},
          {"topic", half.topic},
          {"key", half.keys.empty() ? "" : half.keys[0]},
          {"keys", texts(half.keys)},
          {"sender", half.sender},
          {"state", half.state},
          {"decided_by", half.decided_by},
          {"checks", half.checks},
          {"stored_at", time_text(half.stored_at)},
          {"stored_at_us", to_us(half.stored_at)},
          {"decided_at", time_text(half.decided_at)},
          {"next_check_in", format_duration(half.next_check_in)},
          {"producer_connected", half.producer_connected}};
}

json::object to_json(const broker::MessageHistory& message) {
  json::array events;
  for (const broker::MessageEvent& event : message.events) {
    events.push_back({{"at", to_rfc3339(event.at)},
                      {"at_us", to_us(event.at)},
                      {"what", event.what},
                      {"group", event.group},
                      {"detail", event.detail}});
  }
  return {{"message_id", message.message_id}, {"transaction_id", message.transaction_id},
          {"topic", message.topic},           {"tag", message.tag},
          {"keys", texts(message.keys)},      {"offset", message.offset},
          {"body_bytes", message.body_bytes}, {"body", message.body},
          {"born_host", message.born_host},   {"events", std::move(events)}};
}

json::object to_json(const broker::DeadLetterInfo& dead) {
  return {{"id", fmt::format("{}:{}", dead.dead_letter_topic, dead.offset)},
          {"dead_letter_topic", dead.dead_letter_topic},
          {"offset", dead.offset},
          {"group", dead.group},
          {"topic", dead.topic},
          {"message_id", dead.message_id},
          {"keys", texts(dead.keys)},
          {"reason", dead.reason},
          {"attempts", dead.attempts},
          {"at", to_rfc3339(dead.at)}};
}

Result<json::object> parse_object(const std::string& body) {
  boost::system::error_code failed;
  json::value parsed = json::parse(body.empty() ? "{}" : body, failed);
  if (failed || !parsed.is_object()) return Error{Code::invalid, "the body must be a JSON object"};
  return std::move(parsed.as_object());
}

Result<std::string> text_field(const json::object& body, std::string_view key) {
  const json::value* found = body.if_contains(key);
  if (found == nullptr || !found->is_string()) return Error{Code::invalid, fmt::format("'{}' must be a text", key)};
  return std::string(found->get_string());
}

Result<broker::TopicType> parse_topic_type(std::string_view name) {
  for (const auto type : {broker::TopicType::normal, broker::TopicType::transaction, broker::TopicType::mixed}) {
    if (name == broker::to_string(type)) return type;
  }
  return Error{Code::invalid, fmt::format("'{}' is no topic type: NORMAL, TRANSACTION or MIXED", name)};
}

class BrokerAdmin {
 public:
  explicit BrokerAdmin(Admin& admin) : admin_(admin), router_(refuse) {
    add("GET", "/admin/broker/topics", &BrokerAdmin::list_topics);
    add("POST", "/admin/broker/topics", &BrokerAdmin::create_topic);
    add("GET", "/admin/broker/groups", &BrokerAdmin::list_groups);
    add("POST", "/admin/broker/groups", &BrokerAdmin::create_group);
    add("GET", "/admin/broker/clients", &BrokerAdmin::list_clients);
    add("GET", "/admin/broker/counters", &BrokerAdmin::counters);
    add("GET", "/admin/broker/tx", &BrokerAdmin::list_transactions);
    add("GET", "/admin/broker/transactions", &BrokerAdmin::scan_transactions);
    add("POST", "/admin/broker/tx/{id}/{action}", &BrokerAdmin::act);
    add("GET", "/admin/broker/messages/{id}", &BrokerAdmin::history);
    add("GET", "/admin/broker/dlq", &BrokerAdmin::list_dead_letters);
    add("POST", "/admin/broker/dlq/{id}/redrive", &BrokerAdmin::redrive);
  }
  asio::awaitable<HttpResponse> handle(HttpRequest request) { return router_.handle(std::move(request)); }

 private:
  using Method = Task<json::object> (BrokerAdmin::*)(HttpRequest, PathValues);
  void add(const char* method, const char* path, Method run) {
    router_.add(method, path, [this, run](HttpRequest request, PathValues values) {
      return respond((this->*run)(std::move(request), std::move(values)));
    });
  }
  static asio::awaitable<HttpResponse> respond(Task<json::object> work) {
    Result<json::object> body = co_await std::move(work);
    co_return body ? answer(std::move(*body)) : net::problem(body.error());
  }
  static HttpResponse refuse(const HttpRequest& request, int status) { return net::route_problem(request, status); }

  Task<json::object> list_topics(HttpRequest, PathValues) {
    json::array topics;
    for (const broker::TopicInfo& topic : admin_.topics()) {
      topics.push_back({{"name", topic.name},
                        {"type", broker::to_string(topic.type)},
                        {"messages", topic.next_offset - topic.first_offset},
                        {"first_offset", topic.first_offset},
                        {"next_offset", topic.next_offset},
                        {"holds_dead_letters", topic.holds_dead_letters},
                        {"groups", texts(topic.groups)}});
    }
    co_return json::object{{"topics", std::move(topics)}};
  }

  Task<json::object> create_topic(HttpRequest request, PathValues) {
    HF_CO_TRY(const json::object body, parse_object(request.body));
    HF_CO_TRY(const std::string name, text_field(body, "name"));
    HF_CO_TRY(const std::string type_name, text_field(body, "type"));
    HF_CO_TRY(const broker::TopicType type, parse_topic_type(type_name));
    HF_CO_TRY(co_await admin_.create_topic(name, type));
    co_return json::object{{"name", name}, {"type", type_name}};
  }

  Task<json::object> list_groups(HttpRequest, PathValues) {
    json::array groups;
    for (const broker::GroupInfo& group : admin_.groups()) {
      for (const broker::ReadingInfo& reading : group.topics) {
        groups.push_back({{"group", group.name},
                          {"max_attempts", group.max_attempts},
                          {"topic", reading.topic},
                          {"backlog", reading.lag},
                          {"in_flight", reading.in_flight},
                          {"next_offset", reading.next_offset}});
      }
      if (group.topics.empty()) groups.push_back({{"group", group.name}, {"max_attempts", group.max_attempts}});
    }
    co_return json::object{{"groups", std::move(groups)}};
  }

  Task<json::object> create_group(HttpRequest request, PathValues) {
    HF_CO_TRY(const json::object body, parse_object(request.body));
    HF_CO_TRY(const std::string name, text_field(body, "name"));
    constexpr int kMaxAttempts = 17;  // RocketMQ retryMaxTimes 16 + 1
    HF_CO_TRY(co_await admin_.create_group(name, kMaxAttempts));
    co_return json::object{{"name", name}};
  }

  Task<json::object> list_clients(HttpRequest, PathValues) {
    json::array clients;
    for (const broker::ClientInfo& client : admin_.clients()) {
      clients.push_back({{"client_id", client.client_id},
                         {"type", client.type},
                         {"peer", client.peer},
                         {"language", client.language},
                         {"version", client.version},
                         {"group", client.group},
                         {"connected", client.connected},
                         {"publishes", texts(client.publishes)}});
    }
    co_return json::object{{"clients", std::move(clients)}};
  }

  Task<json::object> counters(HttpRequest, PathValues) {
    const broker::BrokerCounters c = admin_.counters();
    co_return json::object{{"half_pending", c.half_pending},
                           {"half_parked", c.half_parked},
                           {"committed", c.committed},
                           {"rolled_back", c.rolled_back},
                           {"checks", c.checks},
                           {"parked", c.parked},
                           {"sent", c.sent},
                           {"delivered", c.delivered},
                           {"redelivered", c.redelivered},
                           {"acknowledged", c.acknowledged},
                           {"dead_letters", c.dead_letters},
                           {"log_bytes", c.log_bytes},
                           {"segments", c.segments}};
  }

  Task<json::object> list_transactions(HttpRequest request, PathValues) {
    HF_CO_TRY(const net::FormFields query, net::parse_form(request.query()));
    const std::string_view state = net::find_field(query, "state").value_or("");
    const bool decided = state == "committed" || state == "rolled_back";
    if (!state.empty() && !decided && state != "pending" && state != "parked") {
      co_return Error{Code::invalid, "the states are pending, parked, committed, rolled_back"};
    }
    Result<std::vector<broker::HalfInfo>> halves =
        decided ? co_await admin_.recently_decided(kListLimit) : co_await admin_.half_messages(kListLimit);
    if (!halves) co_return halves.error();
    json::array all;
    for (const broker::HalfInfo& half : *halves) {
      if (state.empty() || half.state == state) all.push_back(to_json(half));
    }
    co_return json::object{{"transactions", std::move(all)}};
  }

  Task<json::object> scan_transactions(HttpRequest request, PathValues) {
    HF_CO_TRY(const net::FormFields query, net::parse_form(request.query()));
    const std::string topic(net::find_field(query, "topic").value_or(""));
    HF_CO_TRY(const std::vector<broker::HalfInfo> halves, co_await admin_.all_transactions(topic));
    json::array all;
    for (const broker::HalfInfo& half : halves) all.push_back(to_json(half));
    co_return json::object{{"transactions", std::move(all)}};
  }

  Task<json::object> act(HttpRequest, PathValues path) {
    const std::string id(net::path_value(path, "id"));
    const std::string action(net::path_value(path, "action"));
    if (action == "commit") {
      HF_CO_TRY(co_await admin_.commit(id));
    } else if (action == "rollback") {
      HF_CO_TRY(co_await admin_.roll_back(id));
    } else if (action == "recheck") {
      HF_CO_TRY(co_await admin_.restart(id));
    } else {
      co_return Error{Code::not_found, "the actions are commit, rollback, recheck"};
    }
    co_return json::object{{"transaction_id", id},
                           {"result", action == "recheck" ? "asked again" : "decided: " + action}};
  }

  Task<json::object> history(HttpRequest, PathValues path) {
    HF_CO_TRY(const std::vector<broker::MessageHistory> messages,
              co_await admin_.history(std::string(net::path_value(path, "id"))));
    json::array all;
    for (const broker::MessageHistory& message : messages) all.push_back(to_json(message));
    co_return json::object{{"messages", std::move(all)}};
  }

  Task<json::object> list_dead_letters(HttpRequest, PathValues) {
    HF_CO_TRY(const std::vector<broker::DeadLetterInfo> dead, co_await admin_.dead_letters("", kListLimit));
    json::array all;
    for (const broker::DeadLetterInfo& letter : dead) all.push_back(to_json(letter));
    co_return json::object{{"dead_letters", std::move(all)}};
  }

  /// The id is "topic:offset", as the list shows it.
  Task<json::object> redrive(HttpRequest, PathValues path) {
    const std::string_view id = net::path_value(path, "id");
    const std::size_t colon = id.rfind(':');
    std::int64_t offset = -1;
    if (colon != std::string_view::npos) std::from_chars(id.data() + colon + 1, id.data() + id.size(), offset);
    if (offset < 0) co_return Error{Code::invalid, "a dead letter's id is topic:offset"};
    HF_CO_TRY(co_await admin_.redrive(std::string(id.substr(0, colon)), offset));
    co_return json::object{{"id", id}, {"result", "sent on again"}};
  }

  Admin& admin_;
  net::HttpRouter router_;
};

}  // namespace

net::HttpHandler make_broker_admin(Admin& admin) {
  auto served = std::make_shared<BrokerAdmin>(admin);
  return [served](HttpRequest request) { return served->handle(std::move(request)); };
}

}  // namespace hf::app
