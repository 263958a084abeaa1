#include "shop/local_table/orders.h"

#include "base/log.h"
#include "shop/item_list.h"
#include "shop/local_table/order_edge.h"
#include "shop/local_table/steady_consumer.h"

namespace hf::shop::local_table {
namespace {

LocalTableConfig named(LocalTableConfig config) {
  config.outbox.name = config.inbox.name = "shop";
  return config;
}

}  // namespace

struct Orders::Impl {
  Impl(sys::World w, LocalTableConfig c, sql::Database& d, mq::Client& client_, sql::Database* outbox_database)
      : world(std::move(w)),
        config(named(std::move(c))),
        database(d),
        client(client_),
        outbox(world, outbox_database == nullptr ? d : *outbox_database, config.outbox,
               [this](std::vector<mq::Message> messages) { return producer->send_batch(std::move(messages)); }),
        inbox(world, d, config.inbox),
        store(world, d, config, outbox, inbox),
        edge(world, config, store, outbox) {}

  sys::World world;
  const LocalTableConfig config;
  sql::Database& database;
  mq::Client& client;
  std::unique_ptr<mq::Producer> producer;  ///< from start() on
  participant::Outbox outbox;
  participant::Inbox inbox;
  OrderStore store;
  OrderEdge edge;
  std::unique_ptr<SteadyConsumer> consumer;  ///< from start() on
};

Orders::Orders(sys::World world, LocalTableConfig config, sql::Database& database, mq::Client& client,
               sql::Database* outbox_database)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), database, client, outbox_database)) {}
Orders::~Orders() = default;

Task<> Orders::start() {
  const LocalTableConfig& config = impl_->config;
  HF_CO_TRY(std::vector<Item> items, parse_items(config.items));
  const mq::ProducerConfig producer = {.topics = {config.orders_topic, config.events_topic},
                                       .send_timeout = send_timeout_of(config)};
  HF_CO_TRY(mq::check(producer));
  mq::ConsumerConfig consumer = {.group = config.shop_group};
  consumer.subscriptions = {{.topic = config.results_topic}};
  consumer.concurrency = config.concurrency;
  HF_CO_TRY(mq::check(consumer));
  HF_CO_TRY(co_await impl_->store.open(std::move(items)));
  HF_CO_TRY(co_await impl_->inbox.start());
  impl_->producer = impl_->client.producer(producer);
  HF_CO_TRY(co_await impl_->outbox.start(impl_->database, OrderStore::business_tables()));
  mq::Listener listener = [this](const mq::ReceivedMessage& received) { return impl_->edge.result(received); };
  impl_->consumer = std::make_unique<SteadyConsumer>(impl_->world, impl_->client, std::move(consumer), listener);
  HF_CO_TRY(co_await impl_->consumer->start(config.broker_wait));
  log::info("shop.local_table.started",
            {{"orders", config.orders_topic}, {"results", config.results_topic}, {"events", config.events_topic}});
  co_return ok();
}

net::HttpHandler Orders::handler() {
  return [this](net::HttpRequest request) { return impl_->edge.handle(std::move(request)); };
}
participant::Outbox& Orders::outbox() { return impl_->outbox; }

asio::awaitable<void> Orders::close() {
  co_await impl_->edge.close();
  if (impl_->consumer) co_await impl_->consumer->close();
  co_await impl_->outbox.close();
  co_await impl_->inbox.close();
  if (impl_->producer) co_await impl_->producer->close();
}

}  // namespace hf::shop::local_table
