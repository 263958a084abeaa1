#include "shop/local_table/inventory.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/log.h"
#include "net/http_router.h"
#include "shop/answers.h"
#include "shop/item_list.h"
#include "shop/local_table/inventory_store.h"
#include "shop/local_table/steady_consumer.h"

namespace hf::shop::local_table {
namespace {

namespace json = boost::json;

LocalTableConfig named(LocalTableConfig config) {
  config.outbox.name = config.inbox.name = "inventory";
  return config;
}

}  // namespace

struct Inventory::Impl {
  Impl(sys::World w, LocalTableConfig c, sql::Database& d, mq::Client& client_, sql::Database* outbox_database)
      : world(std::move(w)),
        config(named(std::move(c))),
        database(d),
        client(client_),
        outbox(world, outbox_database == nullptr ? d : *outbox_database, config.outbox,
               [this](std::vector<mq::Message> messages) { return producer->send_batch(std::move(messages)); }),
        inbox(world, d, config.inbox),
        store(world, d, config, outbox, inbox),
        router(no_such_path),
        taken(of("taken")),
        refused(of("refused")),
        replayed(of("replayed")),
        failed(of("failed")) {
    router.add("GET", "/items", [this](net::HttpRequest, net::PathValues) { return get_items(); });
  }

  metrics::Counter& of(const char* outcome) {
    return world.metrics.counter("holdfast_shop_stock_requests_total", "Orders that asked for pieces, by outcome",
                                 {{"outcome", outcome}});
  }

  /// Steps 4 to 6.
  Task<> handle(const mq::ReceivedMessage& received) {
    const WallTime received_at = world.clock.wall();
    Result<OrderTaken> order = parse_order_taken(received.message.body);
    if (!order) {
      log::error("shop.local_table.not_an_order", {{"topic", received.message.topic},
                                                   {"message_id", received.message.message_id},
                                                   {"error", order.error().to_string()}});
      failed.add();
      co_return order.error();  // the broker keeps it as a dead letter in the end (P7)
    }
    const std::string order_id = order->order_id;
    log::debug("shop.local_table.step", {{"step", 4}, {"what", "inventory_received"}, {"order_id", order_id}});
    const Result<InventoryStore::Taken> done = co_await store.take(std::move(*order), to_us(received_at));
    if (!done) {
      log::warn("shop.local_table.take_failed", {{"order_id", order_id}, {"error", done.error().to_string()}});
      failed.add();
      co_return done.error();
    }
    outbox.committed();
    (done->replayed ? replayed : done->result.ok ? taken : refused).add();
    log::debug("shop.local_table.step", {{"step", 5},
                                         {"what", "inventory_updated"},
                                         {"order_id", order_id},
                                         {"result", done->result.ok ? "ok" : done->result.reason},
                                         {"replayed", done->replayed}});
    log::debug("shop.local_table.step", {{"step", 6}, {"what", "result_stored"}, {"order_id", order_id}});
    co_return ok();
  }

  asio::awaitable<net::HttpResponse> get_items() {
    const Result<std::vector<Item>> items = co_await store.items();
    if (!items) {
      log::warn("shop.items.failed", {{"error", items.error().to_string()}});
      co_return refuse_for_now("database_unavailable", "the database is away, repeat later", config.retry_after);
    }
    json::array list;
    for (const Item& item : *items) list.push_back(item_json(item));
    co_return respond(200, {{"items", std::move(list)}});
  }

  sys::World world;
  const LocalTableConfig config;
  sql::Database& database;
  mq::Client& client;
  std::unique_ptr<mq::Producer> producer;  ///< from start() on
  participant::Outbox outbox;
  participant::Inbox inbox;
  InventoryStore store;
  net::HttpRouter router;
  std::unique_ptr<SteadyConsumer> consumer;  ///< from start() on
  metrics::Counter &taken, &refused, &replayed, &failed;
};

Inventory::Inventory(sys::World world, LocalTableConfig config, sql::Database& database, mq::Client& client,
                     sql::Database* outbox_database)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), database, client, outbox_database)) {}
Inventory::~Inventory() = default;

Task<> Inventory::start() {
  const LocalTableConfig& config = impl_->config;
  HF_CO_TRY(std::vector<Item> items, parse_items(config.items));
  const mq::ProducerConfig producer = {.topics = {config.results_topic}, .send_timeout = send_timeout_of(config)};
  HF_CO_TRY(mq::check(producer));
  mq::ConsumerConfig consumer = {.group = config.inventory_group};
  consumer.subscriptions = {{.topic = config.orders_topic}};
  consumer.concurrency = config.concurrency;
  HF_CO_TRY(mq::check(consumer));
  HF_CO_TRY(co_await impl_->store.open(std::move(items)));
  HF_CO_TRY(co_await impl_->inbox.start());
  impl_->producer = impl_->client.producer(producer);
  HF_CO_TRY(co_await impl_->outbox.start(impl_->database, InventoryStore::business_tables()));
  mq::Listener listener = [this](const mq::ReceivedMessage& received) { return impl_->handle(received); };
  impl_->consumer = std::make_unique<SteadyConsumer>(impl_->world, impl_->client, std::move(consumer), listener);
  HF_CO_TRY(co_await impl_->consumer->start(config.broker_wait));
  log::info("shop.local_table.inventory_started",
            {{"orders", config.orders_topic}, {"results", config.results_topic}, {"group", config.inventory_group}});
  co_return ok();
}

net::HttpHandler Inventory::handler() {
  return [this](net::HttpRequest request) { return impl_->router.handle(std::move(request)); };
}
participant::Outbox& Inventory::outbox() { return impl_->outbox; }

asio::awaitable<void> Inventory::close() {
  if (impl_->consumer) co_await impl_->consumer->close();
  co_await impl_->outbox.close();
  co_await impl_->inbox.close();
  if (impl_->producer) co_await impl_->producer->close();
}

}  // namespace hf::shop::local_table
