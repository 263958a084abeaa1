#include "net/http_parser.h"

#include "sys/random.h"

namespace hf::net {
namespace {

/// All that a server would do with these bytes, arriving in these pieces, in one line.
std::string serve(std::string_view bytes, const std::function<std::size_t()>& piece) {
  HttpRequestParser parser({.header_bytes = 400, .body_bytes = 60});
  std::string story, held;
  while (!bytes.empty()) {
    const std::size_t n = std::min(piece(), bytes.size());
    held += bytes.substr(0, n);
    bytes.remove_prefix(n);
    for (;;) {
      const HttpParsed parsed = parser.put(held);
      held.erase(0, parsed.consumed);
      if (parsed.refusal != 0) return story + "no more";
      if (!parser.complete()) break;
      const bool keep_alive = parser.keep_alive();
      const HttpRequest request = parser.take();
      story += request.method + " " + request.target + " " + request.body + (keep_alive ? "; " : " close; ");
      if (!keep_alive) return story;
    }
    EXPECT_LE(held.size(), 400u) << "what is not understood yet is bounded";
  }
  return story + (held.empty() && !parser.started() ? "idle" : "no more");  // a header is judged when it is whole
}

std::string mutate(std::string text, sys::Random& random) {
  constexpr std::string_view kInteresting("\r\n :;,0123456789abcdefx-\0\xff\t", 27);
  for (std::uint64_t edits = random.below(4); edits > 0; --edits) {
    const std::size_t at = random.below(text.size());
    const char c = kInteresting[random.below(kInteresting.size())];
    switch (random.below(4)) {
      case 0:
        text[at] = c;
        break;
      case 1:
        text.insert(at, 1, c);
        break;
      case 2:
        text.erase(at, 1 + random.below(3));
        break;
      default:
        text.insert(at, text.substr(random.below(text.size()), random.below(20)));
        break;
    }
    if (text.empty()) text = "x";
  }
  return text;
}

// Goal: no input crashes the parser, and how the network cuts the input never changes what it means.
// Method: valid requests with a few random edits, parsed whole and in random pieces.
TEST(HttpRequestParser, MeansTheSameHoweverItIsCut) {
  const std::string kSeeds[] = {
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3;e=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n"
      "GET /d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "\r\nGET http://x/e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
  };
  sys::SeededRandom random(20261121);
  std::size_t understood = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = mutate(kSeeds[random.below(3)], random);
    const std::string whole = serve(text, [&] { return text.size(); });
    const std::string pieces = serve(text, [&] { return 1 + random.below(12); });
    ASSERT_EQ(whole, pieces) << "round " << round << "\n" << text;
    understood += whole.find("no more") == std::string::npos;
  }
  EXPECT_GT(understood, 2'000u) << "the edits are not all fatal";
}

TEST(HttpRequestParser, ALastChunkByteByByte) {
  const std::string text = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  EXPECT_EQ(serve(text, [] { return std::size_t{1}; }), "POST /a ; idle");
}

TEST(HttpResponseParser, SurvivesAnything) {
  const std::string seed =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
  sys::SeededRandom random(7);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text = mutate(seed, random);
    HttpResponseParser parser(100, HttpResponseParser::Body::expected);
    std::string held;
    for (const char c : text) {
      held += c;
      const HttpParsed parsed = parser.put(held);
      held.erase(0, parsed.consumed);
      if (parsed.refusal != 0 || parser.complete()) break;
    }
    if (!parser.complete()) parser.end();
  }
}

}  // namespace
}  // namespace hf::net
