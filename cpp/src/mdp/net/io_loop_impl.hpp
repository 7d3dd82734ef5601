// Inside of IoLoop: the io_context, recycled handler memory, and the ready list that lets one socket read
// deliver all its frames before the kernel is asked again. Private to net (it includes Asio). Loop thread,
// unless said otherwise.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <array>
#include <atomic>
#include <boost/asio/associator.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <new>
#include <thread>
#include <type_traits>
#include <utility>

#include "mdp/net/io_loop.hpp"

namespace mdp::net {

namespace asio = boost::asio;
using error_code = boost::system::error_code;

// Blocks for handlers in flight, kept for the next one: after warm-up no operation allocates.
class RecycledMemory {
 public:
  RecycledMemory() = default;
  RecycledMemory(const RecycledMemory&) = delete;
  RecycledMemory& operator=(const RecycledMemory&) = delete;
  ~RecycledMemory() {
    for (Block* block : free_) {
      while (block != nullptr) ::operator delete(std::exchange(block, block->next));
    }
  }

  void* allocate(std::size_t bytes) {
    const std::size_t size_class = class_of(bytes);
    if (size_class >= kClasses) return ::operator new(bytes);
    if (Block* block = free_[size_class]) {
      free_[size_class] = block->next;
      return block;
    }
    return ::operator new(kSmallest << size_class);
  }

  void deallocate(void* memory, std::size_t bytes) noexcept {
    const std::size_t size_class = class_of(bytes);
    if (size_class >= kClasses) return ::operator delete(memory);
    free_[size_class] = ::new (memory) Block{free_[size_class]};
  }

 private:
  struct Block {
    Block* next;
  };
  static constexpr std::size_t kSmallest = 64;
  static constexpr std::size_t kClasses = 8;  // 64 B to 8 KiB; Beast's read operations take about 1 KiB

  static std::size_t class_of(std::size_t bytes) noexcept {
    std::size_t size_class = 0;
    while (size_class < kClasses && (kSmallest << size_class) < bytes) ++size_class;
    return size_class;
  }

  std::array<Block*, kClasses> free_{};
};

template <class T>
class RecycledAllocator {
 public:
  using value_type = T;

  explicit RecycledAllocator(RecycledMemory& memory) noexcept : memory_(&memory) {}
  template <class U>
  RecycledAllocator(const RecycledAllocator<U>& other) noexcept
      : memory_(other.memory_) {}  // NOLINT: as std's

  T* allocate(std::size_t n) { return static_cast<T*>(memory_->allocate(n * sizeof(T))); }
  void deallocate(T* memory, std::size_t n) noexcept { memory_->deallocate(memory, n * sizeof(T)); }
  friend bool operator==(const RecycledAllocator& a, const RecycledAllocator& b) noexcept {
    return a.memory_ == b.memory_;
  }

 private:
  template <class U>
  friend class RecycledAllocator;
  RecycledMemory* memory_;
};

// Continuations to run right after the present handler, in order. Asio's own post() would put each one behind
// another epoll_wait, and Beast posts freely.
class ReadyList {
 public:
  explicit ReadyList(RecycledMemory& memory) noexcept : memory_(memory) {}
  ReadyList(const ReadyList&) = delete;
  ReadyList& operator=(const ReadyList&) = delete;
  ~ReadyList() { clear(); }

  template <class Function>
  void push(Function&& function) {
    using Node = TaskNode<std::decay_t<Function>>;
    Node* node = ::new (memory_.allocate(sizeof(Node))) Node(std::forward<Function>(function));
    *tail_ = node;
    tail_ = &node->next;
  }

  bool empty() const noexcept { return head_ == nullptr; }

  void run_first() {
    Task* task = take();
    task->finish(task, memory_, true);
  }

  void clear() noexcept {
    while (head_ != nullptr) {
      Task* task = take();
      task->finish(task, memory_, false);
    }
  }

 private:
  struct Task {
    void (*finish)(Task*, RecycledMemory&, bool run);
    Task* next = nullptr;
  };
  template <class Function>
  struct TaskNode : Task {
    static_assert(alignof(Function) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    template <class F>
    explicit TaskNode(F&& f) : Task{&finish_node}, function(std::forward<F>(f)) {}

    static void finish_node(Task* task, RecycledMemory& memory, bool run) {
      auto* node = static_cast<TaskNode*>(task);
      Function function(std::move(node->function));
      // Freed first, so that what the function starts can take the same block.
      node->~TaskNode();
      memory.deallocate(node, sizeof(TaskNode));
      if (run) function();
    }

    Function function;
  };

  Task* take() noexcept {
    Task* task = head_;
    head_ = task->next;
    if (head_ == nullptr) tail_ = &head_;
    return task;
  }

  RecycledMemory& memory_;
  Task* head_ = nullptr;
  Task** tail_ = &head_;
};

struct IoLoop::Impl {
  Impl() : ready(memory), io(1), work(io.get_executor()) {}
  ~Impl() {
    // Both lists hold handlers that hold sockets: they go while io_context and memory still exist.
    ready.clear();
  }

  // The order matters: handlers die with `io`, and give their blocks back to `memory`.
  RecycledMemory memory;
  ReadyList ready;
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::function<void()> poll_hook;
  std::atomic<bool> stop_requested{false};
  std::atomic<std::thread::id> thread{};
};

// The executor of the message path. post() goes to the ready list; a completion is run in place, since it
// already is on the loop thread. Use from the loop thread only.
class LoopExecutor {
 public:
  explicit LoopExecutor(IoLoop::Impl& loop) noexcept : loop_(&loop) {}

  asio::execution_context& query(asio::execution::context_t) const noexcept { return loop_->io; }
  asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
    if (never_) return asio::execution::blocking_t::never_t();
    return asio::execution::blocking_t::possibly_t();
  }
  LoopExecutor require(asio::execution::blocking_t::never_t) const noexcept {
    return LoopExecutor(*loop_, true);
  }
  LoopExecutor require(asio::execution::blocking_t::possibly_t) const noexcept {
    return LoopExecutor(*loop_, false);
  }

  template <class Function>
  void execute(Function&& function) const {
    if (never_) {
      loop_->ready.push(std::forward<Function>(function));
    } else {
      std::decay_t<Function> local(std::forward<Function>(function));
      local();
    }
  }

  friend bool operator==(const LoopExecutor& a, const LoopExecutor& b) noexcept {
    return a.loop_ == b.loop_ && a.never_ == b.never_;
  }
  friend bool operator!=(const LoopExecutor& a, const LoopExecutor& b) noexcept { return !(a == b); }

 private:
  LoopExecutor(IoLoop::Impl& loop, bool never) noexcept : loop_(&loop), never_(never) {}

  IoLoop::Impl* loop_;
  bool never_ = false;
};

// A completion handler of the message path: its memory is recycled, its continuations go to the ready list.
template <class Function>
class LoopHandler {
 public:
  using executor_type = LoopExecutor;
  using allocator_type = RecycledAllocator<void>;

  LoopHandler(IoLoop::Impl& loop, Function function) : loop_(&loop), function_(std::move(function)) {}

  executor_type get_executor() const noexcept { return LoopExecutor(*loop_); }
  allocator_type get_allocator() const noexcept { return allocator_type(loop_->memory); }

  template <class... Args>
  void operator()(Args&&... args) {
    function_(std::forward<Args>(args)...);
  }

 private:
  IoLoop::Impl* loop_;
  Function function_;
};

}  // namespace mdp::net
