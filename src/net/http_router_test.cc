#include "net/http_router.h"

#include "sys/loop.h"

namespace hf::net {
namespace {

class HttpRouterTest : public testing::Test {
 protected:
  HttpRouterTest() {
    add("GET", "/orders");
    add("POST", "/orders");
    add("GET", "/orders/{id}");
    add("GET", "/orders/latest");
    add("POST", "/2010-04-01/Accounts/{AccountSid}/Messages.json");
    add("GET", "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json");
    add("GET", "/");
  }

  void add(std::string method, std::string path) {
    const std::string name = method + " " + path;
    router_.add(method, path, [name](HttpRequest, PathValues values) -> asio::awaitable<HttpResponse> {
      std::string body = name;
      for (const auto& [key, value] : values) body += " " + key + "=" + value;
      co_return HttpResponse::text(200, body);
    });
  }

  HttpResponse ask(std::string method, std::string target) {
    HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    return loop_.run_until_done(router_.handle(std::move(request)));
  }

  sys::Loop loop_;
  HttpRouter router_{[](const HttpRequest& request, int status) {
    return HttpResponse::json(status, "{\"path\":\"" + std::string(request.path()) + "\"}");
  }};
};

TEST_F(HttpRouterTest, FindsTheMostParticularTemplate) {
  EXPECT_EQ(ask("GET", "/orders?limit=1").body, "GET /orders");
  EXPECT_EQ(ask("GET", "/orders/7").body, "GET /orders/{id} id=7");
  EXPECT_EQ(ask("GET", "/orders/latest").body, "GET /orders/latest");
  EXPECT_EQ(ask("GET", "/").body, "GET /");
  EXPECT_EQ(ask("GET", "/2010-04-01/Accounts/AC1/Messages/SM2.json").body,
            "GET /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json AccountSid=AC1 Sid=SM2");
}

TEST_F(HttpRouterTest, DecodesValuesOnce) {
  EXPECT_EQ(ask("GET", "/orders/a%2Fb%2520").body, "GET /orders/{id} id=a/b%20");
}

TEST_F(HttpRouterTest, HeadIsAnsweredByGet) { EXPECT_EQ(ask("HEAD", "/orders").status, 200); }

TEST_F(HttpRouterTest, RefusesInTheOwnersShape) {
  const HttpResponse unknown = ask("GET", "/nowhere");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body, "{\"path\":\"/nowhere\"}");
  EXPECT_EQ(unknown.headers.get("Allow"), std::nullopt);
  const HttpResponse method = ask("DELETE", "/orders");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.get("Allow"), "GET, HEAD, POST");
  EXPECT_EQ(ask("get", "/orders").status, 405);
  EXPECT_EQ(ask("GET", "/orders/%zz").status, 400);
  EXPECT_EQ(ask("GET", "/orders/").status, 404) << "an empty segment is no id";
  EXPECT_EQ(ask("GET", "/2010-04-01/Accounts/AC1/Messages/.json").status, 404);
}

}  // namespace
}  // namespace hf::net
