// The `show` commands: one thing's story from the stores of every role, as a timeline.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdio>

#include "base/bytes.h"
#include "base/time.h"
#include "console/commands.h"
#include "console/json_view.h"
#include "console/timeline.h"

namespace hf::console {
namespace {

namespace json = boost::json;

constexpr int kYes = 0, kNo = 1;

std::int64_t time_of(const json::value& object, std::string_view key) {
  const auto parsed = from_rfc3339(text_of(object, key));
  return parsed ? to_us(*parsed) : 0;
}

std::string joined(std::initializer_list<std::string> parts) {
  std::string out;
  for (const std::string& part : parts) {
    if (!part.empty()) out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

std::string with_spaces(std::string text) {
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

/// Missing is an answer (nothing yet, or another process has that role); anything else is an error to tell.
Task<std::optional<json::value>> if_there(Task<json::value> asked) {
  Result<json::value> answer = co_await std::move(asked);
  if (answer) co_return std::optional<json::value>(std::move(*answer));
  if (answer.error().code == Code::not_found) co_return std::optional<json::value>();
  co_return answer.error();
}

void add_shop(Timeline& timeline, const json::value& order) {
  for (const json::value& hop : array_of(order, "trace")) {
    timeline.add(integer_of(hop, "at_us"), "shop", with_spaces(text_of(hop, "hop")), text_of(hop, "detail"));
  }
}

void add_broker(Timeline& timeline, const json::value& answer) {
  for (const json::value& message : array_of(answer, "messages")) {
    for (const json::value& event : array_of(message, "events")) {
      const std::string group = text_of(event, "group");
      timeline.add(integer_of(event, "at_us"), "broker", with_spaces(text_of(event, "what")),
                   joined({group.empty() ? "" : "group " + group, text_of(event, "detail")}));
    }
  }
}

void add_delivery(Timeline& timeline, const json::value& delivery) {
  const std::string rule = text_of(delivery, "rule");
  for (const json::value& attempt : array_of(delivery, "attemptList")) {
    const std::int64_t at = time_of(attempt, "at");
    timeline.add(at, "router", fmt::format("attempt {}", text_of(attempt, "number")),
                 joined({"rule " + rule, text_of(attempt, "request")}));
    timeline.add(at + integer_of(attempt, "latencyUs"), "router", fmt::format("answer {}", text_of(attempt, "status")),
                 text_of(attempt, "error"));
  }
  const std::string state = text_of(delivery, "state");
  if (state == "dead") timeline.add(time_of(delivery, "updatedAt"), "router", "given up", text_of(delivery, "error"));
  if (state == "pending") {
    timeline.add(time_of(delivery, "nextAttemptAt"), "router", "next attempt due", text_of(delivery, "error"));
  }
}

void add_router(Timeline& timeline, const json::value& event) {
  std::string rules;
  for (const json::value& rule : array_of(event, "rules")) {
    rules += (rules.empty() ? "" : ", ") + std::string(rule.is_string() ? rule.get_string() : "");
  }
  timeline.add(time_of(event, "receivedAt"), "router", "event matched", rules.empty() ? "no rule" : "rules " + rules);
  for (const json::value& delivery : array_of(event, "deliveries")) add_delivery(timeline, delivery);
}

void add_notifier(Timeline& timeline, const json::value& answer) {
  for (const json::value& notification : array_of(answer, "notifications")) {
    for (const json::value& event : array_of(notification, "history")) {
      timeline.add(time_of(event, "at"), "notifier", with_spaces(text_of(event, "what")),
                   joined({text_of(notification, "sid"), text_of(event, "status"), text_of(event, "detail")}));
    }
  }
}

int print(const Timeline& timeline, const std::string& title, json::value facts, Format format) {
  if (format == Format::json) {
    print_json(json::object{{"facts", std::move(facts)}, {"timeline", timeline.to_json()}});
  } else {
    std::printf("%s\n%s", title.c_str(), timeline.print().c_str());
  }
  return kYes;
}

int nothing(const std::string& kind, const std::string& id, Format format) {
  if (format == Format::json) {
    print_json(json::object{{"error", {{"code", "not_found"}, {"message", "there is no " + kind + " " + id}}}});
  } else {
    std::printf("there is no %s %s\n", kind.c_str(), id.c_str());
  }
  return kNo;
}

/// Adds the events that the messages became; the router knows them by where they came from.
Task<> add_events_of(AdminClient& client, Timeline& timeline, const json::value& messages) {
  for (const json::value& message : array_of(messages, "messages")) {
    const std::string origin = text_of(message, "topic") + "/" + text_of(message, "message_id");
    HF_CO_TRY(const auto event, co_await if_there(client.get("/admin/router/events/" + percent_encode(origin))));
    if (event) add_router(timeline, *event);
  }
  co_return ok();
}

}  // namespace

Task<int> show_order(AdminClient& client, std::string id, Format format) {
  const std::string encoded = percent_encode(id);
  HF_CO_TRY(const auto order, co_await if_there(client.role_get("shop", "/orders/" + encoded + "?trace=1")));
  if (!order) co_return nothing("order", id, format);
  Timeline timeline;
  add_shop(timeline, *order);
  HF_CO_TRY(const auto messages, co_await if_there(client.get("/admin/broker/messages/" + encoded)));
  if (messages) {
    add_broker(timeline, *messages);
    HF_CO_TRY(co_await add_events_of(client, timeline, *messages));
  }
  HF_CO_TRY(const auto notifications, co_await if_there(client.get("/admin/notifier/notifications/" + encoded)));
  if (notifications) add_notifier(timeline, *notifications);
  const std::string title = fmt::format("order {}: {}\n", id, text_of(*order, "status"));
  co_return print(timeline, title, *order, format);
}

Task<int> show_transaction(AdminClient& client, std::string id, Format format) {
  HF_CO_TRY(const auto answer, co_await if_there(client.get("/admin/broker/messages/" + percent_encode(id))));
  if (!answer || array_of(*answer, "messages").empty()) co_return nothing("transaction", id, format);
  Timeline timeline;
  add_broker(timeline, *answer);
  const json::value& first = array_of(*answer, "messages").front();
  const std::string title = fmt::format("message {} of topic {}, transaction {}\n", text_of(first, "message_id"),
                                        text_of(first, "topic"), text_of(first, "transaction_id"));
  co_return print(timeline, title, *answer, format);
}

Task<int> show_event(AdminClient& client, std::string id, Format format) {
  HF_CO_TRY(const auto event, co_await if_there(client.get("/admin/router/events/" + percent_encode(id))));
  if (!event) co_return nothing("event", id, format);
  Timeline timeline;
  add_router(timeline, *event);
  const std::string title = fmt::format("event {}: {} from {}\n{}\n", id, text_of(*event, "detailType"),
                                        text_of(*event, "source"), text_of(*event, "event"));
  co_return print(timeline, title, *event, format);
}

Task<int> show_delivery(AdminClient& client, std::string id, Format format) {
  HF_CO_TRY(const auto delivery, co_await if_there(client.get("/admin/router/deliveries/" + percent_encode(id))));
  if (!delivery) co_return nothing("delivery", id, format);
  Timeline timeline;
  add_delivery(timeline, *delivery);
  const std::string title = fmt::format("delivery {} by rule {} to {}: {}\n", id, text_of(*delivery, "rule"),
                                        text_of(*delivery, "targetArn"), text_of(*delivery, "state"));
  co_return print(timeline, title, *delivery, format);
}

Task<int> show_notification(AdminClient& client, std::string id, Format format) {
  HF_CO_TRY(const auto answer, co_await if_there(client.get("/admin/notifier/notifications/" + percent_encode(id))));
  if (!answer) co_return nothing("notification", id, format);
  Timeline timeline;
  add_notifier(timeline, *answer);
  std::string title;
  for (const json::value& one : array_of(*answer, "notifications")) {
    title += fmt::format("{} {} to {}: {} {}\n", text_of(one, "channel"), text_of(one, "sid"), text_of(one, "to"),
                         text_of(one, "state"), text_of(one, "status"));
  }
  co_return print(timeline, title, *answer, format);
}

}  // namespace hf::console
