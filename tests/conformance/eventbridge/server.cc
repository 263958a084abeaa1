/// usage: hf_eventbridge_server FOLDER [PORT]     prints "ADDRESS=http://127.0.0.1:PORT" and serves until it is killed.
/// The router, its database in FOLDER, the admin pages and a destination (POST /sink/…) on one port.

#include <cstdio>
#include <cstdlib>

#include "net/listener.h"
#include "router/router.h"
#include "sys/loop.h"

int main(int argc, char** argv) {
  using namespace hf;
  if (argc < 2) return std::fputs("usage: hf_eventbridge_server FOLDER [PORT]\n", stderr), 2;
  sys::Loop loop;
  auto database = sql::open(loop.world(), "sqlite:router.db", argv[1]);
  if (!database) return std::fprintf(stderr, "%s\n", database.error().to_string().c_str()), 1;
  router::Router router(loop.world(), {}, **database);
  if (const Result<void> started = loop.run_until_done(router.start()); !started) {
    return std::fprintf(stderr, "%s\n", started.error().to_string().c_str()), 1;
  }
  net::ListenerOptions options;
  options.name = "router";
  options.port = static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 0);
  options.http = [aws = router.aws_http(),
                  admin = router.admin_http()](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
    if (request.path().starts_with("/admin/")) return admin(std::move(request));
    if (!request.path().starts_with("/sink")) return aws(std::move(request));
    return [](net::HttpRequest taken) -> asio::awaitable<net::HttpResponse> {
      co_return net::HttpResponse::text(201, std::move(taken.body));
    }(std::move(request));
  };
  options.http_limits.body_bytes = 8 << 20;
  auto listener = net::Listener::start(loop.world(), std::move(options));
  if (!listener) return std::fprintf(stderr, "%s\n", listener.error().to_string().c_str()), 1;
  std::printf("ADDRESS=http://127.0.0.1:%u\n", static_cast<unsigned>((*listener)->port()));
  std::fflush(stdout);
  loop.run();
}
