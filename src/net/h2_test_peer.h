#pragma once

/// The other end of an HTTP/2 connection for tests: nghttp2 without any of our session code, and without any manners
/// that the test does not ask for.

#include <nghttp2/nghttp2.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/byte_stream.h"
#include "net/grpc_codec.h"
#include "sys/sim.h"
#include "sys/wait.h"

namespace hf::net::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

inline std::string framed(std::string_view body) {
  const MessagePrefix prefix = message_prefix(body.size());
  return std::string(prefix.data(), prefix.size()) + std::string(body);
}

class H2Peer {
 public:
  enum class Role { client, server };
  /// What was seen of one stream.
  struct Seen {
    std::map<std::string, std::string> headers;
    std::string body;
    bool ended = false;
    std::optional<std::uint32_t> closed;  ///< the error code
    std::size_t frames = 0;
    std::string at(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? "" : found->second;
    }
  };

  H2Peer(sys::SimWorld& world, std::unique_ptr<ByteStream> stream, Role role)
      : world_(world), stream_(std::move(stream)), wake_(world.clock()) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
          self(user).seen[frame->hd.stream_id].headers[text(name, name_size)] = text(value, value_size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size, void* user) {
          self(user).seen[id].body += text(data, size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          H2Peer& peer = self(user);
          if (frame->hd.type == NGHTTP2_GOAWAY) peer.goaways.push_back(frame->goaway.error_code);
          if (frame->hd.type == NGHTTP2_PING) ++((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 ? peer.pongs : peer.pings);
          if (frame->hd.stream_id == 0) return 0;
          Seen& seen = peer.seen[frame->hd.stream_id];
          ++seen.frames;
          if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) seen.ended = true;
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
          self(user).seen[id].closed = error;
          return 0;
        });
    const auto create = role == Role::client ? nghttp2_session_client_new2 : nghttp2_session_server_new2;
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_peer_max_concurrent_streams(option, 100'000);
    create(&h2_, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(h2_, NGHTTP2_FLAG_NONE, nullptr, 0);
    world_.spawn(read_loop());
    world_.spawn(write_loop());
  }
  ~H2Peer() {
    stopping_ = true;
    stream_->close();
    wake_.notify_all();
    world_.run_ready();
    nghttp2_session_del(h2_);
  }
  H2Peer(const H2Peer&) = delete;
  H2Peer& operator=(const H2Peer&) = delete;

  static Headers grpc_headers(std::string path) {
    return {{":method", "POST"},    {":scheme", "http"}, {":path", std::move(path)},
            {":authority", "test"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
  }

  /// Starts a stream. `body` goes out as it is; `end`: with END_STREAM behind it.
  std::int32_t request(const Headers& headers, std::string body, bool end = true) {
    auto data = std::make_unique<Out>(Out{std::move(body), end});
    nghttp2_data_provider provider{};
    provider.source.ptr = data.get();
    provider.read_callback = read_out;
    const std::vector<nghttp2_nv> fields = fields_of(headers);
    const std::int32_t id = nghttp2_submit_request(h2_, nullptr, fields.data(), fields.size(), &provider, nullptr);
    out_[id] = std::move(data);
    return sent(id);
  }
  std::int32_t call(const std::string& path, std::string_view message) {
    return request(grpc_headers(path), framed(message));
  }
  /// More of the body of `id`.
  void more(std::int32_t id, std::string_view bytes, bool end) {
    out_[id]->bytes += bytes;
    out_[id]->end = end;
    nghttp2_session_resume_data(h2_, id);
    sent(id);
  }
  /// Server role: an answer; `trailers` end it.
  void respond(std::int32_t id, const Headers& headers, std::string body, const Headers& trailers) {
    auto data = std::make_unique<Out>(Out{std::move(body), true, trailers});
    nghttp2_data_provider provider{};
    provider.source.ptr = data.get();
    provider.read_callback = read_out;
    const std::vector<nghttp2_nv> fields = fields_of(headers);
    nghttp2_submit_response(h2_, id, fields.data(), fields.size(), &provider);
    out_[id] = std::move(data);
    sent(id);
  }
  void respond_trailers_only(std::int32_t id, const Headers& headers) {
    const std::vector<nghttp2_nv> fields = fields_of(headers);
    nghttp2_submit_response(h2_, id, fields.data(), fields.size(), nullptr);
    sent(id);
  }
  void reset(std::int32_t id, std::uint32_t error = NGHTTP2_CANCEL) {
    nghttp2_submit_rst_stream(h2_, NGHTTP2_FLAG_NONE, id, error);
    sent(id);
  }
  void goaway(std::int32_t last_id) {
    nghttp2_submit_goaway(h2_, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR, nullptr, 0);
    sent(0);
  }
  void ping() {
    nghttp2_submit_ping(h2_, NGHTTP2_FLAG_NONE, nullptr);
    sent(0);
  }
  /// Past nghttp2: whatever bytes.
  void raw(std::string bytes) {
    raw_ += bytes;
    sent(0);
  }
  void close() { stream_->close(); }
  /// Bytes of `id` that flow control keeps back here.
  std::size_t unsent(std::int32_t id) const { return out_.at(id)->bytes.size(); }
  bool ended() const { return ended_; }

  std::map<std::int32_t, Seen> seen;
  std::vector<std::uint32_t> goaways;
  int pings = 0, pongs = 0;
  bool deaf = false;  ///< reads nothing any more

 private:
  struct Out {
    std::string bytes;
    bool end;
    Headers trailers = {};
  };
  static H2Peer& self(void* user) { return *static_cast<H2Peer*>(user); }
  static std::string text(const std::uint8_t* at, std::size_t n) { return {reinterpret_cast<const char*>(at), n}; }
  static std::vector<nghttp2_nv> fields_of(const Headers& headers) {
    std::vector<nghttp2_nv> fields;
    for (const auto& [name, value] : headers) {
      fields.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NONE});
    }
    return fields;
  }
  static ssize_t read_out(nghttp2_session* h2, std::int32_t id, std::uint8_t* to, std::size_t room,
                          std::uint32_t* flags, nghttp2_data_source* source, void*) {
    Out& out = *static_cast<Out*>(source->ptr);
    const std::size_t n = std::min(room, out.bytes.size());
    if (n == 0 && !out.end) return NGHTTP2_ERR_DEFERRED;
    out.bytes.copy(reinterpret_cast<char*>(to), n);
    out.bytes.erase(0, n);
    if (out.bytes.empty() && out.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!out.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::vector<nghttp2_nv> fields = fields_of(out.trailers);
        nghttp2_submit_trailer(h2, id, fields.data(), fields.size());
      }
    }
    return static_cast<ssize_t>(n);
  }
  std::int32_t sent(std::int32_t id) {
    wake_.notify_all();
    return id;
  }

