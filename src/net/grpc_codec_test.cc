#include "net/grpc_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace hf::net {
namespace {

using Step = MessageReader::Step;

std::string framed(std::string_view body) {
  const MessagePrefix prefix = message_prefix(body.size());
  return std::string(prefix.data(), prefix.size()) + std::string(body);
}

/// All messages of `wire`, fed in chunks of `chunk` bytes; the last step that was not `more`.
std::vector<std::string> read_all(std::string_view wire, std::size_t chunk, std::size_t limit, Step& last) {
  MessageReader reader(limit);
  std::vector<std::string> messages;
  last = Step::more;
  for (std::size_t at = 0; at < wire.size(); at += chunk) {
    Bytes in = as_bytes(wire.substr(at, chunk));
    bool again = true;
    while (again) {
      const Step step = reader.step(in);
      if (step == Step::whole) messages.push_back(reader.take());
      if (step != Step::more) last = step;
      if (step == Step::compressed || step == Step::malformed || step == Step::too_long) return messages;
      again = !in.empty() || (step == Step::begun && reader.length() == 0);
    }
  }
  return messages;
}

TEST(GrpcCodec, PrefixIsBigEndian) {
  EXPECT_EQ(message_prefix(0), (MessagePrefix{0, 0, 0, 0, 0}));
  EXPECT_EQ(message_prefix(0x01020304), (MessagePrefix{0, 1, 2, 3, 4}));
}

TEST(GrpcCodec, MessagesSurviveEveryCut) {
  const std::string big(1000, 'x');
  const std::string wire = framed("one") + framed("") + framed(big) + framed("four");
  for (std::size_t chunk = 1; chunk <= wire.size(); ++chunk) {
    Step last{};
    EXPECT_THAT(read_all(wire, chunk, 1 << 20, last), testing::ElementsAre("one", "", big, "four")) << chunk;
    EXPECT_EQ(last, Step::whole);
  }
}

TEST(GrpcCodec, BadPrefixes) {
  const struct {
    const char* what;
    std::string wire;
    Step want;
  } cases[] = {
      {"compressed", std::string("\1\0\0\0\1x", 6), Step::compressed},
      {"unknown flag", std::string("\2\0\0\0\1x", 6), Step::malformed},
      {"unknown flag, nothing else yet", std::string("\377", 1), Step::malformed},
      {"over the limit", framed(std::string(101, 'x')), Step::too_long},
      {"4 GiB claimed", std::string("\0\377\377\377\377", 5), Step::too_long},
      {"at the limit", framed(std::string(100, 'x')), Step::whole},
  };
  for (const auto& c : cases) {
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{1000}}) {
      Step last{};
      (void)read_all(c.wire, chunk, 100, last);
      EXPECT_EQ(last, c.want) << c.what;
    }
  }
}

TEST(GrpcCodec, ReaderKnowsThatItIsInsideAMessage) {
  MessageReader reader(100);
  EXPECT_FALSE(reader.inside());
  const std::string wire = framed("ab");
  Bytes in = as_bytes(std::string_view(wire).substr(0, 6));
  EXPECT_EQ(reader.step(in), Step::begun);
  EXPECT_EQ(reader.step(in), Step::more);
  EXPECT_TRUE(reader.inside());
  in = as_bytes(std::string_view(wire).substr(6));
  EXPECT_EQ(reader.step(in), Step::whole);
  EXPECT_EQ(reader.take(), "ab");
  EXPECT_FALSE(reader.inside());
}

