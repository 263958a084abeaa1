#include "phone/phone.h"

#include "phone/control_edge.h"
#include "phone/twilio_edge.h"
#include "wire/twilio/sid.h"

namespace hf::phone {
namespace {

class PhoneImpl final : public Phone {
 public:
  PhoneImpl(sys::World world, PhoneConfig config, sql::Database& database, Transport transport)
      : config_(std::move(config)),
        store_(database),
        lives_(world, config_, store_, faults_, std::move(transport)),
        twilio_(world, config_, store_, faults_, lives_),
        control_(config_, store_, faults_) {}

  Task<> open() {
    HF_CO_TRY(co_await store_.migrate());
    co_return co_await lives_.resume();
  }

  net::HttpHandler http() override {
    return [this](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
      const bool control = request.path().starts_with("/control/");
      return control ? control_.handle(std::move(request)) : twilio_.handle(std::move(request));
    };
  }

  asio::awaitable<void> stop() override {
    twilio_.stop();
    co_await lives_.stop();
  }

 private:
  const PhoneConfig config_;
  FaultSwitches faults_;
  Store store_;
  Lives lives_;
  TwilioEdge twilio_;
  ControlEdge control_;
};

bool is_loopback(std::string_view host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }

}  // namespace

Result<void> check(const PhoneConfig& config, std::string_view host) {
  if (!wire::twilio::is_sid(wire::twilio::kAccountPrefix, config.account_sid)) {
    return Error{Code::invalid, "phone.account_sid is not AC and 32 hexadecimal digits"};
  }
  if (config.auth_token.empty()) return Error{Code::invalid, "phone.auth_token is empty"};
  if (!is_loopback(host) && config.auth_token == kSandboxToken) {
    return Error{Code::invalid,
                 "phone listens beyond loopback with the published sandbox token: set phone.auth_token_file"};
  }
  return ok();
}

Task<std::unique_ptr<Phone>> Phone::start(sys::World world, PhoneConfig config, sql::Database& database,
                                          Transport transport) {
  auto phone = std::make_unique<PhoneImpl>(world, std::move(config), database, std::move(transport));
  HF_CO_TRY(co_await phone->open());
  co_return std::unique_ptr<Phone>(std::move(phone));
}

}  // namespace hf::phone
