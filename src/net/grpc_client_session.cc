#include "net/grpc_client_session.h"

#include <charconv>

#include "base/log.h"

namespace hf::net {
namespace {

constexpr std::uint32_t kStreamWindow = 1 << 20, kConnectionWindow = 16 << 20;
/// Stream ids are 31 bits and grow by 2: a connection is retired before they run out.
constexpr std::uint32_t kLastStreamId = 0x7fff'0000;

}  // namespace

H2Session::Options ClientSession::options_of(const GrpcChannel::Options& options) {
  Options out;
  out.side = Side::client;
  out.stream_window = kStreamWindow;
  out.connection_window = kConnectionWindow;
  out.assembling_bytes = 2 * options.message_bytes + kConnectionWindow;
  return out;
}

Result<ClientCallPtr> ClientSession::start(const std::string& path, const GrpcMetadata& metadata, Monotonic deadline) {
  if (open_calls() >= kGrpcCallsMax) return Error{Code::exhausted, "too many calls are open on this channel"};
  auto call = std::make_shared<ClientCall>(world().clock, options_.message_bytes);
  call->deadline = deadline;
  std::vector<nghttp2_nv> fields = {header_field(":method", "POST", true),
                                    header_field(":scheme", connection().secure() ? "https" : "http", true),
                                    header_field(":path", path),
                                    header_field(":authority", authority_),
                                    header_field("te", "trailers", true),
                                    header_field("content-type", "application/grpc", true),
                                    header_field("grpc-accept-encoding", "identity", true),
                                    header_field("user-agent", "grpc-holdfast/0.1", true)};
  std::string timeout;
  if (deadline != Monotonic::max()) {
    timeout = format_grpc_timeout(deadline - world().clock.now());
    fields.push_back(header_field("grpc-timeout", timeout));
  }
  std::vector<std::string> encoded;
  encoded.reserve(metadata.size());  // the fields point into it
  for (const auto& [name, value] : metadata) {
    encoded.push_back(encode_metadata_value(name, value));
    fields.push_back(header_field(name, encoded.back()));
  }
  const nghttp2_data_provider data = data_of(*call);
  const std::int32_t id = nghttp2_submit_request(h2(), nullptr, fields.data(), fields.size(), &data, call.get());
  if (id < 0) {
    usable_ = false;
    return Error{Code::unavailable, fmt::format("cannot open a stream: {}", nghttp2_strerror(id))};
  }
  if (nghttp2_session_get_next_stream_id(h2()) >= kLastStreamId) retire();
  add_stream(call, id);
  watch_deadline(*call);
  arm(world().clock.now() + options_.keepalive);
  wake_writer();
  return call;
}

/// No new calls here; the connection ends with its last one.
void ClientSession::retire() {
  usable_ = false;
  nghttp2_submit_goaway(h2(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
}

void ClientSession::on_header(H2Stream& stream, std::string_view name, std::string_view value) {
  auto& call = static_cast<ClientCall&>(stream);
  if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), call.http_status);  // not a number: stays 0
  } else if (name == "grpc-status") {
    call.has_status = true;
    call.status.code = parse_grpc_code(value);
  } else if (name == "grpc-message") {
    call.status.message = decode_grpc_message(value);
  }
}

/// The body of a plain HTTP error is a page for people, not messages.
void ClientSession::on_headers_end(H2Stream& stream) {
  const int status = static_cast<ClientCall&>(stream).http_status;
  if (status >= 300) stream.ignore_input = true;
}

void ClientSession::on_bad_message(H2Stream& stream, GrpcStatus why) {
  give_up(static_cast<ClientCall&>(stream), std::move(why));
}

void ClientSession::on_compressed_message(H2Stream& stream) {
  on_bad_message(stream, {GrpcCode::internal, "the server sent a compressed message"});
}

