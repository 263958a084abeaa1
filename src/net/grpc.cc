#include "net/grpc.h"

#include "net/grpc_codec.h"

namespace hf::net {
namespace {

/// What a caller can do after a status. `cancelled` and `unknown` say nothing of what the server did: timeout.
Code code_for(GrpcCode code) {
  switch (code) {
    case GrpcCode::invalid_argument:
    case GrpcCode::out_of_range:
    case GrpcCode::unimplemented:
      return Code::invalid;
    case GrpcCode::permission_denied:
    case GrpcCode::unauthenticated:
      return Code::denied;
    case GrpcCode::not_found:
      return Code::not_found;
    case GrpcCode::already_exists:
    case GrpcCode::failed_precondition:
    case GrpcCode::aborted:
      return Code::conflict;
    case GrpcCode::resource_exhausted:
      return Code::exhausted;
    case GrpcCode::cancelled:
    case GrpcCode::unknown:
    case GrpcCode::deadline_exceeded:
      return Code::timeout;
    case GrpcCode::unavailable:
      return Code::unavailable;
    case GrpcCode::data_loss:
      return Code::corrupt;
    case GrpcCode::ok:
    case GrpcCode::internal:
      break;
  }
  return Code::internal;
}

GrpcCode grpc_code_for(Code code) {
  switch (code) {
    case Code::invalid:
      return GrpcCode::invalid_argument;
    case Code::denied:
      return GrpcCode::permission_denied;
    case Code::not_found:
      return GrpcCode::not_found;
    case Code::conflict:
      return GrpcCode::failed_precondition;
    case Code::exhausted:
      return GrpcCode::resource_exhausted;
    case Code::timeout:
      return GrpcCode::deadline_exceeded;
    case Code::unavailable:
      return GrpcCode::unavailable;
    case Code::corrupt:
      return GrpcCode::data_loss;
    case Code::internal:
      break;
  }
  return GrpcCode::internal;
}

template <class Map>
auto* find_in(const Map& map, std::string_view path) {
  const auto found = map.find(path);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

Error to_error(const GrpcStatus& status) {
  return {code_for(status.code), fmt::format("{}: {}", to_string(status.code), status.message)};
}

GrpcStatus to_grpc_status(const Error& error) { return {grpc_code_for(error.code), error.message}; }

std::optional<std::string_view> find_metadata(const GrpcMetadata& metadata, std::string_view name) {
  for (const auto& [key, value] : metadata) {
    if (key == name) return value;
  }
  return std::nullopt;
}

const GrpcUnaryHandler* GrpcService::find_unary(std::string_view path) const { return find_in(unary_, path); }
const GrpcStreamHandler* GrpcService::find_stream(std::string_view path) const { return find_in(stream_, path); }

}  // namespace hf::net
