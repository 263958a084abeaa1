/// Phone and notifier as one small process, for the official clients and for a person who only wants the sandbox:
///
///   hf_twilio_serve DATA_FOLDER PHONE_PORT NOTIFIER_PORT [FAULTS]      prints "ready" and runs until SIGTERM
///
/// FAULTS as `holdfast serve --fault` takes them: notifier.after_call=crash:1

#include <fmt/format.h>
#include <signal.h>

#include <charconv>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "net/listener.h"
#include "notifier/notifier.h"
#include "phone/phone.h"
#include "sys/loop.h"

namespace hf {
namespace {

std::uint16_t port_of(std::string_view text) {
  std::uint16_t port = 0;
  std::from_chars(text.data(), text.data() + text.size(), port);
  return port;
}

Result<std::unique_ptr<net::Listener>> listen(sys::World world, std::string name, std::uint16_t port,
                                              net::HttpHandler http) {
  net::ListenerOptions options;
  options.name = std::move(name);
  options.port = port;
  options.http = std::move(http);
  return net::Listener::start(world, std::move(options));
}

asio::awaitable<int> serve(sys::Loop& loop, std::string folder, std::uint16_t phone_port, std::uint16_t notifier_port,
                           sys::Event& end) {
  sys::World world = loop.world();
  auto phone_db = sql::open(world, "sqlite:phone.db", folder);
  auto notifier_db = sql::open(world, "sqlite:notifier.db", folder);
  if (!phone_db || !notifier_db) co_return 2;
  net::HttpClient client(world, {});
  const auto transport = [&client](net::HttpRequest request, std::string url, Monotonic deadline) {
    return client.send(std::move(request), std::move(url), deadline);
  };
  phone::PhoneConfig phone_config;
  notifier::NotifierConfig notifier_config;
  notifier_config.provider_url = fmt::format("http://127.0.0.1:{}", phone_port);
  notifier_config.callback_base_url = fmt::format("http://127.0.0.1:{}", notifier_port);
  auto phone = co_await phone::Phone::start(world, phone_config, **phone_db, transport);
  if (!phone) co_return 2;
  auto notifier = co_await notifier::Notifier::start(world, notifier_config, **notifier_db, transport);
  if (!notifier) co_return 2;
  const net::HttpHandler gateway = (*notifier)->http(), admin = (*notifier)->admin_http();
  const net::HttpHandler both = [gateway, admin](net::HttpRequest request) {
    const bool is_admin = request.path().starts_with("/admin/") || request.path() == "/notifications";
    return is_admin ? admin(std::move(request)) : gateway(std::move(request));
  };
  auto phone_listener = listen(world, "phone", phone_port, (*phone)->http());
  auto notifier_listener = listen(world, "notifier", notifier_port, both);
  if (!phone_listener || !notifier_listener) {
    log::error("serve.failed", {{"error", (!phone_listener ? phone_listener : notifier_listener).error().to_string()}});
    co_return 2;
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  co_await end.wait();
  co_await (*notifier_listener)->drain(world.clock.now() + 5s);
  co_await (*notifier)->stop();
  co_await (*phone)->stop();
  co_await (*phone_listener)->drain(world.clock.now() + 5s);
  co_await (*notifier_db)->close();
  co_await (*phone_db)->close();
  co_return 0;
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    fmt::print(stderr, "usage: {} DATA_FOLDER PHONE_PORT NOTIFIER_PORT [FAULTS]\n", argv[0]);
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::filesystem::create_directories(argv[1]);
  hf::log::set_level(hf::log::Level::warn);

  hf::sys::Loop loop;
  if (const auto armed = loop.world().faults.arm(argc == 5 ? argv[4] : ""); !armed) {
    fmt::print(stderr, "{}\n", armed.error().message);
    return 2;
  }
  hf::sys::Event end(loop.world().clock);
  std::thread waiter([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    hf::asio::post(loop.executor(), [&end] { end.notify_all(); });
  });
  waiter.detach();
  return loop.run_until_done(hf::serve(loop, argv[1], hf::port_of(argv[2]), hf::port_of(argv[3]), end));
}
