#include "app/doors.h"

#include <fmt/format.h>

#include "net/http_problem.h"
#include "net/listener.h"

namespace hf::app {
namespace {

asio::awaitable<net::HttpResponse> forward(std::shared_ptr<net::HttpHandler> handler, net::HttpRequest request) {
  if (*handler) co_return co_await (*handler)(std::move(request));
  net::HttpResponse starting = net::problem(Error{Code::unavailable, "starting"});
  starting.headers.add("Retry-After", "1");
  co_return starting;
}

}  // namespace

net::HttpHandler LateHandler::handler() const {
  return [handler = handler_](net::HttpRequest request) { return forward(handler, std::move(request)); };
}

struct Doors::Door {
  LateHandler http;
  std::shared_ptr<net::GrpcService> grpc;
  std::unique_ptr<net::Listener> listener;
};

Doors::Doors(sys::World world) : world_(std::move(world)) {}
Doors::~Doors() = default;

Result<void> Doors::open(const std::string& role, const ListenConfig& listen) {
  auto door = std::make_unique<Door>();
  net::ListenerOptions options;
  options.name = role;
  options.host = listen.host;
  options.port = listen.port;
  if (role == "broker") {
    door->grpc = std::make_shared<net::GrpcService>();
    options.grpc = door->grpc;
    options.tls = net::TlsServerConfig{listen.certificate_file, listen.key_file};
  } else {
    options.http = door->http.handler();
    // PutEvents takes 1 MiB of entries, and JSON in JSON grows when it is escaped.
    if (role == "router") options.http_limits.body_bytes = 8u << 20;
  }
  auto started = net::Listener::start(world_, std::move(options));
  if (!started) return started.error().with_context("role " + role);
  door->listener = std::move(*started);
  addresses_[role] = fmt::format("{}:{}", listen.host, door->listener->port());
  doors_[role] = std::move(door);
  return ok();
}

void Doors::serve(const std::string& role, net::HttpHandler handler) { doors_.at(role)->http.set(std::move(handler)); }

net::GrpcService& Doors::grpc(const std::string& role) { return *doors_.at(role)->grpc; }

asio::awaitable<void> Doors::drain(const std::string& role, Monotonic deadline) {
  const auto door = doors_.find(role);
  if (door != doors_.end()) co_await door->second->listener->drain(deadline);
}

}  // namespace hf::app
