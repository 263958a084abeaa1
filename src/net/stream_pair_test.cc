#include "net/byte_stream.h"
#include "sys/sim.h"

namespace hf::net {
namespace {

class StreamPairTest : public testing::Test {
 protected:
  static asio::awaitable<void> write(ByteStream& stream, std::string text, std::string& outcome) {
    const Result<void> done = co_await stream.write_all(as_bytes(text));
    outcome = done ? "written" : to_string(done.error().code);
  }
  static asio::awaitable<void> read(ByteStream& stream, std::string& outcome) {
    std::array<std::uint8_t, 64> buffer;
    const Result<std::size_t> n = co_await stream.read_some(buffer);
    outcome = !n        ? std::string(to_string(n.error().code))
              : *n == 0 ? "end"
                        : std::string(as_text(Bytes(buffer).first(*n)));
  }

  sys::SimWorld world_{1};
  StreamPair pair_ = make_stream_pair(world_.clock(), 4);
  std::string reading_, writing_;
};

TEST_F(StreamPairTest, AReaderWaitsForBytes) {
  world_.spawn(read(*pair_.server, reading_));
  world_.run_ready();
  EXPECT_EQ(reading_, "");
  world_.spawn(write(*pair_.client, "abc", writing_));
  world_.run_ready();
  EXPECT_EQ(reading_, "abc");
  EXPECT_EQ(writing_, "written");
}

TEST_F(StreamPairTest, AWriterWaitsForRoom) {
  world_.spawn(write(*pair_.client, "abcdef", writing_));
  world_.run_ready();
  EXPECT_EQ(writing_, "");
  world_.spawn(read(*pair_.server, reading_));
  world_.run_ready();
  EXPECT_EQ(reading_, "abcd");
  EXPECT_EQ(writing_, "written");
}

TEST_F(StreamPairTest, BothDirectionsAtOnce) {
  std::string there, back;
  world_.spawn(read(*pair_.server, there));
  world_.spawn(read(*pair_.client, back));
  world_.spawn(write(*pair_.client, "to", writing_));
  world_.spawn(write(*pair_.server, "fro", writing_));
  world_.run_ready();
  EXPECT_EQ(there + back, "tofro");
}

TEST_F(StreamPairTest, FinishWritingEndsOneDirection) {
  world_.spawn(write(*pair_.client, "abc", writing_));
  world_.run_until_done(
      [](ByteStream& stream) -> asio::awaitable<void> { (void)co_await stream.finish_writing(); }(*pair_.client));
  world_.spawn(read(*pair_.server, reading_));
  world_.run_ready();
  EXPECT_EQ(reading_, "abc");
  world_.spawn(read(*pair_.server, reading_));
  world_.run_ready();
  EXPECT_EQ(reading_, "end");
  world_.spawn(write(*pair_.server, "yes", writing_));
  world_.spawn(read(*pair_.client, reading_));
  world_.run_ready();
  EXPECT_EQ(reading_, "yes");
}

TEST_F(StreamPairTest, CloseWakesWhoWaitsHereAndThere) {
  std::string there;
  world_.spawn(read(*pair_.client, reading_));
  world_.spawn(read(*pair_.server, there));
  world_.spawn(write(*pair_.client, "abcdef", writing_));
  world_.run_ready();
  EXPECT_EQ(there, "abcd");
  world_.spawn(write(*pair_.client, "ghijkl", writing_));
  writing_.clear();
  world_.run_ready();
  pair_.client->close();
  world_.run_ready();
  EXPECT_EQ(reading_, "unavailable");
  EXPECT_EQ(writing_, "unavailable");
  world_.spawn(write(*pair_.server, "x", writing_));
  world_.run_ready();
  EXPECT_EQ(writing_, "unavailable") << "nobody is there to read it";
}

TEST_F(StreamPairTest, TryReadNeverWaits) {
  std::array<std::uint8_t, 64> buffer;
  EXPECT_EQ(pair_.server->try_read(buffer), std::nullopt);
  world_.spawn(write(*pair_.client, "abc", writing_));
  world_.run_ready();
  EXPECT_EQ(**pair_.server->try_read(buffer), 3u);
  pair_.client.reset();
  EXPECT_EQ(**pair_.server->try_read(buffer), 0u);
}

}  // namespace
}  // namespace hf::net
