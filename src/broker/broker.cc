#include "broker/broker.h"

#include "broker/engine.h"
#include "broker/rocketmq_edge.h"

namespace hf::broker {

struct Broker::Impl {
  explicit Impl(std::unique_ptr<Engine> started) : engine(std::move(started)), edge(*engine), admin(*engine) {}
  std::unique_ptr<Engine> engine;
  RocketmqEdge edge;
  Admin admin;
};

Broker::Broker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Broker::~Broker() = default;

Result<std::unique_ptr<Broker>> Broker::open(sys::World world, BrokerConfig config, std::string dir) {
  HF_TRY(std::unique_ptr<Engine> engine, Engine::open(world, std::move(config), std::move(dir)));
  return std::unique_ptr<Broker>(new Broker(std::make_unique<Impl>(std::move(engine))));
}

wire::rocketmq::MessagingService& Broker::service() { return impl_->edge; }
Admin& Broker::admin() { return impl_->admin; }
void Broker::on_failed(std::function<void(const Error&)> callback) { impl_->engine->on_failed(std::move(callback)); }
Task<> Broker::stop() { co_return co_await impl_->engine->stop(); }

}  // namespace hf::broker
