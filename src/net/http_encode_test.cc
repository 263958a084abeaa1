#include "net/http_encode.h"

namespace hf::net {
namespace {

const Url kUrl = *parse_url("http://127.0.0.1:8081/orders?x=1");

TEST(HttpEncode, ResponseHead) {
  HttpResponse response = HttpResponse::json(201, "{}");
  response.headers.add("content-length", "999");
  response.headers.add("Transfer-Encoding", "chunked");
  std::string out;
  append_response_head(out, response, {.date = "D"});
  EXPECT_EQ(out, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nDate: D\r\nContent-Length: 2\r\n\r\n");
}

TEST(HttpEncode, ConnectionIsSaidWhereItIsNotTheDefault) {
  const auto head = [](ResponseFraming framing) {
    std::string out;
    append_response_head(out, HttpResponse{}, framing);
    return out;
  };
  EXPECT_EQ(head({}).find("Connection"), std::string::npos);
  EXPECT_NE(head({.keep_alive = false}).find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(head({.http_1_0 = true}).find("Connection: keep-alive\r\n"), std::string::npos);
}

TEST(HttpEncode, NoContentHasNoLength) {
  std::string out;
  append_response_head(out, HttpResponse{.status = 204, .headers = {}, .body = {}}, {});
  EXPECT_EQ(out.find("Content-Length"), std::string::npos);
}

TEST(HttpEncode, DataInAResponseHeaderCannotWriteHeaders) {
  HttpResponse response;
  response.headers.add("Location", std::string("/a\r\nSet-Cookie: x\n\0y", 20));
  std::string out;
  append_response_head(out, response, {});
  EXPECT_NE(out.find("Location: /a  Set-Cookie: x  y\r\n"), std::string::npos) << out;
}

TEST(HttpEncode, RequestHead) {
  HttpRequest request;
  request.method = "POST";
  request.headers.add("host", "elsewhere");
  request.headers.add("X-Id", "7");
  request.body = "abc";
  std::string out;
  append_request_head(out, request, kUrl);
  EXPECT_EQ(out, "POST /orders?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nX-Id: 7\r\nContent-Length: 3\r\n\r\n");
}

TEST(HttpEncode, ARequestWithAForgedHeaderIsRefused) {
  HttpRequest request;
  request.method = "GET";
  EXPECT_TRUE(check_request(request));
  request.headers.add("X-Id", "7\r\nX-Admin: yes");
  EXPECT_EQ(check_request(request).error().code, Code::invalid);
  request.headers = {};
  request.headers.add("X Id", "7");
  EXPECT_EQ(check_request(request).error().code, Code::invalid);
  request.headers = {};
  request.method = "GET /admin";
  EXPECT_EQ(check_request(request).error().code, Code::invalid);
}

TEST(HttpEncode, Date) {
  EXPECT_EQ(format_http_date(wall_from_us(784'111'777'000'000)), "Sun, 06 Nov 1994 08:49:37 GMT");
}

}  // namespace
}  // namespace hf::net
