#include "net/sniff.h"

namespace hf::net {

Spoken sniff(std::string_view first) {
  constexpr std::string_view kTls = "\x16\x03", kPreface = "PRI * HTTP/2.0\r\n";
  const auto begins = [&](std::string_view whole) {
    return first.substr(0, whole.size()) == whole.substr(0, first.size());
  };
  if (begins(kTls)) return first.size() < kTls.size() ? Spoken::undecided : Spoken::tls;
  if (begins(kPreface)) return first.size() < kPreface.size() ? Spoken::undecided : Spoken::http2;
  return Spoken::http1;
}

}  // namespace hf::net
