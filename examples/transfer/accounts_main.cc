/// A bank that takes part in transfers: examples/transfer/README.md.

#include <fmt/format.h>

#include "accounts.h"

int main(int argc, char** argv) {
  using namespace transfer;
  const auto options = Options::parse(argc, argv,
                                      {"--name", "--port", "--data", "--database", "--coordinator", "--secret-file",
                                       "--ask-after-ms", "--account", "--ready-file"});
  if (!options) return fmt::print(stderr, "{}\n", options.error().message), 2;
  hf::sys::Loop loop;
  auto database =
      hf::sql::open(loop.world(), options->get("--database", "sqlite:accounts.db"), options->get("--data", "."));
  if (!database) return fmt::print(stderr, "{}\n", database.error().to_string()), 1;
  hf::net::HttpClient client(loop.world(), {});
  std::unique_ptr<Accounts> accounts;
  Start start = [&](std::string base_url) -> Task<hf::net::HttpHandler> {
    HF_CO_TRY(auto link, link_config(*options, std::move(base_url)));
    accounts = std::make_unique<Accounts>(loop.world(), std::move(link), **database, sender(client));
    std::vector<std::string> openings = options->all("--account");
    HF_CO_TRY(co_await accounts->start(std::move(openings)));
    co_return accounts->handler();
  };
  return serve(loop, *options, std::move(start));
}
