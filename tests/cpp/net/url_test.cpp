#include "mdp/net/url.hpp"

#include <gtest/gtest.h>

namespace mdp::net {
namespace {

Url parsed(std::string_view text) {
  auto url = parse_url(text);
  EXPECT_TRUE(url.has_value()) << (url ? "" : url.error());
  return url ? *url : Url{};
}

std::string error_of(std::string_view text) {
  const auto url = parse_url(text);
  return url ? "accepted" : url.error();
}

TEST(Url, PartsAreTakenApart) {
  const Url url = parsed("wss://stream.binance.com:9443/stream?streams=btcusdt@trade");
  EXPECT_EQ(url.scheme, "wss");
  EXPECT_EQ(url.host, "stream.binance.com");
  EXPECT_EQ(url.port, 9443);
  EXPECT_EQ(url.path, "/stream?streams=btcusdt@trade");
  EXPECT_TRUE(url.secure());
  EXPECT_EQ(url.authority(), "stream.binance.com:9443");
  EXPECT_EQ(url.host_header(), "stream.binance.com:9443");
}

TEST(Url, DefaultsAreThoseOfTheScheme) {
  EXPECT_EQ(parsed("https://api.binance.com").port, 443);
  EXPECT_EQ(parsed("wss://api.binance.com").port, 443);
  EXPECT_EQ(parsed("http://localhost").port, 80);
  EXPECT_EQ(parsed("ws://localhost/").path, "/");
  EXPECT_EQ(parsed("https://api.binance.com").path, "");
  EXPECT_EQ(parsed("https://api.binance.com:443").host_header(), "api.binance.com");
  EXPECT_EQ(parsed("https://api.binance.com?x=1").path, "/?x=1");
}

TEST(Url, SchemeAndHostAreLowered) {
  const Url url = parsed("WSS://Stream.Example.COM:1/Path");
  EXPECT_EQ(url.scheme, "wss");
  EXPECT_EQ(url.host, "stream.example.com");
  EXPECT_EQ(url.path, "/Path");
}

TEST(Url, Ipv6LiteralsAreUnwrapped) {
  const Url url = parsed("wss://[::1]:9443/ws");
  EXPECT_EQ(url.host, "::1");
  EXPECT_EQ(url.authority(), "[::1]:9443");
  EXPECT_EQ(parsed("https://[2001:DB8::1]").host_header(), "[2001:db8::1]");
}

TEST(Url, MistakesAreNamed) {
  EXPECT_NE(error_of("stream.binance.com:9443").find("scheme://"), std::string::npos);
  EXPECT_NE(error_of("ftp://x").find("wss, ws, https or http"), std::string::npos);
  EXPECT_NE(error_of("wss://").find("host is missing"), std::string::npos);
  EXPECT_NE(error_of("wss://:443").find("host is missing"), std::string::npos);
  EXPECT_NE(error_of("wss://a b").find("blanks"), std::string::npos);
  EXPECT_NE(error_of("wss://a\r\nHost: b").find("control"), std::string::npos);
  EXPECT_NE(error_of("wss://user:secret@host").find("user name"), std::string::npos);
  EXPECT_NE(error_of("wss://host/path#part").find("fragment"), std::string::npos);
  EXPECT_NE(error_of("wss://[::1").find("missing ']'"), std::string::npos);
  EXPECT_NE(error_of("wss://[::1]x").find("after ']'"), std::string::npos);
  EXPECT_NE(error_of("wss://[host]").find("IPv6"), std::string::npos);
  EXPECT_NE(error_of("wss://::1").find("IPv6 address goes in []"), std::string::npos);
  EXPECT_NE(error_of("wss://a..b").find("host may hold"), std::string::npos);
  EXPECT_NE(error_of("wss://h\xC3\xB6st").find("non-ASCII"), std::string::npos);
  for (const char* port :
       {"wss://a:", "wss://a:0", "wss://a:65536", "wss://a:1x", "wss://a:-1", "wss://a:99999999999"}) {
    EXPECT_NE(error_of(port).find("port must be 1 to 65535"), std::string::npos) << port;
  }
  EXPECT_NE(error_of("").find("URL ''"), std::string::npos);
}

TEST(Url, UserInfoIsShownNowhere) {
  EXPECT_EQ(without_user_info("wss://user:secret@host:1/path"), "wss://***@host:1/path");
  EXPECT_EQ(without_user_info("wss://host:1/path"), "wss://host:1/path");
  EXPECT_EQ(without_user_info("user:secret@host"), "***@host");
  EXPECT_EQ(without_user_info("http://user:sec@ret/ @host"), "http://***@host");
  EXPECT_EQ(without_user_info(""), "");
  for (const char* url : {"wss://user:secret@host", "ftp://user:secret@host", "wss://user:secret @host",
                          "user:secret@host", "wss://user:secret/@host", "wss://user:secret?@host",
                          "wss://user:secret#@host", "wss://[secret@host"}) {
    const std::string error = error_of(url);
    EXPECT_NE(error.find("***@host"), std::string::npos) << error;
    EXPECT_EQ(error.find("secret"), std::string::npos) << error;
  }
}

TEST(Url, LoopbackHostsAreRecognized) {
  for (const char* host : {"localhost", "sim.localhost", "127.0.0.1", "127.255.0.9", "::1"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host :
       {"", "localhost.example.com", "127.0.0.1.example.com", "127.0.0", "127.0.0.256", "128.0.0.1",
        "127.0.0.1.1", "0.0.0.0", "::2", "notlocalhost", "127.a.b.c", "127"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

}  // namespace
}  // namespace mdp::net
