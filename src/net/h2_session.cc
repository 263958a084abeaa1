#include "net/h2_session.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "base/log.h"

namespace hf::net {
namespace {

constexpr std::size_t kReadBuffer = 64 << 10;
/// Output is gathered up to this before it is written: enough to amortise a write, small enough to stay in the cache.
constexpr std::size_t kWriteBatch = 256 << 10;
/// A stream's writer waits beyond this.
constexpr std::size_t kUnsentMax = 256 << 10;
/// Deadlines that are closer than this share a turn of the timer.
constexpr Duration kTimerGrain = 5ms;
/// How long a last GOAWAY may take to leave.
constexpr Duration kLinger = 2s;

}  // namespace

/// What nghttp2 calls. Each finds its session and stream again and says so to a member.
struct H2Session::Callbacks {
  static H2Session& self(void* user) { return *static_cast<H2Session*>(user); }
  static H2Stream* stream_of(nghttp2_session* h2, std::int32_t id) {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(h2, id));
  }
  static std::string_view text(const std::uint8_t* at, std::size_t n) { return {reinterpret_cast<const char*>(at), n}; }

  static int begin_headers(nghttp2_session* h2, const nghttp2_frame* frame, void* user) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    const H2StreamPtr stream = self(user).accept_stream();
    if (!stream) {
      nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
      return 0;
    }
    nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, stream.get());
    self(user).add_stream(stream, frame->hd.stream_id);
    return 0;
  }

  static int header(nghttp2_session* h2, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    if (H2Stream* stream = stream_of(h2, frame->hd.stream_id)) {
      self(user).on_header(*stream, text(name, name_size), text(value, value_size));
    }
    return 0;
  }

  static int data_chunk(nghttp2_session* h2, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                        void* user) {
    if (H2Stream* stream = stream_of(h2, id)) {
      self(user).on_data(*stream, Bytes(data, size));
    } else {
      nghttp2_session_consume_connection(h2, size);  // a stream that was refused
    }
    return 0;
  }

  static int frame_received(nghttp2_session* h2, const nghttp2_frame* frame, void* user) {
    H2Session& session = self(user);
    ++session.frames_;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
      session.on_control_frame(*frame);
      return 0;
    }
    H2Stream* stream = stream_of(h2, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS) session.on_headers_end(*stream);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      stream->remote_ended = true;
      session.on_remote_end(*stream);
    }
    return 0;
  }

  static int frame_sent(nghttp2_session* h2, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (H2Stream* stream = stream_of(h2, frame->hd.stream_id)) self(user).on_frame_sent(*stream, *frame);
    return 0;
  }

  static int invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    log::debug("net.grpc.invalid_frame", {{"peer", self(user).connection_->peer()},
                                          {"type", static_cast<int>(frame->hd.type)},
                                          {"stream", frame->hd.stream_id},
                                          {"why", nghttp2_strerror(error)}});
    return 0;
  }

  static int stream_closed(nghttp2_session* h2, std::int32_t id, std::uint32_t error, void* user) {
    if (H2Stream* stream = stream_of(h2, id)) self(user).drop_stream(*stream, error);
    return 0;
  }

  /// How much of the stream goes into the next DATA frame; the bytes themselves are asked for by send_data.
  static ssize_t data_ready(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t room, std::uint32_t* flags,
                            nghttp2_data_source* source, void* user) {
    H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
    const std::size_t n = std::min(room, stream.out.pending());
    if (n == stream.out.pending() && stream.out_ended) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (self(user).submit_trailers(stream)) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    } else if (n == 0) {
      stream.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return static_cast<ssize_t>(n);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_header, std::size_t length,
                       nghttp2_data_source* source, void* user) {
    constexpr std::size_t kFrameHeader = 9;
    H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
    std::string& out = self(user).out_;
    out.append(text(frame_header, kFrameHeader));
    stream.out.copy_to(out, length);
    if (stream.out.pending() <= kUnsentMax) stream.writable.notify_all();
    return out.size() < kWriteBatch ? 0 : static_cast<int>(NGHTTP2_ERR_PAUSE);
  }

  static nghttp2_session* make(H2Session& session) {
    nghttp2_session_callbacks* callbacks = nullptr;
    HF_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_option* option = nullptr;
    HF_ASSERT(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    const std::uint64_t resets = session.options_.resets_per_second;
    nghttp2_option_set_stream_reset_rate_limit(option, 1000 + 4 * resets, 4 * resets);
    nghttp2_session* h2 = nullptr;
    const auto create =
        session.options_.side == Side::server ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
    HF_ASSERT(create(&h2, callbacks, &session, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return h2;
  }
};

void CallCounters::count(GrpcCode code) {
  metrics::Counter*& counter = counters_[static_cast<std::size_t>(code)];
  if (counter == nullptr) counter = &registry_.counter(name_, help_, {{"code", std::string(to_string(code))}});
  counter->add();
}

H2Session::H2Session(std::unique_ptr<ByteStream> connection, sys::World world, Options options)
    : connection_(std::move(connection)),
      world_(std::move(world)),
      options_(options),
      writer_(world_.clock),
      now_(world_.clock.now()),
      last_heard_(now_) {
  h2_ = Callbacks::make(*this);
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(options_.header_list_bytes)}};
  if (options_.side == Side::server) {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.streams});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  nghttp2_submit_settings(h2_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(h2_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(options_.connection_window));
}

