// All of mdp::shm: what a program includes that reads a segment. It begins with mdp::shm::Subscriber:
//
//   Subscriber feed;
//   if (feed.open("mdp") != AttachStatus::Ok) ...
//   Event event;
//   for (ReadStatus status; !ended(status = feed.wait(event));) {
//     if (status != ReadStatus::Ok) continue;  // Lapped: feed.ring().lost_events() were lost
//     if (const TradeBody* trade = event.get_if<TradeBody>()) ... trade->price ...
//   }
//
// event.hpp has the records, directory.hpp the instruments, book_table.hpp the present books, book_keeper.hpp
// a book that is kept up to date. Each header can be included alone, and docs/reading.md has whole programs.
#pragma once

#include "mdp/shm/book_keeper.hpp"
#include "mdp/shm/book_table.hpp"
#include "mdp/shm/decimal.hpp"
#include "mdp/shm/directory.hpp"
#include "mdp/shm/event.hpp"
#include "mdp/shm/event_batch.hpp"
#include "mdp/shm/layout.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/shm/names.hpp"
#include "mdp/shm/ring_reader.hpp"
#include "mdp/shm/segment_view.hpp"
#include "mdp/shm/subscriber.hpp"
#include "mdp/shm/wait.hpp"
