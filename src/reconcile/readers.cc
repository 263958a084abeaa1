#include "reconcile/readers.h"

#include "reconcile/reading.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace hf::reconcile {
namespace {

namespace json = boost::json;

constexpr Duration kPatience = 60s;

Result<void> shop_facts(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows items, reader.query("SELECT id, initial, avail, sold FROM items"));
  for (const Row& row : items) {
    facts.stock.push_back({row.integer(0), row.integer(1), row.integer(2), row.integer(3)});
  }
  HF_TRY(const sql::Rows orders,
         reader.query("SELECT order_id, tx_id, status, reason, item, quantity, channels, phone, committed_at_us "
                      "FROM orders"));
  for (const Row& row : orders) {
    facts.orders.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4), row.integer(5),
                            split(row.text(6)), row.text(7), row.integer(8)});
  }
  HF_TRY(const sql::Rows markers, reader.query("SELECT tx_id, state FROM tx_marker"));
  for (const Row& row : markers) facts.markers.push_back({row.text(0), row.text(1)});
  return ok();
}

/// The order an event is about: its detail's order_id.
std::string order_id_of(const std::string& envelope) {
  boost::system::error_code failed;
  const json::value event = json::parse(envelope, failed);
  if (failed) return "";
  const json::value* id = event.find_pointer("/detail/order_id", failed);
  return id != nullptr && id->is_string() ? std::string(id->get_string()) : "";
}

Result<void> router_facts(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows rows,
         reader.query("SELECT d.id, d.event_id, e.envelope, d.rule, d.state, d.error_code, d.error, d.attempts, "
                      "e.received_at_us FROM router_deliveries d JOIN router_events e ON e.id = d.event_id"));
  for (const Row& row : rows) {
    const std::string state = row.text(4) == "pending" ? "waiting" : row.text(4);
    facts.deliveries.push_back({row.text(0), row.text(1), order_id_of(row.text(2)), row.text(3), state,
                                fmt::format("{} {}", row.text(5), row.text(6)), row.integer(7), row.integer(8)});
  }
  return ok();
}

std::string ledger_state(const std::string& stored) {
  if (stored == "created" || stored == "parked") return stored;
  return stored == "refused" ? "failed" : "open";  // waiting, sending, unknown
}

std::string channel_of(const std::string& kind, const std::string& address) {
  if (kind == "call") return "voice";
  return address.starts_with("whatsapp:") ? "whatsapp" : "sms";
}

Result<void> notifier_facts(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows rows,
         reader.query("SELECT id, event_id, sid, kind, to_address, state, created_at_us FROM notifier_notification"));
  for (const Row& row : rows) {
    facts.notifications.push_back({row.text(0), row.text(1), row.text_or(2, ""), channel_of(row.text(3), row.text(4)),
                                   ledger_state(row.text(5)), row.integer(6)});
  }
  return ok();
}

Result<void> phone_facts(Reader& reader, Facts& facts) {
  HF_TRY(const sql::Rows rows,
         reader.query("SELECT sid, kind, to_address, text, twiml, created_at_us FROM phone_resource"));
  for (const Row& row : rows) {
    const std::string text = row.text(3).empty() ? row.text(4) : row.text(3);
    facts.phone.push_back({row.text(0), channel_of(row.text(1), row.text(2)), row.text(2), text, row.integer(5)});
  }
  return ok();
}

Result<MessageFact> parse_transaction(const json::value& value) {
  const json::object* fields = value.if_object();
  if (fields == nullptr) return Error{Code::internal, "a transaction is no object"};
  MessageFact fact;
  for (const auto& [name, target] :
       {std::pair{"message_id", &fact.message_id}, std::pair{"key", &fact.key}, std::pair{"state", &fact.state}}) {
    const json::value* text = fields->if_contains(name);
    if (text == nullptr || !text->is_string())
      return Error{Code::internal, fmt::format("a transaction without {}", name)};
    *target = std::string(text->get_string());
  }
  for (const auto& [name, target] :
       {std::pair{"stored_at_us", &fact.stored_at_us}, std::pair{"checks", &fact.checks}}) {
    const json::value* number = fields->if_contains(name);
    boost::system::error_code failed;
    if (number != nullptr) *target = number->to_number<std::int64_t>(failed);
    if (number == nullptr || failed) return Error{Code::internal, fmt::format("a transaction without {}", name)};
  }
  if (fact.state == "deciding") fact.state = "pending";  // the record is written, not yet durable
  return fact;
}

}  // namespace

Task<> read_shop(sql::Database& shop, Facts& facts) { return read_store(shop, facts, shop_facts, "the shop"); }
Task<> read_router(sql::Database& router, Facts& facts) {
  return read_store(router, facts, router_facts, "the router");
}
Task<> read_notifier(sql::Database& notifier, Facts& facts) {
  return read_store(notifier, facts, notifier_facts, "the notifier");
}
Task<> read_phone(sql::Database& phone, Facts& facts) { return read_store(phone, facts, phone_facts, "the phone"); }

Task<> read_broker(sys::World world, std::string admin, std::string token, std::string topic, Facts& facts) {
  net::HttpClient http(world, {});
  net::HttpRequest request;
  request.method = "GET";
  if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
  const std::string url = admin + "/admin/broker/transactions?topic=" + topic;
  const Result<net::HttpResponse> response = co_await http.send(std::move(request), url, world.clock.now() + kPatience);
  if (!response) co_return response.error().with_context("asking the broker for its transactions");
  if (response->status != 200) {
    co_return Error{Code::unavailable, fmt::format("the broker's administration answered {}", response->status)};
  }
  boost::system::error_code failed;
  const json::value body = json::parse(response->body, failed);
  const json::value* list = failed ? nullptr : body.find_pointer("/transactions", failed);
  if (list == nullptr || !list->is_array()) co_return Error{Code::internal, "the broker's answer is not understood"};
  for (const json::value& value : list->get_array()) {
    HF_CO_TRY(MessageFact fact, parse_transaction(value));
    facts.messages.push_back(std::move(fact));
  }
  co_return ok();
}

}  // namespace hf::reconcile
