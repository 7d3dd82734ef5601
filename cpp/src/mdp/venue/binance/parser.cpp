// QuickScan or scan_document() finds where everything is; here the event named by `e` is built from it. Level
// arrays are read by core's own strict scanner.
#include "mdp/venue/binance/parser.hpp"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "mdp/core/level_scanner.hpp"
#include "mdp/core/level_writer.hpp"
#include "mdp/venue/binance/quick_scan.hpp"
#include "mdp/venue/binance/scan.hpp"

namespace mdp::venue::binance {
namespace {

using core::Instrument;
using core::MessageHeader;
using core::MessageSink;
using core::ParseStatus;
using core::UpdateType;

// Milliseconds or, with timeUnit=MICROSECOND, microseconds: told apart by magnitude. 9 * 10^12 is the year
// 2255 in milliseconds, April 1970 in microseconds; both products fit.
constexpr std::int64_t to_ns(std::uint64_t venue_time) noexcept {
  constexpr std::uint64_t kMicrosecondFloor = 9'000'000'000'000;
  constexpr std::uint64_t kLargest = 9'000'000'000'000'000;
  if (venue_time > kLargest) return 0;
  return static_cast<std::int64_t>(venue_time) * (venue_time > kMicrosecondFloor ? 1'000 : 1'000'000);
}

// Not inlined: its registers would be saved for every number of the usual shape.
[[gnu::noinline]] ParseStatus read_unusual_number(std::string_view text, int exponent,
                                                  std::int64_t& mantissa) noexcept {
  const char* end = nullptr;
  const core::NumberStatus status = core::parse_decimal(text.data(), exponent, mantissa, end);
  return end == text.data() + text.size() ? core::to_parse_status(status) : ParseStatus::BadNumber;
}

// A quoted number; 24 bytes from its beginning on are readable.
ParseStatus read_number(std::string_view text, int exponent, std::int64_t& mantissa) noexcept {
  unsigned length = 0;
  if (exponent == core::kQuickExponent && core::quick_decimal(text.data(), mantissa, length) &&
      length == text.size()) [[likely]] {
    return ParseStatus::Ok;
  }
  return read_unusual_number(text, exponent, mantissa);
}

// A price or quantity that is not below `least`.
ParseStatus read_number_from(std::int64_t least, std::string_view text, int exponent,
                             std::int64_t& mantissa) noexcept {
  const ParseStatus status = read_number(text, exponent, mantissa);
  return status == ParseStatus::Ok && mantissa < least ? ParseStatus::BadNumber : status;
}

ParseStatus scan_sides(std::string_view bids, std::string_view asks, const Instrument& instrument,
                       core::LevelWriter& writer, core::ParseFailure& failure) noexcept {
  const ParseStatus status = core::scan_levels(bids, instrument, writer, failure);
  if (status != ParseStatus::Ok) return status;
  writer.begin_asks();
  return core::scan_levels(asks, instrument, writer, failure);
}

// One side of a quote; an empty one is all zero.
ParseStatus read_best(std::string_view price, std::string_view quantity, const Instrument& instrument,
                      core::PriceLevel& level) noexcept {
  ParseStatus status = read_number_from(0, price, instrument.price_exponent, level.price);
  if (status == ParseStatus::Ok) {
    status = read_number_from(0, quantity, instrument.quantity_exponent, level.quantity);
  }
  return status == ParseStatus::Ok && level.price == 0 && level.quantity != 0 ? ParseStatus::BadNumber
                                                                              : status;
}

// All of the update, or on an error an Invalidate.
ParseStatus write_levels(std::string_view bids, std::string_view asks, const Instrument& instrument,
                         core::LevelWriter& writer, core::ParseFailure& failure) noexcept {
  const ParseStatus status = scan_sides(bids, asks, instrument, writer, failure);
  if (status == ParseStatus::Ok) {
    writer.finish();
  } else {
    writer.abandon(shm::StateReason::ParseError);
  }
  return status;
}

// Streams of other books, whose events futures call depthUpdate too and which look like deltas: the best 5,
// 10 or 20 levels (`<s>@depth5@100ms`), and the book with retail price improvement (`<s>@rpiDepth@500ms`).
bool is_other_book(std::string_view stream) noexcept {
  const std::size_t at = stream.find('@');
  if (at == std::string_view::npos) return false;
  const std::string_view channel = stream.substr(at + 1);
  constexpr std::string_view kDepth = "depth";
  return channel.starts_with("rpiDepth") ||
         (channel.starts_with(kDepth) && channel.size() > kDepth.size() && channel[kDepth.size()] != '@');
}

class BinanceParser final : public core::Parser {
 public:
  BinanceParser(Family family, const core::SymbolTable& symbols, core::ExchangeId exchange_id)
      : symbols_(symbols), exchange_id_(exchange_id), family_(family) {}

  ParseStatus parse(const core::RawMessage& raw, MessageSink& sink) noexcept override {
    handed_on_ = 0;
    fields_.reset();
    QuickScan scan(raw.data, raw.size, fields_);
    const QuickScan::Stop stop = scan.begin();
    if (stop == QuickScan::Stop::End) return interpret(raw, fields_, true, sink);
    if (stop == QuickScan::Stop::Bids && try_depth(raw, fields_, scan, sink)) [[likely]]
      return ParseStatus::Ok;
    fields_.reset();
    const bool whole = scan_document(json_, raw.data, raw.size, fields_);
    return interpret(raw, fields_, whole, sink);
  }

 private:
  // The time is that of the matching engine where the event has it, else that of sending.
  MessageHeader header_of(const core::RawMessage& raw, const Fields& fields,
                          const Instrument* instrument) const noexcept {
    MessageHeader header{};
    header.recv_ts_ns = raw.recv_ts_ns;
    header.exch_ts_ns = to_ns(fields.has(kEngineTime) ? fields.engine_time : fields.event_time);
    header.symbol_id = instrument ? instrument->symbol_id : core::kNoSymbol;
    header.exchange_id = exchange_id_;
    header.line_id = raw.line_id;
    return header;
  }

  // What has been found becomes a message; `whole` is false where the frame is not what the venue sends.
  ParseStatus interpret(const core::RawMessage& raw, const Fields& fields, bool whole,
                        MessageSink& sink) noexcept {
    const Instrument* const instrument = fields.has(kSymbol) ? symbols_.find(fields.symbol) : nullptr;
    MessageHeader header = header_of(raw, fields, instrument);
    invalidated_ = false;
    const ParseStatus status =
        whole ? dispatch(fields, instrument, header, sink) : ParseStatus::MalformedFrame;
    if (status == ParseStatus::MalformedFrame) [[unlikely]]
      on_malformed(fields, instrument, header, sink);
    return status;
  }

  // Levels report their own errors; a trade or quote that can't be read says nothing of the book.
  [[gnu::cold, gnu::noinline]] void on_malformed(const Fields& fields, const Instrument* instrument,
                                                 const MessageHeader& header, MessageSink& sink) noexcept {
    last_failure_ = {};
    if (instrument == nullptr) return;
    last_failure_.symbol = instrument->symbol_id;
    const bool may_be_book = !fields.has(kEvent) || fields.event == "depthUpdate";
    if (may_be_book && !invalidated_) {
      core::LevelWriter::invalidate(sink, header, shm::StateReason::ParseError);
    }
  }

  // One number of an event that is no book update, and the exponent it was read at.
  struct Number {
    std::string_view text;
    int exponent;
  };

  // Notes which of `numbers` came to that status. Gives the status.
  [[gnu::cold, gnu::noinline]] ParseStatus refuse(ParseStatus status, const Instrument& instrument,
                                                  std::initializer_list<Number> numbers) noexcept {
    last_failure_ = {};
    last_failure_.symbol = instrument.symbol_id;
    if (status == ParseStatus::BadNumber) return status;
    for (const Number& number : numbers) {
      std::int64_t ignored = 0;
      if (number.text.empty() || read_unusual_number(number.text, number.exponent, ignored) != status)
        continue;
      last_failure_.set_number(number.text, number.exponent);
      break;
    }
    return status;
  }
  // Not inlined: the usual quote and trade would pay for it.
  [[gnu::cold, gnu::noinline]] ParseStatus refuse_quote(ParseStatus status, const Instrument& instrument,
                                                        const Fields& fields) noexcept {
    const int price = instrument.price_exponent;
    const int quantity = instrument.quantity_exponent;
    return refuse(status, instrument,
                  {{fields.bids, price},
                   {fields.bid_quantity, quantity},
                   {fields.asks, price},
                   {fields.ask_quantity, quantity}});
  }
  [[gnu::cold, gnu::noinline]] ParseStatus refuse_trade(ParseStatus status, const Instrument& instrument,
                                                        const Fields& fields) noexcept {
    return refuse(
        status, instrument,
        {{fields.price, instrument.price_exponent}, {fields.quantity, instrument.quantity_exponent}});
  }

  // The usual delta of a known symbol, scanned up to its bids: they and the asks end it, but for members that
  // mean nothing to us. False: it is something else or wrong, and what has gone into the sink are leading
  // chunks (handed_on_) of what the general reading will find there too.
  [[gnu::always_inline]] bool try_depth(const core::RawMessage& raw, const Fields& fields, QuickScan& scan,
                                        MessageSink& sink) noexcept {
    if (fields.event != "depthUpdate" || !is_delta(fields)) return false;
    const Instrument* const instrument = symbols_.find(fields.symbol);
    if (instrument == nullptr || is_of_other_book(fields)) return false;
    MessageHeader header = header_of(raw, fields, instrument);
    add_ids(fields, header);
    core::LevelWriter writer(sink, header);
    const auto side = [&] {
      const char* at = scan.at();
      const ParseStatus status = core::scan_levels(at, raw.data + raw.size, *instrument, writer);
      scan.go_on(at);
      return status == ParseStatus::Ok;
    };
    bool whole = side() && scan.asks_follow();
    writer.begin_asks();
    whole = whole && side() && scan.ends();
    if (!whole) [[unlikely]] {
      handed_on_ = writer.chunks();
      return false;
    }
    writer.finish();
    return true;
  }

  // Levels aside.
  bool is_delta(const Fields& fields) const noexcept {
    return fields.has(kEventTime | kSymbol | kFirstId | kLastId) && fields.first_id <= fields.last_id &&
           (family_ == Family::Spot || fields.has(kPrevId));
  }
  bool is_of_other_book(const Fields& fields) const noexcept {
    return family_ == Family::Futures && is_other_book(fields.stream);
  }
  static void add_ids(const Fields& fields, MessageHeader& header) noexcept {
    header.update_type = UpdateType::Delta;
    header.first_update_id = fields.first_id;
    header.last_update_id = fields.last_id;
    header.prev_update_id = fields.prev_id;
  }

  ParseStatus dispatch(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                       MessageSink& sink) noexcept {
    if (!fields.has(kEvent)) {
      if (fields.has(kSymbol | kLastId | kBidPrice)) return quote(fields, instrument, header, sink);
      if (fields.seen & (kCode | kError) || fields.has(kReplyId | kResult)) return reply(fields);
      return fields.seen & (kLastUpdateId | kArray) ? ParseStatus::Ignored : ParseStatus::MalformedFrame;
    }
    if (fields.event == "depthUpdate") return depth(fields, instrument, header, sink);
    if (fields.event == "bookTicker") return quote_of_event(fields, instrument, header, sink);
    if (fields.event == "trade") return trade(fields, instrument, header, sink, kTradeId);
    if (fields.event == "aggTrade") return trade(fields, instrument, header, sink, kAggregateId);
    if (fields.event == "markPriceUpdate") return mark_price(fields, instrument, header, sink);
    if (fields.event == "forceOrder") return liquidation(fields, header, sink);
    if (fields.event == "serverShutdown") return ParseStatus::Shutdown;
    return ParseStatus::Ignored;
  }

  // {"stream":"busdtry@depth@100ms","data":{"e":"depthUpdate","E":1618677372122,"s":"BUSDTRY","U":10166139,
  //  "u":10166139,"b":[],"a":[["8.14000000","107821.20000000"]]}}
  // Futures add "T":1618677448043 and "pu":335340581994, COIN-M also "ps":"BCHUSD". "pu":-1 is in the first
  // event of a book: none of the symbol came before. It says nothing of what it follows, and the ids, which
  // all symbols share, say that nothing is missing for who knows the book up to U - 1.
  ParseStatus depth(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                    MessageSink& sink) noexcept {
    if (!is_delta(fields) || !fields.has(kBidLevels | kAskLevels)) return ParseStatus::MalformedFrame;
    if (instrument == nullptr || is_of_other_book(fields)) return ParseStatus::Ignored;
    add_ids(fields, header);
    if (fields.has(kNoPrevId)) header.prev_update_id = fields.first_id - (fields.first_id != 0 ? 1 : 0);
    core::LevelWriter writer(sink, header, handed_on_);
    const ParseStatus status = write_levels(fields.bids, fields.asks, *instrument, writer, last_failure_);
    invalidated_ = status != ParseStatus::Ok;
    return status;
  }

  // {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",
  //  "q":"0.02000000","T":1723161255342,"m":true,"M":true}}                   futures: "X":"MARKET" instead of "M"
  // {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1617566591315,"s":"BTCUSDT","a":665076760,
  //  "p":"58001.03000000","q":"0.08620500","f":745522877,"l":745522877,"T":1617566591314,"m":true,"M":true}}
  ParseStatus trade(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                    MessageSink& sink, Has id_bit) noexcept {
    if (!fields.has(kEventTime | kSymbol | kEngineTime | kPrice | kQuantity | kMaker | id_bit)) {
      return ParseStatus::MalformedFrame;
    }
    if (instrument == nullptr) return ParseStatus::Ignored;
    // INSURANCE_FUND, ADL and the like move positions outside the book, some at price 0: no trades of the
    // market.
    if (family_ == Family::Futures && fields.has(kTradeKind) && fields.trade_kind != "MARKET") {
      return ParseStatus::Ignored;
    }
    core::Trade body{};
    ParseStatus status = read_number_from(1, fields.price, instrument->price_exponent, body.price);
    if (status == ParseStatus::Ok) {
      status = read_number_from(1, fields.quantity, instrument->quantity_exponent, body.quantity);
    }
    if (status != ParseStatus::Ok) return refuse_trade(status, *instrument, fields);
    body.trade_id = id_bit == kTradeId ? fields.trade_id : fields.aggregate_id;
    body.side = fields.buyer_is_maker ? core::Side::Sell : core::Side::Buy;  // the aggressor's
    header.update_type = UpdateType::Trade;
    header.flags = static_cast<std::uint16_t>(core::kFirst | core::kLast |
                                              (id_bit == kAggregateId ? core::kAggregate : 0));
    sink.slot().header = header;
    sink.slot().trade = body;
    sink.commit();
    return ParseStatus::Ok;
  }

  // {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20",
  //  "B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}              futures
  ParseStatus quote_of_event(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                             MessageSink& sink) noexcept {
    if (!fields.has(kEventTime | kSymbol | kLastId)) return ParseStatus::MalformedFrame;
    return quote(fields, instrument, header, sink);
  }

  // {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",
  //  "a":"61837.64000000","A":"1.54698000"}}                                  spot: no event type and no time
  ParseStatus quote(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                    MessageSink& sink) noexcept {
    if (!fields.has(kBidPrice | kBidQuantity | kAskPrice | kAskQuantity)) return ParseStatus::MalformedFrame;
    if (instrument == nullptr) return ParseStatus::Ignored;
    core::PriceLevel bid{};
    core::PriceLevel ask{};
    ParseStatus status = read_best(fields.bids, fields.bid_quantity, *instrument, bid);
    if (status == ParseStatus::Ok) status = read_best(fields.asks, fields.ask_quantity, *instrument, ask);
    if (status != ParseStatus::Ok) return refuse_quote(status, *instrument, fields);
    header.update_type = UpdateType::Quote;
    header.first_update_id = fields.last_id;
    header.last_update_id = fields.last_id;
    header.flags = core::kFirst | core::kLast;
    header.bid_count = 1;
    header.ask_count = 1;
    sink.slot().header = header;
    sink.slot().levels[0] = bid;
    sink.slot().levels[1] = ask;
    sink.commit();
    return ParseStatus::Ok;
  }

  // {"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091",
  //  "P":"11784.25641265","r":"0.00038167","T":1562306400000}
  // A delivery contract has no funding: "r":"","T":0.
  ParseStatus mark_price(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                         MessageSink& sink) noexcept {
    if (!fields.has(kEventTime | kSymbol | kPrice | kFundingRate | kEngineTime) || fields.has(kOther)) {
      return ParseStatus::MalformedFrame;
    }
    if (instrument == nullptr) return ParseStatus::Ignored;
    const int exponent = instrument->price_exponent;
    shm::MarkPriceBody body{};
    ParseStatus status = read_number_from(0, fields.price, exponent, body.mark_price);
    if (status == ParseStatus::Ok && fields.has(kIndexPrice)) {
      status = read_number_from(0, fields.index_price, exponent, body.index_price);
    }
    if (status == ParseStatus::Ok && fields.has(kSettlePrice)) {
      status = read_number_from(0, fields.settle_price, exponent, body.settle_price);
    }
    if (status == ParseStatus::Ok && !fields.funding_rate.empty()) {
      status = read_number(fields.funding_rate, shm::kFundingRateExponent, body.funding_rate);
      body.next_funding_ts_ns = to_ns(fields.engine_time);  // `T` is of the funding here
    }
    if (status != ParseStatus::Ok) {
      return refuse(status, *instrument,
                    {{fields.price, exponent},
                     {fields.has(kIndexPrice) ? fields.index_price : "", exponent},
                     {fields.has(kSettlePrice) ? fields.settle_price : "", exponent},
                     {fields.funding_rate, shm::kFundingRateExponent}});
    }
    header.exch_ts_ns = to_ns(fields.event_time);
    header.update_type = UpdateType::MarkPrice;
    header.flags = core::kFirst | core::kLast;
    sink.slot().header = header;
    sink.slot().mark_price = body;
    sink.commit();
    return ParseStatus::Ok;
  }

  // {"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910",
  //  "ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893}}
  ParseStatus liquidation(const Fields& fields, MessageHeader& header, MessageSink& sink) noexcept {
    const OrderFields& order = fields.order;
    const bool is_buy = order.side == "BUY";
    if (!fields.has(kEventTime | kOrder) || fields.has(kOther) ||
        !order.has(kOrderSymbol | kOrderSide | kOrderQuantity | kOrderPrice | kOrderFilled | kOrderTime) ||
        (!is_buy && order.side != "SELL")) {
      return ParseStatus::MalformedFrame;
    }
    const Instrument* const instrument = symbols_.find(order.symbol);
    if (instrument == nullptr) return ParseStatus::Ignored;
    shm::LiquidationBody body{};
    ParseStatus status = read_number_from(1, order.price, instrument->price_exponent, body.price);
    if (status == ParseStatus::Ok) {
      status = read_number_from(1, order.quantity, instrument->quantity_exponent, body.quantity);
    }
    if (status == ParseStatus::Ok) {
      status = read_number_from(0, order.filled, instrument->quantity_exponent, body.filled_quantity);
    }
    if (status == ParseStatus::Ok && order.has(kOrderAverage)) {
      status = read_number_from(0, order.average, instrument->price_exponent, body.average_price);
    }
    if (status != ParseStatus::Ok) {
      return refuse(status, *instrument,
                    {{order.price, instrument->price_exponent},
                     {order.quantity, instrument->quantity_exponent},
                     {order.filled, instrument->quantity_exponent},
                     {order.has(kOrderAverage) ? order.average : "", instrument->price_exponent}});
    }
    body.side = is_buy ? core::Side::Buy : core::Side::Sell;
    header.exch_ts_ns = to_ns(order.time);
    header.symbol_id = instrument->symbol_id;
    header.update_type = UpdateType::Liquidation;
    header.flags = core::kFirst | core::kLast;
    sink.slot().header = header;
    sink.slot().liquidation = body;
    sink.commit();
    return ParseStatus::Ok;
  }

  // {"result":null,"id":1}   {"code":2,"msg":"Invalid request: ..."} {"error":{"code":2,"msg":"..."},"id":1}
  ParseStatus reply(const Fields& fields) noexcept {
    last_reply_.request_id = fields.reply_id;
    last_reply_.code = fields.code;
    const std::size_t length = std::min(fields.message.size(), sizeof(last_reply_.text) - 1);
    if (length != 0) std::memcpy(last_reply_.text, fields.message.data(), length);
    last_reply_.text[length] = '\0';
    return fields.seen & (kCode | kError) ? ParseStatus::VenueError : ParseStatus::Ack;
  }

  const core::SymbolTable& symbols_;
  core::ExchangeId exchange_id_;
  Family family_;
  simdjson::ondemand::parser json_;
  Fields fields_;                // of the frame in hand
  std::uint16_t handed_on_ = 0;  // chunks of this frame's delta that are in the sink already
  bool invalidated_ = false;     // this frame's Invalidate is already in the sink
};

}  // namespace

std::unique_ptr<core::Parser> make_parser(Family family, const core::SymbolTable& symbols,
                                          core::ExchangeId exchange_id) {
  return std::make_unique<BinanceParser>(family, symbols, exchange_id);
}

// {"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[["61837.64000000","1.54698000"]]}
// Futures add "E":1723161256501,"T":1723161256493, COIN-M also "symbol" and "pair".
core::ParseStatus parse_snapshot(std::string_view body, const Instrument& instrument,
                                 std::uint16_t depth_limit, std::int64_t recv_ts_ns, MessageSink& sink,
                                 core::ParseFailure& failure) {
  simdjson::ondemand::parser json;
  Fields fields;
  if (!scan_document(json, body.data(), body.size(), fields) || !fields.has(kLastUpdateId | kBids | kAsks) ||
      fields.has(kCombined)) {
    failure = {};
    failure.symbol = instrument.symbol_id;
    return ParseStatus::MalformedFrame;
  }
  MessageHeader header{};
  header.exch_ts_ns = to_ns(fields.has(kEngineTime) ? fields.engine_time : fields.event_time);
  header.recv_ts_ns = recv_ts_ns;
  header.symbol_id = instrument.symbol_id;
  header.exchange_id = instrument.exchange_id;
  header.update_type = UpdateType::Snapshot;
  header.depth_limit = depth_limit;
  header.first_update_id = fields.snapshot_id;
  header.last_update_id = fields.snapshot_id;
  core::LevelWriter writer(sink, header);
  return write_levels(fields.snapshot_bids, fields.snapshot_asks, instrument, writer, failure);
}

}  // namespace mdp::venue::binance
