/* mdp_shm_os.h: what mdp_shm.h needs of the operating system: POSIX, or Windows.
 *
 * Included by mdp_shm.h. Alone it maps segments for a reader of your own: C99 (and C++), nothing but the C
 * library. Include it first, or define _POSIX_C_SOURCE as 200809L or more: strict C99 hides shm_open()
 * otherwise. Nothing here allocates. docs/wire-format.md, section 1, is what it follows.
 */
#pragma once

#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(_WIN32)
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include "mdp/shm/mdp_shm_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MDP_SHM_MAX_SEGMENT_NAME_LENGTH 200
#define MDP_SHM_HEADER_BYTES 1024 /* of a segment; what is shorter is still being made */

enum mdp_shm_attach_status {
  MDP_SHM_ATTACH_OK = 0,
  MDP_SHM_ATTACH_BAD_NAME = 1,
  MDP_SHM_ATTACH_NOT_FOUND = 2,
  MDP_SHM_ATTACH_NO_PERMISSION = 3,
  MDP_SHM_ATTACH_NOT_READY = 4, /* the publisher is still formatting it: try again */
  MDP_SHM_ATTACH_NOT_A_SEGMENT = 5,
  MDP_SHM_ATTACH_WRONG_VERSION = 6,
  MDP_SHM_ATTACH_CORRUPT = 7,
  MDP_SHM_ATTACH_SYSTEM_ERROR = 8 /* errno, or GetLastError(), says why */
};

/* A segment as it is mapped. The numbers tell it from another one of the same name: device and inode of the
 * object, on Windows 0 and the number in the locator. */
struct mdp_shm_mapping {
  const void* base;
  size_t size_bytes;
  uint64_t device;
  uint64_t inode;
};

/* acquire: no later load is moved before this one. Pairs with the publisher's release stores. */
MDP_SHM_INLINE uint64_t mdp_shm_load(const void* address) {
#if defined(_MSC_VER) && !defined(__clang__)
  /* An aligned 64-bit load is atomic on x64 and ordered by the processor; the barrier is for the compiler. */
  const uint64_t value = *(const volatile uint64_t*)address;
  _ReadWriteBarrier();
  return value;
#else
  return __atomic_load_n((const uint64_t*)address, __ATOMIC_ACQUIRE);
#endif
}

/* Length of a segment's name: 1 to 200 of A-Z a-z 0-9 . _ - and no leading dot. 0: it is none. */
MDP_SHM_INLINE size_t mdp_shm_name_length(const char* name) {
  size_t i;
  if (name == NULL || name[0] == '.') return 0;
  for (i = 0; name[i] != '\0'; ++i) {
    const char c = name[i];
    const int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const int digit = c >= '0' && c <= '9';
    if (i == MDP_SHM_MAX_SEGMENT_NAME_LENGTH || !(letter || digit || c == '.' || c == '_' || c == '-'))
      return 0;
  }
  return i;
}

/* For a spin: leaves the core to its other hardware thread, and the spin ends without a pipeline flush. */
MDP_SHM_INLINE void mdp_shm_os_relax(void) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64) || defined(_M_IX86)
  _mm_pause();
#endif
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

#if !defined(_WIN32)

MDP_SHM_INLINE int mdp_shm_status_of_errno(void) {
  if (errno == ENOENT) return MDP_SHM_ATTACH_NOT_FOUND;
  return errno == EACCES || errno == EPERM ? MDP_SHM_ATTACH_NO_PERMISSION : MDP_SHM_ATTACH_SYSTEM_ERROR;
}

/* Opens `name` for reading and looks at it; `fd` is the caller's to close. */
MDP_SHM_INLINE int mdp_shm_os_open(const char* name, int* fd, struct stat* info) {
  char path[MDP_SHM_MAX_SEGMENT_NAME_LENGTH + 2];
  const size_t length = mdp_shm_name_length(name);
  int status;
  if (length == 0) return MDP_SHM_ATTACH_BAD_NAME;
  path[0] = '/';
  memcpy(path + 1, name, length + 1);
  *fd = shm_open(path, O_RDONLY | O_CLOEXEC, 0);
  if (*fd < 0) return mdp_shm_status_of_errno();
  if (fstat(*fd, info) == 0) return MDP_SHM_ATTACH_OK;
  status = mdp_shm_status_of_errno();
  close(*fd);
  return status;
}

/* Maps the segment `name` for reading: OK, BAD_NAME, NOT_FOUND, NO_PERMISSION, NOT_READY, SYSTEM_ERROR. */
MDP_SHM_INLINE int mdp_shm_os_map(const char* name, struct mdp_shm_mapping* out) {
  struct stat info;
  void* base = MAP_FAILED;
  int fd;
  int status = mdp_shm_os_open(name, &fd, &info);
  if (status != MDP_SHM_ATTACH_OK) return status;
  if (info.st_size < MDP_SHM_HEADER_BYTES) {
    status = MDP_SHM_ATTACH_NOT_READY;
  } else {
    base = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) status = mdp_shm_status_of_errno();
  }
  close(fd);
  if (status != MDP_SHM_ATTACH_OK) return status;
  out->base = base;
  out->size_bytes = (size_t)info.st_size;
  out->device = (uint64_t)info.st_dev;
  out->inode = (uint64_t)info.st_ino;
  return MDP_SHM_ATTACH_OK;
}