  asio::awaitable<void> read_loop() {
    std::vector<std::uint8_t> buffer(16 << 10);
    while (!stopping_) {
      if (deaf) co_return;
      const Result<std::size_t> n = co_await stream_->read_some(buffer);
      if (stopping_ || !n || *n == 0) break;
      if (nghttp2_session_mem_recv(h2_, buffer.data(), *n) < 0) break;
      wake_.notify_all();
    }
    ended_ = true;
  }
  asio::awaitable<void> write_loop() {
    while (!stopping_) {
      std::string batch = std::exchange(raw_, {});
      const std::uint8_t* chunk = nullptr;
      for (ssize_t n = 1; n > 0;) {
        n = nghttp2_session_mem_send(h2_, &chunk);
        if (n > 0) batch += text(chunk, static_cast<std::size_t>(n));
      }
      if (batch.empty()) {
        co_await wake_.wait();
      } else if (!co_await stream_->write_all(as_bytes(batch))) {
        co_return;
      }
    }
  }

  sys::SimWorld& world_;
  std::unique_ptr<ByteStream> stream_;
  nghttp2_session* h2_ = nullptr;
  sys::Event wake_;
  std::map<std::int32_t, std::unique_ptr<Out>> out_;
  std::string raw_;
  bool stopping_ = false;
  bool ended_ = false;
};

/// What a well-behaved client would send for one call to each of `paths`.
inline std::string client_bytes(const std::vector<std::string>& paths) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session* h2 = nullptr;
  nghttp2_session_client_new(&h2, callbacks, nullptr);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, nullptr, 0);
  std::string body = framed("a message");
  nghttp2_data_provider provider{};
  provider.source.ptr = &body;
  provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t, std::uint32_t* flags,
                              nghttp2_data_source* source, void*) {
    const std::string& from = *static_cast<std::string*>(source->ptr);
    from.copy(reinterpret_cast<char*>(to), from.size());
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(from.size());
  };
  for (const std::string& path : paths) {
    const Headers headers = H2Peer::grpc_headers(path);
    std::vector<nghttp2_nv> fields;
    for (const auto& [name, value] : headers) {
      fields.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NONE});
    }
    nghttp2_submit_request(h2, nullptr, fields.data(), fields.size(), &provider, nullptr);
  }
  std::string bytes;
  const std::uint8_t* chunk = nullptr;
  for (ssize_t n = 1; n > 0;) {
    n = nghttp2_session_mem_send(h2, &chunk);
    if (n > 0) bytes.append(reinterpret_cast<const char*>(chunk), static_cast<std::size_t>(n));
  }
  nghttp2_session_del(h2);
  return bytes;
}

}  // namespace hf::net::test
