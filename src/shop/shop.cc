#include "shop/shop.h"

#include "base/log.h"
#include "shop/http_edge.h"
#include "shop/item_list.h"
#include "shop/order_service.h"

namespace hf::shop {
namespace {

mq::ProducerConfig producer_config(const ShopConfig& config) {
  mq::ProducerConfig producer;
  producer.topics = {config.topic};  // check-backs of orders of an earlier process come by this topic
  return producer;
}

}  // namespace

struct Shop::Impl {
  Impl(sys::World w, ShopConfig c, sql::Database& database, mq::Client& client_)
      : world(std::move(w)),
        config(std::move(c)),
        store(world, database),
        orders(world, config, store,
               [this](mq::Message message, mq::LocalExecutor executor, std::any argument) {
                 return producer->send_message_in_transaction(std::move(message), std::move(executor),
                                                              std::move(argument));
               }),
        edge(world, config, orders),
        client(client_) {}

  sys::World world;
  const ShopConfig config;
  Store store;
  OrderService orders;
  HttpEdge edge;
  mq::Client& client;
  std::unique_ptr<mq::TransactionProducer> producer;  ///< from start() on
};

Shop::Shop(sys::World world, ShopConfig config, sql::Database& database, mq::Client& client)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), database, client)) {}
Shop::~Shop() = default;

Task<> Shop::start() {
  HF_CO_TRY(std::vector<Item> items, parse_items(impl_->config.items));
  const mq::ProducerConfig producer = producer_config(impl_->config);
  HF_CO_TRY(mq::check(producer));
  HF_CO_TRY(co_await impl_->store.open(std::move(items)));
  mq::Checker checker = [this](const mq::HalfMessage& half) { return impl_->orders.check(half); };
  impl_->producer = impl_->client.transaction_producer(producer, std::move(checker));
  const Result<void> announced = co_await impl_->producer->start(impl_->config.broker_wait);
  if (!announced) log::warn("shop.broker_away", {{"error", announced.error().to_string()}});
  log::info("shop.started", {{"topic", impl_->config.topic}});
  co_return ok();
}

net::HttpHandler Shop::handler() {
  return [this](net::HttpRequest request) { return impl_->edge.handle(std::move(request)); };
}

asio::awaitable<void> Shop::close() {
  co_await impl_->orders.close();
  if (impl_->producer) co_await impl_->producer->close();
}

}  // namespace hf::shop
