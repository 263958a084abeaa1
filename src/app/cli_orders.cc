#include "app/command_line.h"
#include "console/coordinator_commands.h"

namespace hf::app {
namespace {

void add_order(CommandLine& line) {
  auto wanted = std::make_shared<console::OrderRequest>();
  auto* order = line.app().add_subcommand("order", "place one order");
  order->add_option("--mode", wanted->mode, "message, outbox or 2pc: only if the running shop is in that mode")
      ->check(CLI::IsMember({"message", "outbox", "2pc"}));
  order->add_option("--buyer,--user", wanted->buyer, "who buys (message, outbox)");
  order->add_option("--card", wanted->card, "the card that pays (2pc): card1, card2, card3");
  order->add_option("--item", wanted->item, "item number")->required();
  order->add_option("--quantity,--qty", wanted->quantity, "pieces")->capture_default_str();
  order->add_option("--channel", wanted->channels, "sms, whatsapp, voice, or several")
      ->delimiter(',')
      ->capture_default_str();
  order->add_option("--phone", wanted->phone, "E.164: +15550100001 (2pc: optional)");
  order->add_option("--key", wanted->key, "Idempotency-Key: the same key never orders twice");
  line.on_client(order, [wanted](AdminClient& client, Format format) { return place_order(client, *wanted, format); });
}

void add_show(CommandLine& line) {
  auto* show = line.app().add_subcommand("show", "the story of one thing, hop by hop, with times");
  show->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  const auto add = [&](const char* name, const char* what, auto command) {
    auto* one = show->add_subcommand(name, what);
    one->add_option("id", *id, "its id")->required();
    line.on_client(one, [id, command](AdminClient& client, Format format) { return command(client, *id, format); });
  };
  add("order", "an order, from the click to the phone", console::show_order);
  auto* tx = show->add_subcommand("tx", "a transactional message, or a global transaction (ids begin with hf1.)");
  auto http = std::make_shared<bool>(false);
  tx->add_option("id", *id, "its id")->required();
  tx->add_flag("--http", *http, "global transactions: the headers of the calls, too");
  tx->add_flag("--trace")->description("global transactions: what ran beside what; always shown");
  line.on_client(tx, [id, http](AdminClient& client, Format format) {
    const bool global = id->starts_with(console::kGlobalTransactionPrefix);
    return global ? console::show_global_transaction(client, *id, *http, format)
                  : console::show_transaction(client, *id, format);
  });
  add("event", "an event: the rules it matched and its deliveries", console::show_event);
  add("delivery", "a delivery and its attempts", console::show_delivery);
  add("notification", "a notification, by its id, SID or event id", console::show_notification);
}

}  // namespace

void add_orders(CommandLine& line) {
  add_order(line);
  add_show(line);
}

}  // namespace hf::app
