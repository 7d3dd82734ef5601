// SpscQueue: the one name under which every stage uses a single-producer single-consumer queue.
//
// rigtorp::SPSCQueue where CMake found its header (or MDP_QUEUE=rigtorp), else OwnSpscQueue with the same
// interface.
#pragma once

#ifdef MDP_HAVE_RIGTORP_SPSC
#include <rigtorp/SPSCQueue.h>
#else
#include "mdp/queue/own_spsc_queue.hpp"
#endif

namespace mdp::queue {

#ifdef MDP_HAVE_RIGTORP_SPSC
template <class T>
using SpscQueue = rigtorp::SPSCQueue<T>;
inline constexpr const char* kSpscQueueName = "rigtorp";
#else
template <class T>
using SpscQueue = OwnSpscQueue<T>;
inline constexpr const char* kSpscQueueName = "own";
#endif

}  // namespace mdp::queue
