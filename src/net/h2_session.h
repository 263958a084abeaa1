#pragma once

/// One HTTP/2 connection that carries gRPC calls: framing by nghttp2, bytes by a ByteStream. Shared by grpc_server.cc
/// and grpc_client.cc; nobody else includes it.
///
///   read loop   read_some ─▶ nghttp2_session_mem_recv ─▶ hooks ─▶ after_receive(): calls are started
///   write loop  nghttp2_session_mem_send ─▶ one buffer ─▶ write_all. Everything that was submitted meanwhile goes out
///   in
///               one write; a response body is copied once, from the message into that buffer (send_data callback)
///   timer       one per connection: deadlines of its calls, keep-alive, idle, forced close. Armed for the earliest
///
/// Back-pressure on what comes in. Credit (WINDOW_UPDATE) is given back by us, not by nghttp2. Bytes of a message that
/// is not whole yet never hold credit back, else many half messages could fill the window and wait for each other. A
/// whole message does, until its reader took it (streams) or its handler is done (unary). What is claimed by half
/// messages together is bounded by `assembling_bytes`. So a connection keeps at most about that plus its window in
/// memory.

#include <nghttp2/nghttp2.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/grpc_codec.h"
#include "net/h2_stream.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::net {

/// Counts calls by outcome.
class CallCounters {
 public:
  CallCounters(metrics::Registry& registry, std::string name, std::string help)
      : registry_(registry), name_(std::move(name)), help_(std::move(help)) {}
  void count(GrpcCode code);

 private:
  metrics::Registry& registry_;
  const std::string name_, help_;
  std::array<metrics::Counter*, 17> counters_{};
};

class H2Session : public std::enable_shared_from_this<H2Session> {
 public:
  enum class Side { server, client };
  struct Options {
    Side side = Side::server;
    std::uint32_t streams = 1024;
    std::uint32_t stream_window = 1 << 20;
    std::uint32_t connection_window = 16 << 20;
    std::size_t header_list_bytes = 16 << 10;
    std::size_t assembling_bytes = 0;
    std::size_t resets_per_second = 200;  ///< nghttp2's own guard is set beyond it
  };
  H2Session(std::unique_ptr<ByteStream> connection, sys::World world, Options options);
  virtual ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  /// Until the connection has ended; every stream is closed then.
  asio::awaitable<void> run(std::string first);
  /// GOAWAY and, when what is queued went out (or after a moment), the end.
  void terminate(std::uint32_t http2_error);
  /// Closes without a word.
  void close_connection();

  /// Queues a message; nothing waits.
  void send(H2Stream& stream, std::string message);
  void end_sending(H2Stream& stream);
  /// Queues a message and waits while too much of this stream is unsent. Error: unavailable once the stream is closed.
  Task<> write(H2StreamPtr stream, std::string message);
  void reset(H2Stream& stream, std::uint32_t http2_error);
  /// The first whole message, whose bytes stop counting now.
  std::string take(H2Stream& stream);
  /// `bytes` of whole messages are done with; the sender may send as much again.
  void release(H2Stream& stream, std::size_t bytes);

  const ByteStream& connection() const { return *connection_; }

 protected:
  // Called from inside nghttp2: they may submit, but start no foreign code and call no mem_send or mem_recv.
  virtual H2StreamPtr accept_stream() { return nullptr; }  ///< a request begins; null: refused
  virtual void on_header(H2Stream& stream, std::string_view name, std::string_view value) = 0;
  virtual void on_headers_end(H2Stream& stream) = 0;
  virtual void on_message(H2Stream& stream) = 0;
  virtual void on_bad_message(H2Stream& stream, GrpcStatus why) = 0;
  virtual void on_compressed_message(H2Stream& stream) = 0;
  virtual void on_remote_end(H2Stream& stream) = 0;
  virtual void on_frame_sent(H2Stream&, const nghttp2_frame&) {}
  virtual void on_control_frame(const nghttp2_frame&) {}
  /// Everything was sent and sending has ended: the server's trailers. False: END_STREAM on the data.
  virtual bool submit_trailers(H2Stream&) { return false; }
  /// `reset`: why; nullopt: the connection is gone. The stream is off the list.
  virtual void on_close(H2Stream& stream, std::optional<std::uint32_t> reset) = 0;
  virtual void on_deadline(H2Stream& stream) = 0;

  /// After each received batch, outside of nghttp2.
  virtual void after_receive() {}
  /// Keep-alive and idle rules; when to look again.
  virtual Monotonic watch_peer(Monotonic now) = 0;

  void add_stream(const H2StreamPtr& stream, std::int32_t id);
  void ping();
  /// Whatever was submitted goes out soon.
  void wake_writer() { writer_.notify_all(); }
  void arm(Monotonic at);
  void watch_deadline(const H2Stream& stream) { arm(stream.deadline); }

  nghttp2_session* h2() { return h2_; }
  sys::World& world() { return world_; }
  Monotonic now() const { return now_; }  ///< when the last batch came
  Monotonic last_heard() const { return last_heard_; }
  bool heard_anything() const { return frames_ > 0; }
  const std::vector<H2StreamPtr>& streams() const { return streams_; }
  nghttp2_data_provider data_of(H2Stream& stream);
  bool ended() const { return ended_; }

 private:
  struct Callbacks;
  asio::awaitable<void> read_loop(std::string first);
  asio::awaitable<void> write_loop();
  bool receive(Bytes bytes);
  void collect_output();
  void on_timer();
  void on_data(H2Stream& stream, Bytes bytes);
  bool may_begin_message(H2Stream& stream);
  void settle(H2Stream& stream);
  void drop_stream(H2Stream& stream, std::optional<std::uint32_t> reset);
  void resume(H2Stream& stream);
  void tear_down();

  std::unique_ptr<ByteStream> connection_;
  sys::World world_;
  const Options options_;
  nghttp2_session* h2_ = nullptr;

  std::vector<H2StreamPtr> streams_;
  std::size_t received_ = 0, held_ = 0, assembling_ = 0;  ///< sums over the connection, as in H2Stream

  std::string out_;
  sys::Event writer_;
  bool read_ended_ = false;
  bool broken_ = false;  ///< nghttp2 gave up
  bool ended_ = false;

  Monotonic now_, last_heard_;
  std::uint64_t frames_ = 0;
  Monotonic armed_ = Monotonic::max();
  Monotonic linger_until_ = Monotonic::max();
  std::unique_ptr<sys::Timer> timer_;
};

}  // namespace hf::net
