/// The desk that orders transfers: examples/transfer/README.md.

#include <fmt/format.h>

#include "desk.h"
#include "mq/client.h"

int main(int argc, char** argv) {
  using namespace transfer;
  const auto options = Options::parse(argc, argv,
                                      {"--name", "--port", "--data", "--database", "--coordinator", "--secret-file",
                                       "--ask-after-ms", "--bank", "--messages", "--ready-file"});
  if (!options) return fmt::print(stderr, "{}\n", options.error().message), 2;
  Desk::Banks banks;
  for (const std::string& bank : options->all("--bank")) {
    const std::size_t equals = bank.find('=');
    if (equals == std::string::npos) return fmt::print(stderr, "--bank=name=url\n"), 2;
    banks[bank.substr(0, equals)] = bank.substr(equals + 1);
  }
  hf::sys::Loop loop;
  auto database =
      hf::sql::open(loop.world(), options->get("--database", "sqlite:desk.db"), options->get("--data", "."));
  if (!database) return fmt::print(stderr, "{}\n", database.error().to_string()), 1;
  hf::mq::ClientConfig messages;
  messages.url = options->get("--messages", "rocketmq://127.0.0.1:8081");
  auto broker = hf::mq::Client::make(loop.world(), std::move(messages));
  if (!broker) return fmt::print(stderr, "{}\n", broker.error().message), 2;
  const auto producer = (*broker)->producer({.topics = {"bank-transfers"}});
  hf::participant::OutboxConfig outbox_config;
  outbox_config.name = "desk";
  hf::participant::Outbox outbox(
      loop.world(), **database, outbox_config,
      [&producer](std::vector<hf::mq::Message> all) { return producer->send_batch(std::move(all)); });
  hf::net::HttpClient client(loop.world(), {});
  std::unique_ptr<Desk> desk;
  Start start = [&](std::string base_url) -> Task<hf::net::HttpHandler> {
    HF_CO_TRY(auto link, link_config(*options, std::move(base_url)));
    desk = std::make_unique<Desk>(loop.world(), std::move(link), banks, **database, outbox, sender(client));
    HF_CO_TRY(co_await desk->start());
    co_return desk->handler();
  };
  return serve(loop, *options, std::move(start));
}
