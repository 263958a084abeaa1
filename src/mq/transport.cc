#include "mq/transport.h"

#include "mq/grpc_service.h"
#include "wire/rocketmq/endpoints.h"

namespace hf::mq {
namespace {

class EmbeddedTransport final : public Transport {
 public:
  explicit EmbeddedTransport(wire::rocketmq::MessagingService& service) : service_(service) {
    access_point_.set_scheme(pb::DOMAIN_NAME);
    pb::Address& address = *access_point_.add_addresses();
    address.set_host("in-process");
    address.set_port(8081);
  }
  const pb::Endpoints& access_point() const override { return access_point_; }
  wire::rocketmq::MessagingService& service(const pb::Endpoints&) override { return service_; }

 private:
  wire::rocketmq::MessagingService& service_;
  pb::Endpoints access_point_;
};

/// One channel per address, made when it is first named and kept.
class GrpcTransport final : public Transport {
 public:
  GrpcTransport(sys::World world, net::GrpcChannel::Options options, pb::Endpoints access_point)
      : world_(world), options_(std::move(options)), access_point_(std::move(access_point)) {}
  const pb::Endpoints& access_point() const override { return access_point_; }
  wire::rocketmq::MessagingService& service(const pb::Endpoints& endpoints) override {
    // One address, and always the same: what Apache's proxy knows of a transaction, one of its processes knows alone.
    const pb::Address& address = endpoints.addresses(0);
    std::unique_ptr<GrpcService>& service = services_[wire::rocketmq::to_string(endpoints)];
    if (!service) {
      net::GrpcChannel::Options options = options_;
      options.host = address.host();
      options.port = static_cast<std::uint16_t>(address.port());
      service = std::make_unique<GrpcService>(world_, std::move(options));
    }
    return *service;
  }

 private:
  sys::World world_;
  const net::GrpcChannel::Options options_;
  const pb::Endpoints access_point_;
  std::map<std::string, std::unique_ptr<GrpcService>> services_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_transport(sys::World world, const ClientConfig& config,
                                                  wire::rocketmq::MessagingService* embedded) {
  constexpr std::string_view kPlain = "rocketmq://", kTls = "rocketmqs://";
  const std::string_view url = config.url;
  if (url == "embedded:") {
    if (embedded == nullptr) return Error{Code::invalid, "messages = \"embedded:\", but this process runs no broker"};
    return std::make_unique<EmbeddedTransport>(*embedded);
  }
  const bool tls = url.starts_with(kTls);
  if (!tls && !url.starts_with(kPlain))
    return Error{Code::invalid, "not a message URL: '" + config.url + "' (rocketmq://, rocketmqs:// or embedded:)"};
  std::string_view address = url.substr(tls ? kTls.size() : kPlain.size());
  if (address.ends_with('/')) address.remove_suffix(1);
  HF_TRY(pb::Endpoints access_point, wire::rocketmq::parse_endpoints(address));
  net::GrpcChannel::Options options;
  options.tls = tls;
  options.tls_config.ca_file = config.ca_file;
  options.tls_config.verify = config.verify;
  options.backoff_max = config.reconnect_max;  // a broker that is back is noticed as soon as Telemetry is tried again
  options.backoff_min = std::min(options.backoff_min, options.backoff_max);
  return std::make_unique<GrpcTransport>(world, std::move(options), std::move(access_point));
}

}  // namespace hf::mq
