#include "mdp/replay/event_lines.hpp"

#include "mdp/core/sinks.hpp"
#include "mdp/core/text.hpp"
#include "mdp/shm/decimal.hpp"
#include "mdp/shm/names.hpp"

namespace mdp::replay {
namespace {

void append_number(std::string_view key, std::int64_t value, std::string& text) {
  text.append(",\"").append(key).append("\":").append(std::to_string(value));
}

// An id counts up to 2^64.
void append_id(std::string_view key, std::uint64_t value, std::string& text) {
  text.append(",\"").append(key).append("\":").append(std::to_string(value));
}

void append_word(std::string_view key, std::string_view word, std::string& text) {
  text.append(",\"").append(key).append("\":\"").append(word).append("\"");
}

void append_decimal(std::string_view key, std::int64_t mantissa, int exponent, std::string& text) {
  text.append(",\"").append(key).append("\":\"");
  shm::append_decimal(text, mantissa, exponent);
  text.append("\"");
}

void append_sides(std::string_view bids, std::string_view asks, std::string& text) {
  text.append(",\"bids\":[").append(bids).append("],\"asks\":[").append(asks).append("]");
}

}  // namespace

void append_json_string(std::string_view words, std::string& text) {
  text += core::quoted(words, std::string::npos);  // without control characters JSON escapes these two alone
}

void append_levels(shm::LevelSpan levels, int price_exponent, int quantity_exponent, std::string& text) {
  for (const shm::PriceLevel& level : levels) {
    text.append(text.empty() || text.back() == '[' ? "[\"" : ",[\"");
    shm::append_decimal(text, level.price, price_exponent);
    text.append("\",\"");
    shm::append_decimal(text, level.quantity, quantity_exponent);
    text.append("\"]");
  }
}

EventLines::EventLines(std::string_view venue, const std::vector<core::Instrument>& instruments) {
  std::string head(",\"venue\":");
  append_json_string(venue, head);
  head.append(",\"symbol\":");
  no_symbol_ = head;
  no_symbol_.append("null");
  for (const core::Instrument& instrument : instruments) {
    std::string names = head;
    append_json_string(instrument.canonical_symbol, names);
    symbols_.push_back({std::move(names), instrument.price_exponent, instrument.quantity_exponent});
  }
}

void EventLines::append_head(std::string_view type, const std::string& names, const shm::EventHeader& header,
                             std::string& text) const {
  text.append("{\"type\":\"").append(type).append("\"").append(names);
  append_id("update_id", header.update_id, text);
  append_number("exch_ts_ns", header.exch_ts_ns, text);
  append_number("recv_ts_ns", header.recv_ts_ns, text);
}

void EventLines::append(const shm::Event& event, std::string& text) {
  const shm::EventHeader& header = event.header;
  if ((header.flags & (core::kFlagTableOnly | shm::kFlagTop)) != 0) return;
  if (header.type == shm::EventType::ConnectionStatus) {
    append_head("connection_status", no_symbol_, header, text);
    append_number("line", event.connection_status.line, text);
    append_word("state", to_string(event.connection_status.state), text);
    text.append("}\n");
    return;
  }
  if (header.symbol_id >= symbols_.size()) return;
  const Symbol& symbol = symbols_[header.symbol_id];
  const int price_exponent = symbol.price_exponent;
  const int quantity_exponent = symbol.quantity_exponent;
  switch (header.type) {
    case shm::EventType::BookDelta:
    case shm::EventType::BookSnapshot: {
      if ((header.flags & shm::kFlagFirst) != 0) {
        bids_.clear();
        asks_.clear();
      }
      append_levels(event.bids(), price_exponent, quantity_exponent, bids_);
      append_levels(event.asks(), price_exponent, quantity_exponent, asks_);
      if ((header.flags & shm::kFlagLast) == 0) return;
      const bool delta = header.type == shm::EventType::BookDelta;
      append_head(delta ? "book_delta" : "book_snapshot", symbol.names, header, text);
      append_id("first_update_id", header.first_update_id, text);
      append_sides(bids_, asks_, text);
      break;
    }
    case shm::EventType::Bbo: {
      const bool quote = (header.flags & shm::kFlagVenueQuote) != 0;
      append_head(quote ? "quote" : "bbo", symbol.names, header, text);
      bids_.clear();
      asks_.clear();
      const shm::BboBody& bbo = event.bbo;  // a zero quantity is an empty side
      append_levels({&bbo.bid, bbo.bid.quantity != 0 ? 1U : 0U}, price_exponent, quantity_exponent, bids_);
      append_levels({&bbo.ask, bbo.ask.quantity != 0 ? 1U : 0U}, price_exponent, quantity_exponent, asks_);
      append_sides(bids_, asks_, text);
      break;
    }
    case shm::EventType::Trade:
      append_head("trade", symbol.names, header, text);
      append_decimal("price", event.trade.price, price_exponent, text);
      append_decimal("quantity", event.trade.quantity, quantity_exponent, text);
      append_word("side", to_string(event.trade.side), text);
      append_id("trade_id", event.trade.trade_id, text);
      text.append((header.flags & shm::kFlagAggregate) != 0 ? ",\"aggregate\":true" : ",\"aggregate\":false");
      break;
    case shm::EventType::MarkPrice: {
      const shm::MarkPriceBody& body = event.mark_price;
      append_head("mark_price", symbol.names, header, text);
      append_decimal("mark_price", body.mark_price, price_exponent, text);
      append_decimal("index_price", body.index_price, price_exponent, text);
      append_decimal("settle_price", body.settle_price, price_exponent, text);
      append_decimal("funding_rate", body.funding_rate, shm::kFundingRateExponent, text);
      append_number("next_funding_ts_ns", body.next_funding_ts_ns, text);
      break;
    }
    case shm::EventType::Liquidation: {
      const shm::LiquidationBody& body = event.liquidation;
      append_head("liquidation", symbol.names, header, text);
      append_decimal("price", body.price, price_exponent, text);
      append_decimal("average_price", body.average_price, price_exponent, text);
      append_decimal("quantity", body.quantity, quantity_exponent, text);
      append_decimal("filled_quantity", body.filled_quantity, quantity_exponent, text);
      append_word("side", to_string(body.side), text);
      break;
    }
    case shm::EventType::BookState:
      append_head("book_state", symbol.names, header, text);
      append_word("state", to_string(event.book_state.state), text);
      append_word("reason", to_string(event.book_state.reason), text);
      if (event.book_state.known_bid != shm::kAllBids) {
        append_decimal("known_bid", event.book_state.known_bid, price_exponent, text);
      }
      if (event.book_state.known_ask != shm::kAllAsks) {
        append_decimal("known_ask", event.book_state.known_ask, price_exponent, text);
      }
      break;
    case shm::EventType::Padding:
    case shm::EventType::Instrument:
    case shm::EventType::ConnectionStatus:
      return;
  }
  text.append("}\n");
}

}  // namespace mdp::replay
