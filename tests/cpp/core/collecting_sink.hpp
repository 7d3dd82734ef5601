// CollectingSink: a MessageSink that keeps every committed message, for tests of parsers and writers.
#pragma once

#include <algorithm>
#include <vector>

#include "mdp/core/sinks.hpp"

namespace mdp::core {

// Gives out a slot full of rubbish each time: what a stage forgets to write shows.
class CollectingSink final : public MessageSink {
 public:
  CollectingSink() { renew(); }

  void commit() noexcept override {
    messages.push_back(slot_storage_);
    renew();
  }
  void clear() { messages.clear(); }

  std::vector<NormalizedMessage> messages;

 private:
  void renew() {
    std::memset(static_cast<void*>(&slot_storage_), 0xA5, sizeof(slot_storage_));
    slot_ = &slot_storage_;
  }

  NormalizedMessage slot_storage_;
};

// The chunks of one update put together again, with what is wrong with their flags.
struct Update {
  MessageHeader header{};
  std::vector<PriceLevel> bids, asks;
  bool flags_right = true;
};

inline Update join_chunks(const std::vector<NormalizedMessage>& chunks) {
  Update update;
  bool asks_began = false;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const NormalizedMessage& chunk = chunks[i];
    if (i == 0) update.header = chunk.header;
    const bool last = i + 1 == chunks.size();
    update.flags_right = update.flags_right && chunk.has(kFirst) == (i == 0) && chunk.has(kLast) == last &&
                         chunk.header.update_type == update.header.update_type &&
                         chunk.level_count() <= kMaxMessageLevels &&
                         !(asks_began && chunk.header.bid_count != 0);
    asks_began = asks_began || chunk.header.ask_count != 0;
    update.bids.insert(update.bids.end(), chunk.bids(), chunk.bids() + chunk.header.bid_count);
    update.asks.insert(update.asks.end(), chunk.asks(), chunk.asks() + chunk.header.ask_count);
  }
  return update;
}

}  // namespace mdp::core
