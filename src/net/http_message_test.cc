#include "net/http.h"

namespace hf::net {
namespace {

TEST(HttpHeaders, LookUpIgnoresCaseAndSetReplacesAll) {
  HttpHeaders headers;
  headers.add("X-Id", "1");
  headers.add("x-ID", "2");
  EXPECT_EQ(headers.get("X-ID"), "1");
  headers.set("x-id", "3");
  EXPECT_EQ(headers.all().size(), 1u);
  EXPECT_EQ(headers.get("X-Id"), "3");
  EXPECT_EQ(headers.get("X"), std::nullopt);
}

TEST(HttpRequest, PathAndQuery) {
  HttpRequest request;
  request.target = "/orders?limit=3&a=?";
  EXPECT_EQ(request.path(), "/orders");
  EXPECT_EQ(request.query(), "limit=3&a=?");
  request.target = "/orders";
  EXPECT_EQ(request.query(), "");
}

TEST(Form, ParsesWhatItEncodes) {
  const FormFields fields = {{"To", "+15551234567"}, {"Body", "50% off & more = joy\r\n\xc3\xa4"}, {"Empty", ""}};
  const Result<FormFields> parsed = parse_form(encode_form(fields));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, fields);
}

TEST(Form, ReadsWhatBrowsersSend) {
  const Result<FormFields> parsed = parse_form("a=1+2&&flag&b=%2B&a=3");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, (FormFields{{"a", "1 2"}, {"flag", ""}, {"b", "+"}, {"a", "3"}}));
  EXPECT_EQ(find_field(*parsed, "a"), "1 2");
  EXPECT_EQ(find_field(*parsed, "c"), std::nullopt);
}

TEST(Form, RefusesBrokenEncoding) {
  for (const char* text : {"a=%", "a=%2", "a=%zz", "%=1"}) {
    const Result<FormFields> parsed = parse_form(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::invalid);
  }
}

TEST(Url, TakesApart) {
  struct Case {
    const char *text, *origin, *host, *target;
  };
  constexpr Case kCases[] = {
      {"http://127.0.0.1:8081/a?b=c#d", "http://127.0.0.1:8081", "127.0.0.1", "/a?b=c"},
      {"https://API.twilio.com", "https://api.twilio.com:443", "api.twilio.com", "/"},
      {"HTTP://x?q", "http://x:80", "x", "/?q"},
      {"http://[::1]:9/", "http://[::1]:9", "::1", "/"},
  };
  for (const Case& c : kCases) {
    const Result<Url> url = parse_url(c.text);
    ASSERT_TRUE(url) << c.text << ": " << url.error().message;
    EXPECT_EQ(url->origin(), c.origin);
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->target, c.target);
  }
}

TEST(Url, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "/path", "ftp://x/", "http://", "http://:80/", "http://x:0/", "http://x:65536/", "http://x:/",
        "http://u:p@x/", "http://x/a b", "http://x/\r\nX: y", "http://x y/", "http://[::1/", "http://[]/"}) {
    const Result<Url> url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Code::invalid);
  }
}

}  // namespace
}  // namespace hf::net
