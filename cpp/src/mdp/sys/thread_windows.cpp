#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <bit>
#include <cstdint>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/sys/thread.hpp"

namespace mdp::sys {
namespace {

// Cores this process may use, one bit each (of its processor group: 64 at most).
DWORD_PTR allowed_cores() noexcept {
  DWORD_PTR process = 0;
  DWORD_PTR system = 0;
  return ::GetProcessAffinityMask(::GetCurrentProcess(), &process, &system) != 0 ? process : 0;
}

std::string spelled(DWORD_PTR cores) {
  std::string text;
  for (int core = 0; core < 64; ++core) {
    if ((cores >> core & 1) != 0) text += (text.empty() ? "" : ",") + std::to_string(core);
  }
  return text;
}

}  // namespace

std::size_t available_cores() noexcept {
  const int count = std::popcount(static_cast<std::uint64_t>(allowed_cores()));
  if (count > 0) return static_cast<std::size_t>(count);
  const unsigned known = std::thread::hardware_concurrency();
  return known == 0 ? 1 : known;
}

void set_thread_name(const std::string& name) noexcept {
  // Windows 10 and newer; looked up, so that the program still starts on older ones.
  using SetDescription = HRESULT(WINAPI*)(HANDLE, PCWSTR);
  const HMODULE kernel = ::GetModuleHandleA("kernel32.dll");
  if (kernel == nullptr) return;
  // The only way to a function of a library that may lack it.
  const auto set = reinterpret_cast<SetDescription>(
      reinterpret_cast<void*>(::GetProcAddress(kernel, "SetThreadDescription")));
  if (set == nullptr) return;
  wchar_t wide[16] = {};
  for (std::size_t i = 0; i < 15 && i < name.size(); ++i) wide[i] = static_cast<unsigned char>(name[i]);
  set(::GetCurrentThread(), wide);
}

void pin_thread(int core) {
  if (core < 0) return;
  if (core >= 64 || ::SetThreadAffinityMask(::GetCurrentThread(), DWORD_PTR{1} << core) == 0) {
    throw ConfigError("cannot pin a thread to core " + std::to_string(core) +
                      ": this process may use cores " + spelled(allowed_cores()) +
                      "; name one of those, or -1 for no pinning");
  }
}

}  // namespace mdp::sys
