#include "mdp/net/refusal.hpp"

#include <gtest/gtest.h>

#include "mdp/core/text.hpp"

namespace mdp::net {
namespace {

TEST(Refusal, TellsStatusServerAndTheWordsOfThePage) {
  EXPECT_EQ(describe_refusal({403, "Forbidden", "cloudflare", "", "<html><h1>Access denied</h1></html>"}, "",
                             "rest_url"),
            R"(HTTP 403 Forbidden (server "cloudflare"): Access denied)");
  EXPECT_EQ(describe_refusal({503, "Service Unavailable", "", "", ""}, "", "rest_url"),
            "HTTP 503 Service Unavailable");
  EXPECT_EQ(describe_refusal({451, "", "", "", "plain words"}, "", "rest_url"), "HTTP 451: plain words");
}

TEST(Refusal, TheVenuesOwnWordsStandForThePage) {
  EXPECT_EQ(describe_refusal({400, "Bad Request", "", "", R"({"code":-1121,"msg":"Invalid symbol."})"},
                             "code -1121: Invalid symbol.", "rest_url"),
            "HTTP 400 Bad Request: code -1121: Invalid symbol.");
}

TEST(Refusal, ARedirectNamesItsLocationAndWhatToDo) {
  EXPECT_EQ(describe_refusal({301, "Moved Permanently", "nginx", "https://x.test/", "<html>moved</html>"}, "",
                             "ws_url"),
            R"(HTTP 301 Moved Permanently (server "nginx", location "https://x.test/"): )"
            "redirects are not followed; if the venue has moved, set ws_url");
  EXPECT_EQ(describe_refusal({304, "Not Modified", "", "", ""}, "", "rest_url"), "HTTP 304 Not Modified")
      << "no location, no redirect";
  EXPECT_EQ(describe_refusal({200, "OK", "", "https://x.test/", "hm"}, "", "rest_url"), "HTTP 200 OK: hm");
}

TEST(Refusal, NoPartOfItIsTrustedOrEndless) {
  const std::string junk = "\x1B[2J\"\xE9\n" + std::string(5'000, 'x');
  for (const int status : {302, 403}) {
    const std::string text = describe_refusal({status, junk, junk, junk, junk}, "", "rest_url");
    EXPECT_TRUE(core::is_printable(text)) << text;
    EXPECT_LT(text.size(), 500u) << text;
  }
  EXPECT_LT(describe_refusal({403, "", "", "", ""}, junk, "rest_url").size(), 250u);
}

}  // namespace
}  // namespace mdp::net
