#pragma once

/// The client's end of one HTTP/2 connection: starts calls, decides how they ended. GrpcChannel (grpc_channel.cc) makes
/// one after the other; nobody else includes it.

#include <memory>
#include <optional>
#include <string>

#include "net/grpc.h"
#include "net/h2_session.h"

namespace hf::net {

/// One call on the client. Decided by the server's status, a reset, the deadline or the
/// connection.
struct ClientCall final : H2Stream {
  ClientCall(sys::Clock& clock, std::size_t message_limit) : H2Stream(clock, message_limit) {}

  bool sent = false;  ///< the request's headers went out: from here on the server may have seen it
  int http_status = 0;
  bool has_status = false;
  GrpcStatus status;             ///< the server's, or the one that says what happened instead
  std::optional<Error> failure;  ///< set when the call is decided and `status` is not OK
};
using ClientCallPtr = std::shared_ptr<ClientCall>;

class ClientSession final : public H2Session {
 public:
  ClientSession(std::unique_ptr<ByteStream> connection, const GrpcChannel::Options& options, sys::World world)
      : H2Session(std::move(connection), world, options_of(options)),
        options_(options),
        counters_(world.metrics, "holdfast_net_grpc_called_total", "gRPC calls made, by how they ended"),
        authority_(fmt::format("{}:{}", options.host, options.port)) {}

  /// Takes new calls: connected, not drained by the server, ids left.
  bool usable() const { return usable_; }
  bool was_healthy() const { return heard_anything(); }
  std::size_t open_calls() const { return streams().size(); }
  Result<ClientCallPtr> start(const std::string& path, const GrpcMetadata& metadata, Monotonic deadline);
  /// Ends the call here and tells the server.
  void give_up(ClientCall& call, GrpcStatus status);
  void close();

 private:
  static Options options_of(const GrpcChannel::Options& options);

  void on_header(H2Stream& stream, std::string_view name, std::string_view value) override;
  void on_headers_end(H2Stream& stream) override;
  void on_message(H2Stream& stream) override { stream.readable.notify_all(); }
  void on_bad_message(H2Stream& stream, GrpcStatus why) override;
  void on_compressed_message(H2Stream& stream) override;
  void on_remote_end(H2Stream& stream) override;
  void on_frame_sent(H2Stream& stream, const nghttp2_frame& frame) override;
  void on_control_frame(const nghttp2_frame& frame) override;
  void on_close(H2Stream& stream, std::optional<std::uint32_t> reset) override;
  void on_deadline(H2Stream& stream) override;
  Monotonic watch_peer(Monotonic now) override;
  void end(ClientCall& call, GrpcStatus status, std::optional<Error> failure);
  void retire();
  Error lost(const ClientCall& call, Code code_if_sent, std::string why) const;

  const GrpcChannel::Options options_;
  CallCounters counters_;
  const std::string authority_;
  bool usable_ = true;
  std::optional<Monotonic> pinged_at_;
};

}  // namespace hf::net