/* The two numbers of the segment that bears `name` now, without mapping it. */
MDP_SHM_INLINE int mdp_shm_os_find(const char* name, uint64_t* device, uint64_t* inode) {
  struct stat info;
  int fd;
  const int status = mdp_shm_os_open(name, &fd, &info);
  if (status != MDP_SHM_ATTACH_OK) return status;
  close(fd);
  *device = (uint64_t)info.st_dev;
  *inode = (uint64_t)info.st_ino;
  return MDP_SHM_ATTACH_OK;
}

MDP_SHM_INLINE void mdp_shm_os_unmap(const void* base, size_t size_bytes) {
  /* munmap() takes a pointer to mutable memory although it changes none. */
  munmap((void*)(uintptr_t)base, size_bytes);
}

/* Whether there is a process `pid`. */
MDP_SHM_INLINE int mdp_shm_os_process_exists(uint32_t pid) {
  return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

MDP_SHM_INLINE int64_t mdp_shm_os_clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
/* Since the Unix epoch: the publisher's heartbeat is of this clock. */
MDP_SHM_INLINE int64_t mdp_shm_os_wall_clock_ns(void) { return mdp_shm_os_clock_ns(CLOCK_REALTIME); }
/* Never set back: for timeouts. */
MDP_SHM_INLINE int64_t mdp_shm_os_steady_clock_ns(void) { return mdp_shm_os_clock_ns(CLOCK_MONOTONIC); }

MDP_SHM_INLINE void mdp_shm_os_yield(void) { sched_yield(); }
/* The shortest sleep that is one: 50 us, on Windows 1 ms; the system makes both longer. */
MDP_SHM_INLINE void mdp_shm_os_sleep(void) {
  struct timespec pause;
  pause.tv_sec = 0;
  pause.tv_nsec = 50000;
  nanosleep(&pause, NULL);
}

#else /* _WIN32 */

/* <windows.h> defines hundreds of macros, so the few functions used are declared here as they stand there; a
 * program may include both, in either order. */
struct _FILETIME;
union _LARGE_INTEGER;
__declspec(dllimport) void* __stdcall OpenFileMappingA(unsigned long access, int inherit, const char* name);
__declspec(dllimport) void* __stdcall MapViewOfFile(void* mapping, unsigned long access,
                                                    unsigned long offset_high, unsigned long offset_low,
                                                    size_t size_bytes);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void* base);
__declspec(dllimport) void* __stdcall OpenProcess(unsigned long access, int inherit, unsigned long pid);
__declspec(dllimport) unsigned long __stdcall WaitForSingleObject(void* handle, unsigned long milliseconds);
__declspec(dllimport) int __stdcall CloseHandle(void* handle);
__declspec(dllimport) unsigned long __stdcall GetLastError(void);
__declspec(dllimport) void __stdcall GetSystemTimeAsFileTime(struct _FILETIME* time);
__declspec(dllimport) int __stdcall QueryPerformanceCounter(union _LARGE_INTEGER* count);
__declspec(dllimport) int __stdcall QueryPerformanceFrequency(union _LARGE_INTEGER* per_second);
__declspec(dllimport) int __stdcall SwitchToThread(void);
__declspec(dllimport) void __stdcall Sleep(unsigned long milliseconds);

#define MDP_SHM_WIN_FILE_MAP_READ 0x0004UL
#define MDP_SHM_WIN_SYNCHRONIZE 0x00100000UL
#define MDP_SHM_WIN_WAIT_TIMEOUT 258UL
#define MDP_SHM_WIN_FILE_NOT_FOUND 2UL
#define MDP_SHM_WIN_ACCESS_DENIED 5UL
#define MDP_SHM_WIN_LOCATOR_BYTES 4096
/* "Local\mdp-" NAME "~" and up to 20 digits. */
#define MDP_SHM_WIN_NAME_BYTES (10 + MDP_SHM_MAX_SEGMENT_NAME_LENGTH + 1 + 20 + 1)

/* The locator's name, or with a `number` that of the block. */
MDP_SHM_INLINE void mdp_shm_win_name(char* to, const char* segment, uint64_t number) {
  char digits[20];
  int count = 0;
  const size_t length = strlen(segment);
  memcpy(to, "Local\\mdp-", 10);
  memcpy(to + 10, segment, length);
  to += 10 + length;
  if (number != 0) *to++ = '~';
  for (; number != 0; number /= 10) digits[count++] = (char)('0' + number % 10);
  while (count > 0) *to++ = digits[--count];
  *to = '\0';
}

