#include "coordinator/coordinator.h"

#include "coordinator/edge.h"
#include "coordinator/replies.h"

namespace hf::coordinator {

struct Coordinator::Impl {
  Impl(sys::World world, CoordinatorConfig c, sql::Database& database, SendHttp send)
      : config(std::move(c)),
        store(database, config.id),
        engine(world, config, store, std::move(send)),
        edge(world, config, engine, store),
        admin(config, engine, store),
        idle(world.clock) {}

  /// stop() waits for the handlers that run: they refer to what it takes apart.
  template <class E>
  asio::awaitable<net::HttpResponse> answer(E& face, net::HttpRequest request) {
    ++running;
    net::HttpResponse response = co_await face.handle(std::move(request));
    if (--running == 0) idle.notify_all();
    co_return response;
  }

  const CoordinatorConfig config;
  Store store;
  Engine engine;
  Edge edge;
  AdminEdge admin;
  sys::Event idle;
  std::size_t running = 0;
};

Coordinator::Coordinator(sys::World world, CoordinatorConfig config, sql::Database& database, SendHttp send)
    : impl_(std::make_unique<Impl>(world, std::move(config), database, std::move(send))) {}
Coordinator::~Coordinator() = default;

Task<> Coordinator::start() {
  HF_CO_TRY(co_await impl_->store.migrate());
  co_return co_await impl_->engine.start();
}

net::HttpHandler Coordinator::http() {
  return [impl = impl_.get()](net::HttpRequest request) { return impl->answer(impl->edge, std::move(request)); };
}

net::HttpHandler Coordinator::admin_http() {
  return [impl = impl_.get()](net::HttpRequest request) { return impl->answer(impl->admin, std::move(request)); };
}

asio::awaitable<void> Coordinator::stop() {
  co_await impl_->engine.stop();
  while (impl_->running > 0) co_await impl_->idle.wait();
}

}  // namespace hf::coordinator
