#include "console/commands.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "base/bytes.h"
#include "console/json_view.h"
#include "console/table.h"

namespace hf::console {
namespace {

namespace json = boost::json;

constexpr int kYes = 0, kNo = 1;

struct Column {
  const char* head;
  const char* key;
};

/// A table of `rows`, a column per key; "nothing" if there are none.
void print_rows(const json::array& rows, const std::vector<Column>& columns, const char* nothing) {
  std::vector<std::string> heads;
  for (const Column& column : columns) heads.emplace_back(column.head);
  Table table(heads);
  for (const json::value& row : rows) {
    std::vector<std::string> cells;
    for (const Column& column : columns) cells.push_back(text_of(row, column.key));
    table.row(std::move(cells));
  }
  std::printf("%s", table.empty() ? (std::string(nothing) + "\n").c_str() : table.print().c_str());
}

std::string describe_refusal(const net::HttpResponse& response) {
  boost::system::error_code failed;
  const json::value body = json::parse(response.body, failed);
  if (failed || !body.is_object()) return fmt::format("HTTP {}: {}", response.status, response.body);
  const json::object* error = body.as_object().contains("error") ? body.at("error").if_object() : nullptr;
  if (error == nullptr) return response.body;
  return fmt::format("{}: {}", text_of(*error, "code"), text_of(*error, "message"));
}

net::HttpRequest order_request(const OrderRequest& order) {
  const bool two_phase = order.mode == "2pc";
  json::object body;
  if (two_phase) {
    body = {{"cardNo", order.card}, {"itemId", order.item}, {"qty", order.quantity}};
    if (!order.phone.empty()) body["phone"] = order.phone;
  } else {
    body = {{"buyer", order.buyer}, {"item", order.item}, {"quantity", order.quantity}, {"phone", order.phone}};
  }
  if (order.channels.size() == 1) {
    body["channel"] = order.channels[0];
  } else {
    body["channel"] = json::array(order.channels.begin(), order.channels.end());
  }
  net::HttpRequest request;
  request.method = "POST";
  request.target = two_phase ? "/placeOrder" : "/orders";
  request.headers.set("Content-Type", "application/json");
  if (!order.key.empty()) request.headers.set("Idempotency-Key", order.key);
  request.body = json::serialize(body);
  return request;
}

/// What the order service's plain text does not say is in its headers.
json::object placed_in_two_phases(const net::HttpResponse& response) {
  return {{"order_id", response.headers.get("x-holdfast-order-id").value_or("")},
          {"transaction_id", response.headers.get("x-b7a-xid").value_or("")},
          {"status", response.status},
          {"answer", response.body}};
}

void print_placed(const net::HttpResponse& response, bool accepted, bool two_phase, Format format) {
  if (two_phase) {
    const json::object placed = placed_in_two_phases(response);
    if (format == Format::json) {
      print_json(placed);
    } else {
      std::printf("%s%s\n", accepted ? "" : "refused: ", response.body.c_str());
      if (accepted)
        std::printf("order %s, transaction %s\n", text_of(placed, "order_id").c_str(),
                    text_of(placed, "transaction_id").c_str());
    }
  } else if (format == Format::json) {
    std::printf("%s\n", response.body.c_str());
  } else if (accepted) {
    const json::value placed = json::parse(response.body);
    std::printf("order %s is %s\n", text_of(placed, "order_id").c_str(), text_of(placed, "status").c_str());
  } else {
    std::printf("refused: %s\n", describe_refusal(response).c_str());
  }
}

}  // namespace

Task<int> place_order(AdminClient& client, OrderRequest order, Format format) {
  HF_CO_TRY(const std::string mode, co_await client.shop_mode());
  if (!order.mode.empty() && order.mode != mode) {
    co_return Error{Code::invalid, fmt::format("the running shop is in mode {}, not {}: serve --shop {}", mode,
                                               order.mode, order.mode)};
  }
  order.mode = mode;
  const bool two_phase = mode == "2pc";
  if (two_phase && order.card.empty()) co_return Error{Code::invalid, "the shop is in mode 2pc: --card is required"};
  if (!two_phase && order.buyer.empty()) co_return Error{Code::invalid, "--buyer is required"};
  if (!two_phase && order.phone.empty()) co_return Error{Code::invalid, "--phone is required"};
  net::HttpRequest request = order_request(order);
  HF_CO_TRY(const net::HttpResponse response, co_await client.role_send("shop", std::move(request)));
  const bool accepted = response.status == 200 || response.status == 201 || response.status == 202;
  print_placed(response, accepted, two_phase, format);
  co_return accepted ? kYes : kNo;
}

Task<int> list_transactions(AdminClient& client, std::string state, Format format) {
  const std::string path = "/admin/broker/tx" + (state.empty() ? "" : "?state=" + percent_encode(state));
  HF_CO_TRY(const json::value answer, co_await client.get(path));
  if (format == Format::json) {
    print_json(answer);
  } else {
    print_rows(array_of(answer, "transactions"),
               {{"transaction", "transaction_id"},
                {"topic", "topic"},
                {"key", "key"},
                {"state", "state"},
                {"stored", "stored_at"},
                {"checks", "checks"}},
               "no transactions in that state");
  }
  co_return kYes;
}

Task<int> act_on_transaction(AdminClient& client, std::string action, std::string id, Format format) {
  const std::string path = fmt::format("/admin/broker/tx/{}/{}", percent_encode(id), action);
  HF_CO_TRY(const json::value answer, co_await client.post(path, json::object{}));
  if (format == Format::json) {
    print_json(answer);
  } else {
    std::printf("transaction %s: %s\n", id.c_str(), text_of(answer, "result").c_str());
  }
  co_return kYes;
}

namespace {

/// A role that is not in that process has no dead letters there.
Task<json::array> dead_letters_at(AdminClient& client, std::string path, std::string list) {
  Result<json::value> answer = co_await client.get(path);
  if (!answer && answer.error().code == Code::not_found) co_return json::array{};
  if (!answer) co_return answer.error();
  co_return array_of(*answer, list);
}

}  // namespace

Task<int> list_dead_letters(AdminClient& client, Format format) {
  HF_CO_TRY(const json::array messages, co_await dead_letters_at(client, "/admin/broker/dlq", "dead_letters"));
  HF_CO_TRY(const json::array deliveries, co_await dead_letters_at(client, "/admin/router/dlq", "deadLetters"));
  json::array all;
  for (const json::value& letter : messages) {
    all.push_back({{"kind", "message"},
                   {"id", text_of(letter, "id")},
                   {"of", fmt::format("{} in group {}", text_of(letter, "message_id"), text_of(letter, "group"))},
                   {"attempts", integer_of(letter, "attempts")},
                   {"at", text_of(letter, "at")},
                   {"reason", text_of(letter, "reason")}});
  }
  for (const json::value& letter : deliveries) {
    all.push_back({{"kind", "delivery"},
                   {"id", text_of(letter, "id")},
                   {"of", fmt::format("event {} by rule {}", text_of(letter, "eventId"), text_of(letter, "rule"))},
                   {"attempts", integer_of(letter, "attempts")},
                   {"at", text_of(letter, "updatedAt")},
                   {"reason", fmt::format("{} {}", text_of(letter, "errorCode"), text_of(letter, "error"))}});
  }
  if (format == Format::json) {
    print_json(json::object{{"dead_letters", all}});
  } else {
    print_rows(
        all,
        {{"kind", "kind"}, {"id", "id"}, {"of", "of"}, {"attempts", "attempts"}, {"at", "at"}, {"reason", "reason"}},
        "no dead letters");
  }
  co_return kYes;
}

/// A message's id is "topic:offset", a delivery's "<event>.<hex>".
Task<int> redrive_dead_letter(AdminClient& client, std::string id, Format format) {
  const bool message = id.find(':') != std::string::npos;
  const std::string path = fmt::format("/admin/{}/dlq/{}/redrive", message ? "broker" : "router", percent_encode(id));
  HF_CO_TRY(const json::value answer, co_await client.post(path, json::object{}));
  if (format == Format::json) {
    print_json(answer);
  } else {
    std::printf("%s is sent on again\n", id.c_str());
  }
  co_return kYes;
}

Task<int> list_topics(AdminClient& client, Format format) {
  HF_CO_TRY(const json::value answer, co_await client.get("/admin/broker/topics"));
  if (format == Format::json) {
    print_json(answer);
  } else {
    print_rows(array_of(answer, "topics"),
               {{"topic", "name"}, {"type", "type"}, {"messages", "messages"}, {"next offset", "next_offset"}},
               "no topics yet");
  }
  co_return kYes;
}

Task<int> create_topic(AdminClient& client, std::string name, std::string type, Format format) {
  json::object body{{"name", name}, {"type", type}};
  HF_CO_TRY(const json::value answer, co_await client.post("/admin/broker/topics", std::move(body)));
  if (format == Format::json) {
    print_json(answer);
  } else {
    std::printf("topic %s is of type %s\n", name.c_str(), type.c_str());
  }
  co_return kYes;
}

Task<int> list_groups(AdminClient& client, Format format) {
  HF_CO_TRY(const json::value answer, co_await client.get("/admin/broker/groups"));
  if (format == Format::json) {
    print_json(answer);
  } else {
    print_rows(array_of(answer, "groups"),
               {{"group", "group"}, {"topic", "topic"}, {"backlog", "backlog"}, {"in flight", "in_flight"}},
               "no groups yet");
  }
  co_return kYes;
}

Task<int> create_group(AdminClient& client, std::string name, Format format) {
  HF_CO_TRY(const json::value answer, co_await client.post("/admin/broker/groups", json::object{{"name", name}}));
  if (format == Format::json) {
    print_json(answer);
  } else {
    std::printf("group %s exists\n", name.c_str());
  }
  co_return kYes;
}

}  // namespace hf::console
