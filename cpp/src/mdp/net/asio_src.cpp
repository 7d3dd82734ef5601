// Asio and Beast, compiled once (BOOST_ASIO_SEPARATE_COMPILATION): every other file includes declarations
// only.
#include "mdp/net/boost_config.hpp"
//
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
