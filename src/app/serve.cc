#include "app/serve.h"

#include <fmt/format.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>

#include "app/cli.h"
#include "app/server.h"
#include "app/version.h"
#include "base/log.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::app {
namespace {

log::Level level_of(const std::string& name) {
  return name == "debug"  ? log::Level::debug
         : name == "info" ? log::Level::info
         : name == "warn" ? log::Level::warn
                          : log::Level::error;
}

int refuse(const Error& error) {
  std::fprintf(stderr, "holdfast: %s\n", error.message.c_str());
  return kExitNotDone;
}

Result<void> write_ready_file(sys::World& world, const Server& server, const std::string& path) {
  std::string lines;
  for (const auto& [role, address] : server.addresses()) lines += fmt::format("{} {}\n", role, address);
  return sys::replace_file(world.files, path, lines);
}

/// Until a signal or the failure of a role. The second signal ends the process at once, by its default action.
asio::awaitable<void> wait_for_end(sys::Event& end, asio::signal_set& signals) {
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) end.notify_all();
  });
  co_await end.wait();
  signals.cancel();
  signals.clear();
}

asio::awaitable<int> serve(sys::World world, Config config, ServeOptions options) {
  asio::signal_set signals(world.executor, SIGTERM, SIGINT);
  sys::Event end(world.clock);
  std::optional<Error> failure;
  const Monotonic started_at = world.clock.now();
  Server server(world, std::move(config));
  server.on_failed([&](const Error& error) {
    failure = error;
    end.notify_all();
  });
  Result<void> started = co_await server.start();
  if (started && !options.ready_file.empty()) started = write_ready_file(world, server, options.ready_file);
  if (started) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(world.clock.now() - started_at);
    for (const auto& [role, address] : server.addresses())
      log::info("app.role.listening", {{"role", role}, {"address", address}});
    log::info("app.started", {{"version", version()}, {"ms", static_cast<double>(took.count()) / 1000.0}});
    if (!failure) co_await wait_for_end(end, signals);
    log::info("app.stopping");
  }
  co_await server.stop();
  log::info("app.stopped");
  if (!started) co_return refuse(started.error());
  co_return failure ? refuse(*failure) : kExitYes;
}

}  // namespace

int serve_command(const ConfigSources& sources, const ServeOptions& options) {
  Result<Config> config = load_configuration(sources);
  if (!config) return refuse(config.error());
  log::set_level(level_of(config->log_level));
  sys::Loop loop;
  if (auto armed = loop.world().faults.arm(options.faults); !armed) return refuse(armed.error());
  const int code = loop.run_until_done(serve(loop.world(), std::move(*config), options));
  loop.drain(1s);
  return code;
}

}  // namespace hf::app