TEST(GrpcCodec, ParsesTimeouts) {
  const struct {
    std::string_view text;
    std::optional<Duration> want;
  } cases[] = {
      {"3S", 3s},
      {"100m", 100ms},
      {"1u", 1us},
      {"99999999n", 99'999'999ns},
      {"2H", 2h},
      {"5M", 5min},
      {"0S", 0s},
      {"00000007S", 7s},
      {"99999999S", 99'999'999s},  // three years
      {"1892160S", 1'892'160s},
      {"525600H", 525'600h},           // sixty years: Java's telemetry stream
      {"99999999H", Duration::max()},  // 11 400 years
      {"99999999M", 99'999'999min},    // 190 years
      {"", std::nullopt},
      {"S", std::nullopt},
      {"3", std::nullopt},
      {"3s", std::nullopt},
      {"-3S", std::nullopt},
      {"+3S", std::nullopt},
      {" 3S", std::nullopt},
      {"3.5S", std::nullopt},
      {"123456789S", std::nullopt},  // nine digits
      {"99999999999999999999S", std::nullopt},
  };
  for (const auto& c : cases) EXPECT_EQ(parse_grpc_timeout(c.text), c.want) << c.text;
}

TEST(GrpcCodec, FormatsTimeouts) {
  const struct {
    Duration timeout;
    std::string_view want;
  } cases[] = {
      {-1s, "0n"},
      {0s, "0n"},
      {1ns, "1n"},
      {99'999'999ns, "99999999n"},
      {100ms, "100000u"},
      {3s, "3000000u"},
      {99'999'999us + 1ns, "100000m"},
      {24h, "86400000m"},
      {24h * 365, "31536000S"},
      {Duration::max(), "2562048H"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(format_grpc_timeout(c.timeout), c.want);
    const Duration back = *parse_grpc_timeout(format_grpc_timeout(c.timeout));
    EXPECT_GE(back, std::max(c.timeout, Duration{}));  // never shorter than asked
  }
}

TEST(GrpcCodec, DeadlinesDoNotOverflow) {
  const Monotonic now{Duration(1'000'000'000'000)};
  EXPECT_EQ(deadline_after(now, 3s), now + 3s);
  EXPECT_EQ(deadline_after(now, Duration::max()), Monotonic::max());
  EXPECT_EQ(deadline_after(now, Monotonic::max() - now), Monotonic::max());
  EXPECT_EQ(deadline_after(now, Duration{}), now);
}

TEST(GrpcCodec, EncodesMessages) {
  const struct {
    std::string_view plain, wire;
  } cases[] = {
      {"", ""},
      {"no such topic", "no such topic"},
      {"100% sure", "100%25 sure"},
      {"line\nbreak\r\t", "line%0Abreak%0D%09"},
      {"Bestellung überfällig", "Bestellung %C3%BCberf%C3%A4llig"},
      {"~ {}", "~ {}"},
      {"\x7f", "%7F"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(encode_grpc_message(c.plain), c.wire);
    EXPECT_EQ(decode_grpc_message(c.wire), c.plain);
  }
}

TEST(GrpcCodec, DecodesWhateverComes) {
  EXPECT_EQ(decode_grpc_message("50%"), "50%");
  EXPECT_EQ(decode_grpc_message("50%2"), "50%2");
  EXPECT_EQ(decode_grpc_message("50%zz!"), "50%zz!");
  EXPECT_EQ(decode_grpc_message("%c3%bc"), "\xc3\xbc");
  EXPECT_EQ(decode_grpc_message("%2525"), "%25");
}

TEST(GrpcCodec, ContentTypes) {
  const struct {
    std::string_view value;
    bool want;
  } cases[] = {
      {"application/grpc", true},      {"application/grpc+proto", true}, {"application/grpc;charset=utf-8", true},
      {"application/grpc-web", false}, {"application/json", false},      {"", false},
      {"application/grp", false},
  };
  for (const auto& c : cases) EXPECT_EQ(is_grpc_content_type(c.value), c.want) << c.value;
}

TEST(GrpcCodec, Metadata) {
  GrpcMetadata metadata;
  EXPECT_TRUE(append_metadata(metadata, "x-mq-client-id", "a,b"));
  EXPECT_TRUE(append_metadata(metadata, "trace-bin", "AAEC"));
  EXPECT_TRUE(append_metadata(metadata, "pad-bin", "AA=="));
  EXPECT_TRUE(append_metadata(metadata, "nopad-bin", "AA"));
  EXPECT_TRUE(append_metadata(metadata, "two-bin", "AA,/w"));
  EXPECT_FALSE(append_metadata(metadata, "bad-bin", "!!!!"));
  const GrpcMetadata want = {{"x-mq-client-id", "a,b"},         {"trace-bin", std::string("\0\1\2", 3)},
                             {"pad-bin", std::string("\0", 1)}, {"nopad-bin", std::string("\0", 1)},
                             {"two-bin", std::string("\0", 1)}, {"two-bin", "\xff"}};
  EXPECT_EQ(metadata, want);
  EXPECT_EQ(encode_metadata_value("x-bin", std::string("\0\1\2", 3)), "AAEC");
  EXPECT_EQ(encode_metadata_value("x", "plain"), "plain");
  EXPECT_EQ(find_metadata(metadata, "two-bin"), std::string_view("\0", 1));
  EXPECT_EQ(find_metadata(metadata, "absent"), std::nullopt);
}

TEST(GrpcCodec, Codes) {
  EXPECT_EQ(parse_grpc_code("0"), GrpcCode::ok);
  EXPECT_EQ(parse_grpc_code("16"), GrpcCode::unauthenticated);
  for (const std::string_view bad : {"17", "-1", "", "x", "1x", "99999999999"}) {
    EXPECT_EQ(parse_grpc_code(bad), GrpcCode::unknown) << bad;
  }
  EXPECT_EQ(code_of_http_status(404), GrpcCode::unimplemented);
  EXPECT_EQ(code_of_http_status(503), GrpcCode::unavailable);
  EXPECT_EQ(code_of_http_status(302), GrpcCode::unknown);
  EXPECT_EQ(code_of_reset(0x7), GrpcCode::unavailable);
  EXPECT_EQ(code_of_reset(0x8), GrpcCode::cancelled);
  EXPECT_EQ(to_string(GrpcCode::unauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(to_string(GrpcCode::not_found), "NOT_FOUND");
}

TEST(GrpcCodec, EveryErrorCodeSurvivesTheWire) {
  for (const Code code : {Code::invalid, Code::denied, Code::not_found, Code::conflict, Code::exhausted, Code::timeout,
                          Code::unavailable, Code::corrupt, Code::internal}) {
    EXPECT_EQ(to_error(to_grpc_status(Error{code, "why"})).code, code) << to_string(code);
  }
  EXPECT_EQ(to_error({GrpcCode::unknown, ""}).code, Code::timeout);  // it may have happened
}

}  // namespace
}  // namespace hf::net
