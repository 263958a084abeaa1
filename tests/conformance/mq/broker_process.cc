// Our broker as a process of its own, to be killed by tests: hf_broker_process DIR PORT. Prints "ready PORT" when it
// serves TLS and plaintext on 127.0.0.1; SIGKILL is how it ends.

#include <cstdlib>
#include <iostream>

#include "broker/broker.h"
#include "broker/grpc_binding.h"
#include "net/listener.h"
#include "sys/loop.h"

int main(int argc, char** argv) {
  using namespace hf;
  if (argc != 3) {
    std::cerr << "usage: hf_broker_process DIR PORT\n";
    return 2;
  }
  sys::Loop loop;
  auto broker = broker::Broker::open(loop.world(), broker::BrokerConfig{}, argv[1]);
  if (!broker) {
    std::cerr << broker.error().to_string() << "\n";
    return 1;
  }
  auto grpc = std::make_shared<net::GrpcService>();
  broker::register_messaging_service(*grpc, (*broker)->service(), loop.world());
  net::ListenerOptions options;
  options.name = "broker";
  options.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  options.grpc = grpc;
  options.tls = net::TlsServerConfig{};
  auto listener = net::Listener::start(loop.world(), std::move(options));
  if (!listener) {
    std::cerr << listener.error().to_string() << "\n";
    return 1;
  }
  std::cout << "ready " << (*listener)->port() << std::endl;
  loop.run();
  return 0;
}
