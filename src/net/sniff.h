#pragma once

/// Which protocol a connection speaks, told by its first bytes. Pure.

#include <string_view>

namespace hf::net {

enum class Spoken {
  undecided,  ///< more bytes are needed
  tls,        ///< a handshake record: 0x16, version 3.x (RFC 8446 §5.1)
  http2,      ///< the connection preface "PRI * HTTP/2.0" (RFC 9113 §3.4)
  http1,      ///< anything else; its parser says what is wrong with it
};
Spoken sniff(std::string_view first);

}  // namespace hf::net