H2Session::~H2Session() {
  for (const H2StreamPtr& stream : streams_) stream->session = nullptr;
  nghttp2_session_del(h2_);
}

asio::awaitable<void> H2Session::run(std::string first) {
  using namespace asio::experimental::awaitable_operators;  // NOLINT: the operator is the point
  const std::shared_ptr<H2Session> keep = shared_from_this();
  arm(watch_peer(now_));
  co_await (read_loop(std::move(first)) && write_loop());
  tear_down();
}

asio::awaitable<void> H2Session::read_loop(std::string first) {
  std::vector<std::uint8_t> buffer(kReadBuffer);
  bool more = receive(as_bytes(first));
  while (more) {
    const Result<std::size_t> n = co_await connection_->read_some(buffer);
    if (!n || *n == 0) break;
    more = receive(Bytes(buffer).first(*n));
  }
  read_ended_ = true;
  linger_until_ = world_.clock.now() + kLinger;  // for a peer that does not take our last words
  arm(linger_until_);
  wake_writer();
}

bool H2Session::receive(Bytes bytes) {
  if (bytes.empty()) return true;
  now_ = last_heard_ = world_.clock.now();
  const ssize_t taken = nghttp2_session_mem_recv(h2_, bytes.data(), bytes.size());
  if (taken < 0) {
    log::debug("net.grpc.bad_bytes",
               {{"peer", connection_->peer()}, {"why", nghttp2_strerror(static_cast<int>(taken))}});
    return false;
  }
  after_receive();
  wake_writer();
  return nghttp2_session_want_read(h2_) != 0;
}

asio::awaitable<void> H2Session::write_loop() {
  while (true) {
    collect_output();
    if (!out_.empty()) {
      const Result<void> written = co_await connection_->write_all(as_bytes(out_));
      out_.clear();
      if (!written) break;
      continue;
    }
    const bool finished = nghttp2_session_want_read(h2_) == 0 && nghttp2_session_want_write(h2_) == 0;
    if (read_ended_ || broken_ || finished) break;
    if (!co_await writer_.wait_until(Monotonic::max())) break;  // cancelled
  }
  connection_->close();
}

void H2Session::collect_output() {
  const std::uint8_t* chunk = nullptr;
  while (out_.size() < kWriteBatch) {
    const ssize_t n = nghttp2_session_mem_send(h2_, &chunk);
    broken_ = n < 0;
    if (n <= 0) break;  // 0: nothing more, or the batch is full
    out_.append(reinterpret_cast<const char*>(chunk), static_cast<std::size_t>(n));
  }
}

void H2Session::tear_down() {
  ended_ = true;
  timer_.reset();
  while (!streams_.empty()) drop_stream(*streams_.back(), std::nullopt);
  after_receive();
}

void H2Session::terminate(std::uint32_t http2_error) {
  if (ended_ || linger_until_ != Monotonic::max()) return;
  nghttp2_session_terminate_session(h2_, http2_error);
  linger_until_ = world_.clock.now() + kLinger;
  arm(linger_until_);
  wake_writer();
}

void H2Session::close_connection() { connection_->close(); }

void H2Session::arm(Monotonic at) {
  if (at >= armed_ || ended_) return;
  armed_ = at;
  timer_ = world_.clock.call_at(world_.executor, at, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_timer();
  });
}

void H2Session::on_timer() {
  if (ended_) return;
  armed_ = Monotonic::max();
  const Monotonic at = world_.clock.now();
  if (at >= linger_until_) return connection_->close();
  Monotonic next = std::min(linger_until_, watch_peer(at));
  for (std::size_t i = 0; i < streams_.size(); ++i) {  // on_deadline submits; nothing is closed meanwhile
    H2Stream& stream = *streams_[i];
    if (!stream.expired && stream.deadline <= at) {
      stream.expired = true;
      on_deadline(stream);
    } else if (!stream.expired) {
      next = std::min(next, stream.deadline);
    }
  }
  if (next != Monotonic::max()) arm(std::max(next, at + kTimerGrain));
  wake_writer();
}

void H2Session::add_stream(const H2StreamPtr& stream, std::int32_t id) {
  stream->session = this;
  stream->id = id;
  stream->slot = streams_.size();
  streams_.push_back(stream);
}

