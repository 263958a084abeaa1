#include "shop/two_phase/orders.h"

#include "base/log.h"
#include "shop/two_phase/order_edge.h"

namespace hf::shop::two_phase {
namespace {

participant::TwoPhaseConfig named(participant::TwoPhaseConfig link) {
  link.name = "order";
  return link;
}

Result<void> check(const PlaceOrderConfig& config) {
  if (config.calls != "auto" && config.calls != "parallel" && config.calls != "sequential") {
    return Error{Code::invalid, "calls must be auto, parallel or sequential, not \"" + config.calls + "\""};
  }
  for (const std::string& url : {config.payment_url, config.inventory_url}) HF_TRY(net::parse_url(url));
  return check_contact(config.channels, config.phone);
}

/// As one request names them: in order, so that the same request by default and by name is the same request.
PlaceOrderConfig sorted(PlaceOrderConfig config) {
  std::sort(config.channels.begin(), config.channels.end());
  return config;
}

}  // namespace

struct Orders::Impl {
  Impl(sys::World world_, PlaceOrderConfig config_, participant::TwoPhaseConfig link, sql::Database& database,
       mq::Client& client, participant::SendHttp send, participant::OutboxConfig outbox_config)
      : world(std::move(world_)),
        config(sorted(std::move(config_))),
        producer(client.producer({.topics = {config.topic}})),
        outbox(world, database, std::move(outbox_config),
               [this](std::vector<mq::Message> messages) { return producer->send_batch(std::move(messages)); }),
        store(world, database, outbox, config.topic),
        initiator(world, named(std::move(link)), send),
        flow(world, config, store, initiator, std::move(send)),
        edge(world, config, flow, store, initiator) {}

  sys::World world;
  const PlaceOrderConfig config;
  std::unique_ptr<mq::Producer> producer;
  participant::Outbox outbox;
  OrderStore store;
  participant::Initiator initiator;
  OrderFlow flow;
  OrderEdge edge;
};

Orders::Orders(sys::World world, PlaceOrderConfig config, participant::TwoPhaseConfig link, sql::Database& database,
               mq::Client& client, participant::SendHttp send, participant::OutboxConfig outbox)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), std::move(link), database, client,
                                   std::move(send), std::move(outbox))) {}
Orders::~Orders() = default;

Task<> Orders::start() {
  HF_CO_TRY(check(impl_->config));
  HF_CO_TRY(co_await impl_->store.open());
  std::vector<std::string> business_tables{"two_phase_orders"};
  HF_CO_TRY(co_await impl_->outbox.start(std::move(business_tables)));
  co_return co_await impl_->flow.start();
}

net::HttpHandler Orders::handler() {
  return [this](net::HttpRequest request) { return impl_->edge.handle(std::move(request)); };
}

participant::Outbox& Orders::outbox() { return impl_->outbox; }

asio::awaitable<void> Orders::close() {
  co_await impl_->flow.close();
  co_await impl_->outbox.close();
  co_await impl_->producer->close();
}

}  // namespace hf::shop::two_phase
