// All of mdp::shm. A reader program usually needs mdp::shm::Subscriber.
#pragma once

#include "mdp/shm/book_table.hpp"
#include "mdp/shm/decimal.hpp"
#include "mdp/shm/directory.hpp"
#include "mdp/shm/event.hpp"
#include "mdp/shm/layout.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/shm/ring_reader.hpp"
#include "mdp/shm/segment_view.hpp"
#include "mdp/shm/seqlock.hpp"
#include "mdp/shm/subscriber.hpp"
#include "mdp/shm/wait.hpp"
