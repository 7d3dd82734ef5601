// The tests' own server has to be right before what it says of others counts.
#include "net/fake_server.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace mdp::net::test {

TEST(FakeServer, CertificatesAreWrittenAndRemoved) {
  std::string ca_file;
  {
    const Certificates certificates;
    ca_file = certificates.ca_file();
    EXPECT_TRUE(std::filesystem::exists(ca_file));
    EXPECT_TRUE(std::filesystem::exists(certificates.server_file(CertificateKind::UnknownCa)));
  }
  EXPECT_FALSE(std::filesystem::exists(ca_file));
}

TEST(FakeServer, FrameLengthsAreEncodedAsTheProtocolSays) {
  EXPECT_EQ(Connection::encode(1, "ab"), std::string("\x81\x02"
                                                     "ab"));
  EXPECT_EQ(Connection::encode(2, std::string(126, 'x')).substr(0, 4), std::string("\x82\x7E\x00\x7E", 4));
  EXPECT_EQ(Connection::encode(1, std::string(65'536, 'x'), false).substr(0, 10),
            std::string("\x01\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10));
}

}  // namespace mdp::net::test
