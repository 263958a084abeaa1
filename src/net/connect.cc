#include "net/connect.h"

#include "net/listener.h"
#include "net/text.h"

namespace hf::net {

Task<std::unique_ptr<ByteStream>> open_connection(sys::World world, std::string host, std::uint16_t port,
                                                  std::shared_ptr<const TlsContext> tls, std::string alpn,
                                                  Monotonic deadline) {
  HF_CO_TRY(std::unique_ptr<ByteStream> tcp, co_await connect_tcp(world, host, port, deadline));
  if (!tls) co_return tcp;
  std::unique_ptr<TlsStream> secure = make_tls_client(std::move(tls), std::move(tcp), host, alpn, world.clock);
  bool late = false;
  const auto give_up = world.clock.call_at(world.executor, deadline, [&late, &stream = *secure] {
    late = true;
    stream.close();
  });
  const Result<void> done = co_await secure->handshake();
  const std::string where = bracketed(host) + ":" + std::to_string(port);
  if (late) co_return Error{Code::unavailable, where + ": the TLS handshake took too long"};
  if (!done) co_return Error{Code::unavailable, where + ": " + done.error().message};
  co_return secure;
}

Task<std::unique_ptr<ByteStream>> connect(sys::World world, std::string host, std::uint16_t port,
                                          std::optional<TlsClientConfig> tls, std::string alpn, Monotonic deadline) {
  std::shared_ptr<const TlsContext> context;
  if (tls) {
    HF_CO_TRY(context, TlsContext::client(*tls));
  }
  co_return co_await open_connection(std::move(world), std::move(host), port, std::move(context), std::move(alpn),
                                     deadline);
}

}  // namespace hf::net
