#include "net/sniff.h"

namespace hf::net {
namespace {

TEST(Sniff, FirstBytesDecide) {
  struct Case {
    std::string_view first;
    Spoken want;
  };
  const Case kCases[] = {
      {"", Spoken::undecided},
      {"\x16", Spoken::undecided},
      {"\x16\x03", Spoken::tls},
      {"\x16\x02", Spoken::http1},
      {"P", Spoken::undecided},
      {"PR", Spoken::undecided},
      {"PRI * HTTP/2.0\r", Spoken::undecided},
      {"PRI * HTTP/2.0\r\n", Spoken::http2},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n....", Spoken::http2},
      {"PO", Spoken::http1},
      {"POST / HTTP/1.1", Spoken::http1},
      {"PRI * HTTP/1.1\r\n", Spoken::http1},
      {"G", Spoken::http1},
  };
  for (const Case& c : kCases) EXPECT_EQ(sniff(c.first), c.want) << c.first;
}

}  // namespace
}  // namespace hf::net
