#include "net/transport.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <utility>

#include "net/text.h"
#include "sys/wait.h"

namespace hf::net {

namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

std::string format_endpoint(const tcp::endpoint& endpoint) {
  return bracketed(endpoint.address().to_string()) + ":" + std::to_string(endpoint.port());
}

Error unavailable(std::string_view what, const error_code& ec) {
  return Error{Code::unavailable, std::string(what) + ": " + ec.message()};
}

class TcpStream final : public ByteStream {
 public:
  explicit TcpStream(tcp::socket socket) : socket_(std::move(socket)) {
    error_code ignored;  // a connection that is already gone again has no addresses; its first read says so
    socket_.set_option(tcp::no_delay(true), ignored);
    local_ = format_endpoint(socket_.local_endpoint(ignored));
    peer_ = format_endpoint(socket_.remote_endpoint(ignored));
  }

  Task<std::size_t> read_some(MutableBytes into) override {
    const auto [ec, n] = co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), kAwait);
    if (ec == asio::error::eof) co_return std::size_t{0};
    if (ec) co_return unavailable("read", ec);
    co_return n;
  }

  Task<> write_all(Bytes bytes) override {
    const auto [ec, n] = co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), kAwait);
    if (ec) co_return unavailable("write", ec);
    co_return ok();
  }

  std::optional<Result<std::size_t>> try_read(MutableBytes into) override {
    if (!socket_.is_open()) return unavailable("read", asio::error::bad_descriptor);
    for (;;) {
      const ssize_t n = ::recv(socket_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
      if (errno != EINTR) return unavailable("read", error_code(errno, boost::system::system_category()));
    }
  }

  Task<> finish_writing() override {
    error_code ec;
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    if (ec) co_return unavailable("shutdown", ec);
    co_return ok();
  }

  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }

  const std::string& peer() const override { return peer_; }
  const std::string& local() const override { return local_; }
  bool secure() const override { return false; }
  const std::string& alpn() const override { return alpn_; }

 private:
  tcp::socket socket_;
  std::string peer_, local_, alpn_;
};

/// A name being looked up. Shared with the resolver, whose thread cannot be interrupted: who gives up waiting leaves
/// it.
struct Lookup {
  Lookup(sys::World& world) : resolver(world.executor), done(world.clock) {}
  tcp::resolver resolver;
  sys::Event done;
  bool finished = false;
  error_code ec;
  tcp::resolver::results_type found;
};

using Endpoints = std::vector<tcp::endpoint>;

Task<Endpoints> resolve(sys::World world, std::string host, std::uint16_t port, Monotonic deadline) {
  error_code not_an_address;
  const asio::ip::address address = asio::ip::make_address(host, not_an_address);
  if (!not_an_address) co_return Endpoints{tcp::endpoint(address, port)};
  auto lookup = std::make_shared<Lookup>(world);
  lookup->resolver.async_resolve(host, std::to_string(port), [lookup](error_code ec, auto found) {
    lookup->ec = ec;
    lookup->found = std::move(found);
    lookup->finished = true;
    lookup->done.notify_all();
  });
  while (!lookup->finished) {
    if (!co_await lookup->done.wait_until(deadline))
      co_return Error{Code::unavailable, host + ": name look-up took too long"};
  }
  if (lookup->ec) co_return unavailable(host, lookup->ec);
  Endpoints endpoints;
  for (const auto& entry : lookup->found) endpoints.push_back(entry.endpoint());
  co_return endpoints;
}

class TcpAcceptor final : public Acceptor {
 public:
  explicit TcpAcceptor(tcp::acceptor acceptor) : acceptor_(std::move(acceptor)) {}

  std::uint16_t port() const override { return port_; }

  Task<std::unique_ptr<ByteStream>> accept() override {
    auto [ec, socket] = co_await acceptor_.async_accept(kAwait);
    if (!ec) co_return std::make_unique<TcpStream>(std::move(socket));
    if (!acceptor_.is_open() || ec == asio::error::operation_aborted) co_return unavailable("accept", ec);
    co_return Error{Code::exhausted, "accept: " + ec.message()};
  }

  void close() override {
    error_code ignored;
    acceptor_.close(ignored);
  }

  void remember_port() {
    error_code ignored;
    port_ = acceptor_.local_endpoint(ignored).port();
  }

 private:
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
};

Error cannot_listen(const std::string& host, std::uint16_t port, const error_code& ec) {
  const std::string where = "cannot listen on " + bracketed(host) + ":" + std::to_string(port) + ": ";
  if (ec == asio::error::address_in_use) return Error{Code::conflict, where + "the port is taken by another process"};
  if (ec == asio::error::access_denied) return Error{Code::denied, where + ec.message()};
  return Error{Code::invalid, where + ec.message()};
}

}  // namespace

Task<std::unique_ptr<ByteStream>> connect_tcp(sys::World world, std::string host, std::uint16_t port,
                                              Monotonic deadline) {
  HF_CO_TRY(const Endpoints endpoints, co_await resolve(world, host, port, deadline));
  error_code last = asio::error::host_not_found;
  for (const tcp::endpoint& endpoint : endpoints) {
    if (world.clock.now() >= deadline) break;
    tcp::socket socket(world.executor);
    const auto give_up = world.clock.call_at(world.executor, deadline, [&socket] {
      error_code ignored;
      socket.close(ignored);
    });
    const auto [ec] = co_await socket.async_connect(endpoint, kAwait);
    if (!ec && socket.is_open()) co_return std::make_unique<TcpStream>(std::move(socket));
    last = ec ? ec : error_code(asio::error::timed_out);
  }
  co_return unavailable("connect to " + bracketed(host) + ":" + std::to_string(port), last);
}

Result<std::unique_ptr<Acceptor>> Acceptor::open(sys::World world, const std::string& host, std::uint16_t port) {
  error_code ec;
  const asio::ip::address address = asio::ip::make_address(host, ec);
  if (ec) return Error{Code::invalid, "cannot listen on '" + host + "': not an IP address"};
  const tcp::endpoint endpoint(address, port);
  tcp::acceptor acceptor(world.executor);
  // Linux: a port in TIME_WAIT may be bound again at once; one that somebody listens on may not.
  const auto step = [&](auto&& call) {
    if (!ec) call();
  };
  step([&] { acceptor.open(endpoint.protocol(), ec); });
  step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), ec); });
  step([&] { acceptor.bind(endpoint, ec); });
  step([&] { acceptor.listen(tcp::acceptor::max_listen_connections, ec); });
  if (ec) return cannot_listen(host, port, ec);
  auto opened = std::make_unique<TcpAcceptor>(std::move(acceptor));
  opened->remember_port();
  return opened;
}

}  // namespace hf::net
