#pragma once

/// What can be set on the shop. Every field has a default; `app` maps them to TOML.

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "participant/inbox_config.h"
#include "participant/outbox_config.h"

namespace hf::shop {

struct ShopConfig {
  /// Half messages of orders go here: a-z A-Z 0-9 % | _ -, 1 … 127 characters. The topic must take
  /// transactional messages.
  std::string topic = "ecommerce-orders";

  /// Put on sale at the first start, "id;name;price in minor units;pieces". An item that the database knows already is
  /// left as it is: stock is changed by orders alone.
  std::vector<std::string> items = {
      "1;Espresso machine;49900;1000",
      "2;Grinder;19900;1000",
      "3;Kettle;7900;1000",
      "4;Scale;5900;10",
  };

  /// Orders between their admission and their answer; beyond it 503. 1 … 100 000
  std::size_t orders_in_flight = 1024;
  /// What a refused client is told to wait. 1 s … 1 h, whole seconds
  Duration retry_after = 1s;
  /// How long a repeated request waits for the first with the same Idempotency-Key. 100 ms … 1 min
  Duration repeat_wait = 10s;
  /// How long start() waits for the broker; it goes on without. 0 s … 5 min
  Duration broker_wait = 5s;
  /// How long close() waits for orders under way. 0 s … 5 min
  Duration drain = 10s;
  /// Orders of which the times after the commit (decision sent, answered) are remembered, in memory. 0 … 1 000 000
  std::size_t traces = 10'000;
};

// ---- two-phase commit (shop/two_phase): three services, each with its own store ------------------------------------

/// Of payment and inventory: how their branches are kept (participant/branches.h).
struct BranchStoreConfig {
  /// XA branches where the database has them; false: reservations everywhere
  bool xa = true;
  /// Branches that are active at once; beyond it 503. 1 … 100 000
  std::size_t open_max = 256;
  /// A branch that was not asked to prepare for so long is rolled back. 1 s … 1 h
  Duration active_max = 60s;
  /// How long ended branches are remembered; at least as long as the coordinator remembers. 1 h … 365 d
  Duration keep_ended = 168h;
};

struct PaymentConfig {
  /// Opened at the first start, "card;balance". An account that the database knows already is left as it is.
  std::vector<std::string> accounts = {"card1;1000", "card2;2000", "card3;5000"};
  BranchStoreConfig branches;
};

struct InventoryConfig {
  /// Put on sale at the first start, "item;pieces;unit price". An item that the database knows is left as it is.
  std::vector<std::string> stock = {"1;100;20", "2;150;25", "3;200;18", "4;10;60"};
  BranchStoreConfig branches;
};

/// The order service of the two-phase commit shop.
struct PlaceOrderConfig {
  /// Where the other two are
  std::string payment_url = "http://127.0.0.1:9651", inventory_url = "http://127.0.0.1:9652";
  /// "parallel": payment and inventory are called at once. "sequential": one after the other. "auto": in parallel,
  /// unless the inventory holds row locks until the end (XA): taken in no order, they would deadlock across servers
  std::string calls = "auto";
  /// New transactions for an order whose transaction was aborted for a passing reason (a lock wait). 1 … 20
  std::size_t tries = 8;
  /// Of one call to payment or inventory. 100 ms … 1 min
  Duration call_timeout = 5s;
  /// After so long the client hears that it is still under way. 1 s … 5 min
  Duration answer_within = 15s;
  /// How often orders whose transaction nobody waits for any more are asked about. 10 ms … 10 min
  Duration ask_every = 1s;
  /// Who is told of an order whose request names nobody: E.164
  std::string phone = "+15550100001";
  /// How, if the request does not say: sms, whatsapp, voice
  std::vector<std::string> channels = {"sms"};
  /// Transactions that run at once; other orders wait for their turn. Beyond what the stores have of branches (a MySQL
  /// URL's `branches`, 32), they only refuse one another. 1 … 10 000
  std::size_t transactions_at_once = 24;
  /// Topic of the confirmations
  std::string topic = "ecommerce-orders";
  /// Orders between their admission and their answer; beyond it 503. 1 … 100 000
  std::size_t orders_in_flight = 1024;
  /// What a refused client is told to wait. 1 s … 1 h, whole seconds
  Duration retry_after = 1s;
  /// How long a repeated request waits for the first with the same Idempotency-Key. 100 ms … 1 min
  Duration repeat_wait = 10s;
  /// How long close() waits for orders under way. 0 s … 5 min
  Duration drain = 10s;
  /// Transactions whose calls are remembered for `show tx`, in memory. 0 … 1 000 000
  std::size_t traces = 10'000;
};

// ---- local message table (shop/local_table): two services, each with its own store and its own outbox
// ------------------

/// Of both services; they must agree on topics.
struct LocalTableConfig {
  /// As ShopConfig::items: the order service knows names and prices, the inventory service sells the pieces
  std::vector<std::string> items = ShopConfig{}.items;
  /// Orders go to the inventory service, results come back, confirmed orders are told to the customer. NORMAL or MIXED
  std::string orders_topic = "shop-orders", results_topic = "shop-order-results", events_topic = "ecommerce-orders";
  /// Consumer groups: of the inventory service on orders, of the order service on results
  std::string inventory_group = "inventory", shop_group = "shop";
  /// Messages that each service handles at a time: what a group commit can put together. 1 … 10 000
  int concurrency = 128;
  participant::OutboxConfig outbox;
  participant::InboxConfig inbox;
  /// Orders between their admission and their answer; beyond it 503. 1 … 100 000
  std::size_t orders_in_flight = 1024;
  /// What a refused client is told to wait. 1 s … 1 h, whole seconds
  Duration retry_after = 1s;
  /// How long start() waits for the broker; it goes on without, and tries on. 0 s … 5 min
  Duration broker_wait = 5s;
  /// How long close() waits for orders under way. 0 s … 5 min
  Duration drain = 10s;
};

/// A send ends well before the lease of what it sends, so that no other relay takes the rows meanwhile.
inline Duration send_timeout_of(const LocalTableConfig& config) {
  return std::min<Duration>(5s, config.outbox.lease / 2);
}

}  // namespace hf::shop