void H2Session::drop_stream(H2Stream& stream, std::optional<std::uint32_t> reset) {
  if (stream.session == nullptr) return;
  const H2StreamPtr keep = stream.shared_from_this();
  stream.session = nullptr;
  streams_.back()->slot = stream.slot;
  streams_[stream.slot] = streams_.back();
  streams_.pop_back();
  assembling_ -= std::exchange(stream.assembling, 0);
  on_close(stream, reset);
  stream.readable.notify_all();
  stream.writable.notify_all();
}

void H2Session::on_data(H2Stream& stream, Bytes bytes) {
  stream.received += bytes.size();
  received_ += bytes.size();
  while (!bytes.empty() && !stream.decided && !stream.ignore_input) {
    const MessageReader::Step step = stream.reader.step(bytes);
    switch (step) {
      case MessageReader::Step::more:
        break;
      case MessageReader::Step::begun:
        if (!may_begin_message(stream)) break;
        if (stream.reader.length() > 0) break;
        [[fallthrough]];  // an empty message is whole at once
      case MessageReader::Step::whole: {
        if (step == MessageReader::Step::begun) (void)stream.reader.step(bytes);
        assembling_ -= std::exchange(stream.assembling, 0);
        const std::size_t size = kMessagePrefix + stream.reader.length();
        stream.held += size;
        held_ += size;
        stream.in.push(stream.reader.take());
        on_message(stream);
        break;
      }
      case MessageReader::Step::compressed:
        on_compressed_message(stream);
        break;
      case MessageReader::Step::malformed:
        on_bad_message(stream, {GrpcCode::internal, "a message begins with an unknown flag"});
        break;
      case MessageReader::Step::too_long:
        on_bad_message(stream, {GrpcCode::resource_exhausted,
                                fmt::format("a message of {} bytes is over the limit", stream.reader.length())});
        break;
    }
  }
  settle(stream);
}

bool H2Session::may_begin_message(H2Stream& stream) {
  if (assembling_ + stream.reader.length() > options_.assembling_bytes) {
    on_bad_message(stream, {GrpcCode::resource_exhausted, "too many large messages at once on this connection"});
    return false;
  }
  stream.assembling = stream.reader.length();
  assembling_ += stream.assembling;
  return true;
}

std::string H2Session::take(H2Stream& stream) {
  std::string message = stream.in.pop();
  release(stream, std::min(kMessagePrefix + message.size(), stream.held));  // a closed stream released all at once
  return message;
}

void H2Session::release(H2Stream& stream, std::size_t bytes) {
  HF_ASSERT(bytes <= stream.held && bytes <= held_);
  stream.held -= bytes;
  held_ -= bytes;
  settle(stream);
}

void H2Session::settle(H2Stream& stream) {
  if (ended_) return;
  if (stream.received > stream.held) {
    const std::size_t n = stream.received - stream.held;
    stream.received = stream.held;
    if (stream.session != nullptr && !stream.remote_ended) nghttp2_session_consume_stream(h2_, stream.id, n);
  }
  if (received_ > held_) {
    nghttp2_session_consume_connection(h2_, std::exchange(received_, held_) - held_);
    wake_writer();
  }
}

nghttp2_data_provider H2Session::data_of(H2Stream& stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::data_ready;
  return provider;
}

void H2Session::resume(H2Stream& stream) {
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(h2_, stream.id);
  wake_writer();
}

void H2Session::send(H2Stream& stream, std::string message) {
  stream.out.push(std::move(message));
  resume(stream);
}

void H2Session::end_sending(H2Stream& stream) {
  stream.out_ended = true;
  resume(stream);
}

Task<> H2Session::write(H2StreamPtr stream, std::string message) {
  if (stream->session == nullptr || stream->decided || stream->out_ended)
    co_return Error{Code::unavailable, "the stream is closed"};
  send(*stream, std::move(message));
  while (stream->session != nullptr && !stream->decided && stream->out.pending() > kUnsentMax) {
    if (!co_await stream->writable.wait_until(Monotonic::max())) {
      co_return Error{Code::timeout, "the write was given up"};
    }
  }
  if (stream->session == nullptr || stream->decided)
    co_return Error{Code::unavailable, "the stream was closed while it was written"};
  co_return ok();
}

void H2Session::reset(H2Stream& stream, std::uint32_t http2_error) {
  if (stream.session == nullptr) return;
  nghttp2_submit_rst_stream(h2_, NGHTTP2_FLAG_NONE, stream.id, http2_error);
  wake_writer();
}

void H2Session::ping() {
  nghttp2_submit_ping(h2_, NGHTTP2_FLAG_NONE, nullptr);
  wake_writer();
}

}  // namespace hf::net