void ClientSession::on_remote_end(H2Stream& stream) {
  auto& call = static_cast<ClientCall&>(stream);
  GrpcStatus status = call.status;
  if (!call.has_status) {
    const bool http_ok = call.http_status == 200;
    status.code = http_ok ? GrpcCode::unknown : code_of_http_status(call.http_status);
    status.message = fmt::format("the answer had HTTP status {} and no grpc-status", call.http_status);
  } else if (status.code == GrpcCode::ok && call.reader.inside()) {
    status = {GrpcCode::internal, "the answer ended inside a message"};
  }
  std::optional<Error> failure;
  if (status.code != GrpcCode::ok) failure = to_error(status);
  end(call, std::move(status), std::move(failure));
  if (!call.out_ended || call.out.pending() > 0) reset(call, NGHTTP2_CANCEL);  // the rest of the request is not wanted
}

void ClientSession::on_frame_sent(H2Stream& stream, const nghttp2_frame&) {
  static_cast<ClientCall&>(stream).sent = true;
}

void ClientSession::on_control_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY) usable_ = false;  // nghttp2 closes the streams above its id as REFUSED_STREAM
}

Error ClientSession::lost(const ClientCall& call, Code code_if_sent, std::string why) const {
  return {call.sent ? code_if_sent : Code::unavailable,
          call.sent ? std::move(why) : why + " before the request went out"};
}

void ClientSession::on_close(H2Stream& stream, std::optional<std::uint32_t> reset) {
  auto& call = static_cast<ClientCall&>(stream);
  if (!call.decided && reset) {
    GrpcStatus status{call.sent ? code_of_reset(*reset) : GrpcCode::unavailable,
                      fmt::format("the stream was reset: {}", nghttp2_http2_strerror(*reset))};
    Error failure = to_error(status);
    end(call, std::move(status), std::move(failure));
  } else if (!call.decided) {
    Error failure = lost(call, Code::timeout, "the connection broke");
    end(call, {GrpcCode::unavailable, failure.message}, std::move(failure));
  }
  counters_.count(call.status.code);  // here, not in end(): that one runs in destructors, when the world may be gone
  release(call, call.held);           // whoever still reads takes from memory
}

void ClientSession::on_deadline(H2Stream& stream) {
  auto& call = static_cast<ClientCall&>(stream);
  if (call.decided) return;
  Error failure = lost(call, Code::timeout, "the deadline passed");
  end(call, {GrpcCode::deadline_exceeded, failure.message}, std::move(failure));
  reset(call, NGHTTP2_CANCEL);
}

void ClientSession::give_up(ClientCall& call, GrpcStatus status) {
  if (call.decided) return;
  Error failure = to_error(status);
  end(call, std::move(status), std::move(failure));
  reset(call, NGHTTP2_CANCEL);
}

void ClientSession::end(ClientCall& call, GrpcStatus status, std::optional<Error> failure) {
  call.decided = true;
  call.status = std::move(status);
  call.failure = std::move(failure);
  call.readable.notify_all();
  call.writable.notify_all();
}

/// Silence with calls open is asked about; no answer means that the connection is dead.
Monotonic ClientSession::watch_peer(Monotonic at) {
  if (pinged_at_ && last_heard() >= *pinged_at_) pinged_at_.reset();
  if (streams().empty()) {
    pinged_at_.reset();
    return Monotonic::max();
  }
  if (pinged_at_ && at - *pinged_at_ >= options_.keepalive_timeout) {
    log::info("net.grpc.keepalive_lost", {{"peer", connection().peer()}});
    usable_ = false;
    close_connection();
    return Monotonic::max();
  }
  if (!pinged_at_ && at - last_heard() >= options_.keepalive) {
    pinged_at_ = at;
    ping();
  }
  return pinged_at_ ? *pinged_at_ + options_.keepalive_timeout : last_heard() + options_.keepalive;
}

void ClientSession::close() {
  usable_ = false;
  terminate(NGHTTP2_NO_ERROR);
}

}  // namespace hf::net