/* Maps `size_bytes` of an object for reading; fails if it is shorter. */
MDP_SHM_INLINE int mdp_shm_win_map(const char* object_name, size_t size_bytes, const void** base) {
  void* handle = OpenFileMappingA(MDP_SHM_WIN_FILE_MAP_READ, 0, object_name);
  if (handle == NULL) {
    const unsigned long error = GetLastError();
    if (error == MDP_SHM_WIN_FILE_NOT_FOUND) return MDP_SHM_ATTACH_NOT_FOUND;
    return error == MDP_SHM_WIN_ACCESS_DENIED ? MDP_SHM_ATTACH_NO_PERMISSION : MDP_SHM_ATTACH_SYSTEM_ERROR;
  }
  *base = MapViewOfFile(handle, MDP_SHM_WIN_FILE_MAP_READ, 0, 0, size_bytes);
  CloseHandle(handle); /* the view alone keeps the memory */
  /* A view longer than its object is "access denied": here that is a locator that lies. */
  return *base != NULL ? MDP_SHM_ATTACH_OK : MDP_SHM_ATTACH_SYSTEM_ERROR;
}

/* Number and size of the block that bears `name` now. */
MDP_SHM_INLINE int mdp_shm_win_locate(const char* name, uint64_t* number, uint64_t* size_bytes) {
  char object_name[MDP_SHM_WIN_NAME_BYTES];
  const void* locator;
  int status;
  if (mdp_shm_name_length(name) == 0) return MDP_SHM_ATTACH_BAD_NAME;
  mdp_shm_win_name(object_name, name, 0);
  status = mdp_shm_win_map(object_name, MDP_SHM_WIN_LOCATOR_BYTES, &locator);
  if (status != MDP_SHM_ATTACH_OK) return status;
  /* The number first: the size is then of it, or of a later block, which is refused when it is mapped. */
  *number = mdp_shm_load(locator);
  *size_bytes = mdp_shm_load((const unsigned char*)locator + 8);
  UnmapViewOfFile(locator);
  return *number != 0 ? MDP_SHM_ATTACH_OK : MDP_SHM_ATTACH_NOT_READY;
}

MDP_SHM_INLINE int mdp_shm_os_map(const char* name, struct mdp_shm_mapping* out) {
  char object_name[MDP_SHM_WIN_NAME_BYTES];
  uint64_t size_bytes;
  int status = mdp_shm_win_locate(name, &out->inode, &size_bytes);
  if (status != MDP_SHM_ATTACH_OK) return status;
  if (size_bytes < MDP_SHM_HEADER_BYTES) return MDP_SHM_ATTACH_NOT_READY;
  mdp_shm_win_name(object_name, name, out->inode);
  out->device = 0;
  out->size_bytes = (size_t)size_bytes;
  return mdp_shm_win_map(object_name, out->size_bytes, &out->base);
}

MDP_SHM_INLINE int mdp_shm_os_find(const char* name, uint64_t* device, uint64_t* inode) {
  uint64_t size_bytes;
  *device = 0;
  return mdp_shm_win_locate(name, inode, &size_bytes);
}

MDP_SHM_INLINE void mdp_shm_os_unmap(const void* base, size_t size_bytes) {
  (void)size_bytes;
  UnmapViewOfFile(base);
}

MDP_SHM_INLINE int mdp_shm_os_process_exists(uint32_t pid) {
  void* process = OpenProcess(MDP_SHM_WIN_SYNCHRONIZE, 0, pid);
  int runs;
  if (process == NULL) return GetLastError() == MDP_SHM_WIN_ACCESS_DENIED;
  /* A process that ended is still an object while somebody has it open. */
  runs = WaitForSingleObject(process, 0) == MDP_SHM_WIN_WAIT_TIMEOUT;
  CloseHandle(process);
  return runs;
}

MDP_SHM_INLINE int64_t mdp_shm_os_wall_clock_ns(void) {
  uint32_t time[2]; /* low, high: units of 100 ns since 1601 */
  GetSystemTimeAsFileTime((struct _FILETIME*)(void*)time);
  return ((int64_t)(((uint64_t)time[1] << 32) | time[0]) - INT64_C(116444736000000000)) * 100;
}
MDP_SHM_INLINE int64_t mdp_shm_os_steady_clock_ns(void) {
  int64_t count = 0, per_second = 1;
  QueryPerformanceCounter((union _LARGE_INTEGER*)(void*)&count);
  QueryPerformanceFrequency((union _LARGE_INTEGER*)(void*)&per_second);
  return count / per_second * 1000000000 + count % per_second * 1000000000 / per_second;
}

MDP_SHM_INLINE void mdp_shm_os_yield(void) { SwitchToThread(); }
MDP_SHM_INLINE void mdp_shm_os_sleep(void) { Sleep(1); }

#endif /* _WIN32 */

#ifdef __cplusplus
}
#endif
