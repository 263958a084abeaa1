#include "notifier/notifier.h"

#include <algorithm>

#include "notifier/admin_edge.h"
#include "notifier/callback_edge.h"
#include "notifier/twilio_edge.h"
#include "wire/twilio/sid.h"

namespace hf::notifier {
namespace {

class NotifierImpl final : public Notifier {
 public:
  NotifierImpl(sys::World world, NotifierConfig config, sql::Database& database, Transport transport)
      : config_(std::move(config)),
        store_(database, config_),
        dispatcher_(world, config_, store_, std::move(transport)),
        twilio_(world, config_, store_, dispatcher_),
        callbacks_(world, config_, store_, dispatcher_),
        admin_(store_, dispatcher_) {}

  Task<> open() {
    HF_CO_TRY(co_await store_.migrate());
    co_return co_await dispatcher_.resume();
  }
  net::HttpHandler http() override {
    return [this](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
      const bool callback = request.path().starts_with("/hooks/twilio/");
      return callback ? callbacks_.handle(std::move(request)) : twilio_.handle(std::move(request));
    };
  }
  net::HttpHandler admin_http() override {
    return [this](net::HttpRequest request) { return admin_.handle(std::move(request)); };
  }
  asio::awaitable<void> stop() override { co_await dispatcher_.stop(); }

 private:
  const NotifierConfig config_;
  Store store_;
  Dispatcher dispatcher_;
  TwilioEdge twilio_;
  CallbackEdge callbacks_;
  AdminEdge admin_;
};

bool is_loopback(std::string_view host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }

}  // namespace

Result<void> check(const NotifierConfig& config, std::string_view host) {
  if (!wire::twilio::is_sid(wire::twilio::kAccountPrefix, config.account_sid)) {
    return Error{Code::invalid, "notifier.account_sid is not AC and 32 hexadecimal digits"};
  }
  if (config.auth_token.empty()) return Error{Code::invalid, "notifier.auth_token is empty"};
  if (!is_loopback(host) && config.auth_token == NotifierConfig{}.auth_token) {
    return Error{Code::invalid,
                 "notifier listens beyond loopback with the published sandbox token: set notifier.auth_token_file"};
  }
  if (!net::parse_url(config.provider_url) || config.provider_url.ends_with('/')) {
    return Error{Code::invalid, "notifier.provider_url is a URL without a slash at its end"};
  }
  const bool callbacks = !config.callback_base_url.empty();
  if (callbacks && (!net::parse_url(config.callback_base_url) || config.callback_base_url.ends_with('/'))) {
    return Error{Code::invalid, "notifier.callback_base_url is a URL without a slash at its end, or empty"};
  }
  if (config.looks.empty() || !std::ranges::is_sorted(config.looks)) {
    return Error{Code::invalid, "notifier.looks is a rising list of at least one duration"};
  }
  return ok();
}

Task<std::unique_ptr<Notifier>> Notifier::start(sys::World world, NotifierConfig config, sql::Database& database,
                                                Transport transport) {
  auto notifier = std::make_unique<NotifierImpl>(world, std::move(config), database, std::move(transport));
  HF_CO_TRY(co_await notifier->open());
  co_return std::unique_ptr<Notifier>(std::move(notifier));
}

}  // namespace hf::notifier
